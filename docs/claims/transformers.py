"""Rows of the tables of experiments: figures 9 to 12 of arXiv 2509.20829, transformers."""

import numpy as np

from collapse_jax import timescales
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, number

E = "docs/experiments"


def at_peak(results, begin=100):
    """The results at the step, after `begin`, at which RNC1 of each run is highest."""
    return results.isel(step=results.rnc1.where(results.step > begin).argmax("step"))


@claims(f"{E}/transformer_ag_news_long")
def ag_news_long(results):
    """Figure 12, ten times as long: RNC1 falls from its peak and the test accuracy rises."""
    results = results.squeeze("weight_decay")
    last = results.isel(step=-1)
    peak = at_peak(results)
    peaks, accuracy = peak.rnc1, peak.test_accuracy
    one, eight = ({"init_scale": scale} for scale in (1.0, 8.0))
    yield (
        f"from its peak ({ends(peaks.sel(one), 3)} at scale 1, {ends(peaks.sel(eight), 3)} at 8) RNC1 falls to "
        f"{ends(last.rnc1.sel(one), 4)} and {ends(last.rnc1.sel(eight), 4)}, the test accuracy rises from "
        f"{ends(accuracy.sel(one), 2)} and {ends(accuracy.sel(eight), 2)} to {ends(last.test_accuracy.sel(one), 2)} and "
        f"{ends(last.test_accuracy.sel(eight), 2)}"
    )


@claims(f"{E}/transformer_sst2_long")
def sst2_long(results):
    """Figure 10, ten times as long: RNC1 falls from its peak, and what the test accuracy gains."""
    results = results.squeeze("weight_decay")
    peak = at_peak(results)
    peaks, before = peak.rnc1, peak.test_accuracy
    rnc1, after = (results[name].isel(step=-1) for name in ("rnc1", "test_accuracy"))
    nc1 = [peak.nc1, results.nc1.isel(step=-1)]
    one, eight = ({"init_scale": scale} for scale in (1.0, 8.0))
    lowest = results.rnc1.sel(eight).min("step")
    yield (
        f"from its peak ({ends(peaks.sel(one), 3)} at scale 1, {ends(peaks.sel(eight), 3)} at 8) RNC1 falls to "
        f"{ends(rnc1.sel(one), 4)} and {ends(rnc1.sel(eight), 4)} (at 8 it was {ends(lowest, 4)} on the way), NC1 from "
        f"{ends(nc1[0], 1)} to {ends(nc1[1], 3)}, and the test accuracy goes from {ends(before, 2)} to "
        f"{ends(after, 2)}, by {mean(after - before, 2)} in the mean of the 4 runs"
    )


@claims(f"{E}/transformer_trec_long")
def trec_long(results):
    """Figure 11, ten times as long: RNC1 falls from its peak at every scale; the test accuracy at scales 1 and 8."""
    results = results.squeeze("weight_decay")
    before, after = at_peak(results), results.isel(step=-1)
    share = after.rnc1 / before.rnc1
    accuracy = {
        scale: [
            listed(one.test_accuracy.sel(init_scale=scale).sortby("seed"), 2, " and ") for one in (before, after)
        ]
        for scale in (1, 8)
    }
    yield (
        f"RNC1 falls from its peak ({ends(before.rnc1, 3)}) to {ends(after.rnc1, 4)}, {ends(share, 3)} of it, NC1 to "
        f"{ends(after.nc1, 3)}; the test accuracy goes from {accuracy[1][0]} to {accuracy[1][1]} at scale 1, and from "
        f"{accuracy[8][0]} to {accuracy[8][1]} at 8"
    )


@claims(f"{E}/transformer_mnist_long")
def mnist_long(results):
    """Figure 9, ten times as long: RNC1 peaks, at a time that goes with weight decay, and falls."""
    peak = at_peak(results, 1000)
    late, end = results.sel(step=21_152), results.isel(step=-1)

    def seeds(name, digits, when, decay):
        return ends(when[name].sel(weight_decay=decay), digits)

    high = {
        decay: (seeds("rnc1", 2, peak, decay), ends(peak.step.sel(weight_decay=decay), 0)) for decay in (0.3, 0.1)
    }
    accuracy = {decay: seeds("test_accuracy", 2, peak, decay) for decay in (0.3, 0.1)}
    yield (
        f"RNC1 rises to {high[0.3][0]} at step {high[0.3][1]} (weight decay 0.3) and {high[0.1][0]} at step "
        f"{high[0.1][1]} (0.1), and falls to {seeds('rnc1', 3, late, 0.3)} at step 21,152 and "
        f"{seeds('rnc1', 3, end, 0.1)} at step 30,000, while the test accuracy rises from {accuracy[0.3]} to "
        f"{seeds('test_accuracy', 2, late, 0.3)} and from {accuracy[0.1]} to {seeds('test_accuracy', 2, end, 0.1)} and "
        f"NC1 falls to {seeds('nc1', 3, late, 0.3)} and {seeds('nc1', 3, end, 0.1)}"
    )
    yield (
        f"at 0.03 and 0.01 RNC1 still rises ({seeds('rnc1', 3, end, [0.03, 0.01])} at step 30,000), the test accuracy "
        f"stays at {seeds('test_accuracy', 2, end, [0.03, 0.01])}"
    )
    fit = np.sort(end.train_accuracy.sel(weight_decay=0.3))[::-1]
    yield (
        f"at 0.3 the runs lose their fit by step 30,000 (training accuracy {listed(fit, 3, ' and ')}, RNC1 "
        f"{seeds('rnc1', 3, end, 0.3)})"
    )


@claims(f"{E}/transformer_mnist_sizes_long")
def sizes_long(results):
    """Figure 9, sizes of the training set, ten times as long."""
    results = results.squeeze("weight_decay")
    end = results.isel(step=-1)
    peaks = results.rnc1.where(results.step > 100).max("step")
    spans = [
        f"{ends(peaks.sel(train_size=size), 3)} to {ends(end.rnc1.sel(train_size=size), 3)}" for size in (100, 300)
    ]
    yield (
        f"test accuracy {listed(end.test_accuracy.mean('seed'), 2)} at step 15,000; RNC1 falls a little from its peak with 100 and 300 "
        f"images ({spans[0]}; {spans[1]}) and still rises with 1000 ({ends(end.rnc1.sel(train_size=1000), 3)})"
    )


@claims(f"{E}/transformer_mnist", f"{E}/transformer_mnist_sizes")
def transformer_mnist(results, sizes):
    """Figure 9: RNC1 rises, NC1 falls."""
    first, last = (results.squeeze("seed").isel(step=step) for step in (0, -1))
    yield (
        f"training and test accuracy rise together to {ends(last.train_accuracy, 2, ' ... ')} and "
        f"{ends(last.test_accuracy, 2, ' ... ')} by step 3000, while RNC1 rises from {mean(first.rnc1, 4)} to "
        f"{number(last.rnc1.sel(weight_decay=0.01), 3)} (weight decay 0.01) ... "
        f"{number(last.rnc1.sel(weight_decay=0.3), 2)} (0.3) and NC1 falls from {mean(first.nc1, 1)} to "
        f"{number(last.nc1.max(), 1)} ... {number(last.nc1.min(), 1)}"
    )
    accuracy = sizes.test_accuracy.isel(step=-1).mean("seed").squeeze()
    yield f"100, 300 and 1000 images: test accuracy {listed(accuracy, 2)} at step 1500 without grokking"


@claims(f"{E}/transformer_sst2", f"{E}/transformer_trec", f"{E}/transformer_ag_news")
def texts(sst2, trec, ag_news):
    """Figures 10 to 12: RNC1 peaks, then decreases."""
    for results, name in ((sst2, "sst2"), (trec, "trec"), (ag_news, "ag_news")):
        runs = results.squeeze("weight_decay")
        taus = timescales(runs)
        fit = taus.tau_fit
        after = runs.rnc1.where(runs.step > 0)
        peak = runs.step[after.argmax("step")]
        share = runs.rnc1.isel(step=-1) / after.max("step")
        last = runs.test_accuracy.isel(step=-1)
        if name == "sst2":
            yield f"the training set is fitted at {ends(fit, 0)} steps (scales 1 and 8), RNC1 peaks at"
            yield f"and is {ends(share, 2)} of its peak at step 3000, while NC1 falls throughout."
            yield f"is not beyond the noise of 300 test sentences ({ends(last, 2)} at the end"
        elif name == "trec":
            yield f"fitted at {ends(fit, 0)} steps (scales 1 to 8) with the rise of the test accuracy"
            yield (
                f"Test accuracy at the end {listed(last.mean('seed'), 2)} at scales 1, 2, 4, 8, but seeds differ more "
                f"than scales ({listed(np.sort(last.sel(init_scale=8)), 2, ' and ')} at scale 8)"
            )
        else:
            yield f"fitted at {ends(fit, 0)} steps (scales 1 and 8), peak of RNC1 at"
            at_peak = runs.test_accuracy.sel(step=peak)
            gain = last - at_peak
            yield (
                f"the test accuracy gains {ends(gain, 2)} in each of the 4 runs ({ends(at_peak, 2, ' ... ')} to "
                f"{ends(last, 2, ' ... ')};"
            )


@claims(f"{E}/transformer_sst2", f"{E}/transformer_trec", f"{E}/transformer_ag_news")
def peaks(sst2, trec, ag_news):
    """When RNC1 peaks."""
    for results, before, after in (
        (sst2, "RNC1 peaks at", "steps and is"),
        (trec, "RNC1 rises to its peak at", "steps. Test accuracy"),
        (ag_news, "peak of RNC1 at", "steps; from there"),
    ):
        runs = results.squeeze("weight_decay")
        low, high = (number(step, -2 if results is trec else -1) for step in spread_of_peaks(runs))
        yield f"{before} {low} to {high} {after}"


def spread_of_peaks(runs):
    """First and last step of a peak of RNC1."""
    after = runs.rnc1.where(runs.step > 0)
    steps = runs.step.values[after.argmax("step").values]
    return steps.min(), steps.max()
