"""Rows of the tables of experiments: figures 6 to 8, 13 and 14 of arXiv 2509.20829."""

import numpy as np

from collapse_jax import slopes, timescales
from collapse_jax.analysis.nulls import null_name
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, number

E = "docs/experiments"


def geometric(values, dim="seed"):
    """Geometric mean over a dimension."""
    return np.exp(np.log(values).mean(dim))


@claims("docs/theory_mlp")
def theory(results):
    """Slopes of the network of Theorem 4.3."""
    fits = slopes(timescales(results))
    fit, collapse = (fits.sel(tau=tau) for tau in ("tau_fit", "tau_collapse"))
    spans = [f"{number(f.slope, 2)} [{number(f.low, 2)}, {number(f.high, 2)}]" for f in (fit, collapse)]
    yield f"slopes {spans[0]} and {spans[1]}, theory 0 and -1; no lack of fit"
    assert min(fit.p, collapse.p) > 0.05


@claims(f"{E}/fashion_mlp")
def fashion(results):
    """Figure 6: when the test accuracy passes 0.7, with 1000 and 3000 images."""
    taus = timescales(results, {"test_accuracy": 0.7}).tau_grok
    times = geometric(taus)
    small, large = (times.sel(train_size=size, weight_decay=[0.001, 0.1]).values for size in (1000, 3000))
    small, large = (f"{number(slow, -2)} ... {number(fast, -2)}" for slow, fast in (small, large))
    spread = (taus.max("seed") / taus.min("seed")).where(taus.weight_decay < 0.2).max()
    yield (
        f"at {large} steps instead of {small} (weight decays 0.001 to 0.1, geometric means of 2 seeds, which differ "
        f"by at most {number(100 * (spread - 1), 0)} %); at 0.3 at "
        f"{ends(taus.sel(weight_decay=0.3), -2)} either way"
    )


@claims(f"{E}/fashion_mlp/information.nc")
def fashion_information(results):
    """Figure 13: what falls, and its null."""

    def means(name):
        values = results[name].dropna("step", how="all")
        null = results[null_name(results[name])].sel(step=values.step)
        return values.squeeze("seed"), null.squeeze("seed")

    value, null = means("superfluous_information")
    first, last = value.isel(step=0), value.isel(step=-1)
    yield (
        f"falls from {mean(first, 2)} nats to {listed(last.sel(train_size=1000), 2, ' and ')} at step 30,000 with 1000 "
        f"images, to {listed(last.sel(train_size=3000), 2, ' and ')} with 3000, at the steps at which RNC1 falls; its "
        f"null within classes stays ({mean(null.isel(step=0), 2)} to between {number(null.isel(step=-1).max(), 2)} and "
        f"{number(null.isel(step=-1).min(), 2)}), so that what is beyond it falls from "
        f"{mean((value - null).isel(step=0), 2)} to between {ends((value - null).isel(step=-1), 2, ' and ')}"
    )
    value, null = means("superfluous_nhsic")
    falls = [(one.isel(step=0) - one.isel(step=-1)).mean().item() for one in (null, value)]
    yield (
        f"nHSIC falls from {mean(value.isel(step=0), 1)} to between {ends(value.isel(step=-1), 1, ' and ')}, "
        f"{number(100 * falls[0] / falls[1], 0)} % of it with its null ({mean(null.isel(step=0), 1)} to between "
        f"{ends(null.isel(step=-1), 1, ' and ')})"
    )


@claims(f"{E}/cnn_mnist")
def cnn(results):
    """Figure 7: no grokking, no long fall of RNC1 within 10,000 steps."""
    taus = timescales(results)
    fit = taus.tau_fit.squeeze("seed")
    at_fit = results.test_accuracy.squeeze("seed").sel(step=taus.fit_upper.squeeze("seed").astype(int))
    last = results.isel(step=-1).squeeze("seed")
    yield (
        f"training accuracy 0.99 at {ends(fit, 0)} steps, test accuracy then {ends(at_fit, 2)} and "
        f"{ends(last.test_accuracy, 2)} at step 10,000."
    )
    run = results.sel(weight_decay=0.1).squeeze("seed")
    step = taus.fit_upper.sel(weight_decay=0.1).astype(int).item()
    low = run.rnc1.sel(step=1500, method="nearest")
    other = results.rnc1.sel(weight_decay=0.3).squeeze("seed")
    later = other.where(other.step > 400)
    yield (
        f"By step 10,000 there is no long fall of RNC1 at weight decay 0.1: {number(run.rnc1.sel(step=step), 3)} at the fit, "
        f"{number(low, 3)} at step 1,500, {number(run.rnc1[-1], 3)} at step 10,000 (at 0.3 it rises to "
        f"{number(later.max(), 3)} and falls back to {number(other[-1], 3)}; NC1 at 0.1 falls from "
        f"{number(run.nc1.sel(step=step), 2)} to {number(run.nc1[-1], 2)})"
    )


@claims(f"{E}/cnn_mnist_long")
def cnn_long(results):
    """Figure 7: the long fall of RNC1 at weight decay 0.1, and the later and smaller one at 0.01."""
    steps = (11_662, results.step.values[-1])

    def seeds(name, decay, step):
        return listed(results[name].sel(weight_decay=decay, step=step), 3, " and ")

    rnc1, accuracy = (
        {decay: [seeds(name, decay, step) for step in steps] for decay in (0.1, 0.01)}
        for name in ("rnc1", "test_accuracy")
    )
    fitted = results.step.values[(results.train_accuracy >= 0.99).all(("weight_decay", "seed")).values.argmax()]
    assert steps[0] - fitted > 9_000
    yield (
        f"at 0.1 RNC1 is {rnc1[0.1][0]} at step 11,662, where the training set has been fitted for 10,000 steps, and "
        f"{rnc1[0.1][1]} at step {steps[1]:,}, while the test accuracy rises from {accuracy[0.1][0]} to {accuracy[0.1][1]}; "
        f"at 0.01 RNC1 goes from {rnc1[0.01][0]} to {rnc1[0.01][1]} and the test accuracy from {accuracy[0.01][0]} to "
        f"{accuracy[0.01][1]}"
    )
    first, last = (results.rnc1.sel(step=step) for step in steps)
    falls = [ends((first / last).sel(weight_decay=decay), 1) for decay in (0.1, 0.01)]
    yield f"So RNC1 falls {falls[0]} times at 0.1, and {falls[1]} times at 0.01"


@claims(f"{E}/resnet18_cifar10")
def resnet(results):
    """Figure 14: RNC1 after the fit."""
    fitted = results.sel(step=532)
    taus = timescales(results)
    last = results.isel(step=-1)
    peak = results.rnc1.where((results.step > 6) & (results.step < 1000)).max("step")
    first, all_of_them = taus.fit_lower.min(), taus.fit_upper.max()
    yield f"is fitted between steps {first:,.0f} and {all_of_them:,.0f} (training accuracy 0.99)"
    yield f"test accuracy is then {ends(fitted.test_accuracy, 2)} and rises to {ends(last.test_accuracy, 2, ' ... ')};"
    yield (
        f"({ends(peak, 3)}), is {ends(fitted.rnc1, 3)} at step 532 and {ends(last.rnc1, 3)} at step 5000 (at weight "
        f"decay 0.1 {listed(last.rnc1.sel(weight_decay=0.1), 4, ' and ')})"
    )
    lost = results.train_accuracy.sel(weight_decay=0.01, step=2040).min()
    yield f"one run of weight decay 0.01 loses its fit at step 2,040 ({number(lost, 2)}) and finds it again."


@claims(f"{E}/resnet18_cifar10/information.nc")
def resnet_information(results):
    """Figure 14: information of the first 500 steps."""
    run = results.squeeze(drop=True)
    value = run.superfluous_information.dropna("step")
    null = run[null_name(results.superfluous_information)].sel(step=value.step)
    beyond = value - null
    p = run[null_name(results.superfluous_information, "p")].sel(step=32)
    zy = run.mi_zy.dropna("step")
    yield (
        f"from {number(value[0], 2)} nats to {number(value.sel(step=32), 2)} in the first 32 steps, and with it what "
        f"is beyond its null within classes, from {number(beyond[0], 2)} to {number(beyond.sel(step=32), 2)} (p = "
        f"{number(p, 2)}); from there on that rises again, to {number(beyond[-1], 2)} at step 500, while I(Z;Y) grows "
        f"to {number(zy[-1], 2)}."
    )
    hsic = run.superfluous_nhsic.dropna("step")
    apart = abs(hsic - run[null_name(results.superfluous_nhsic)].sel(step=hsic.step)).max()
    yield f"nHSIC ({ends(hsic, 0)}) is within {number(apart, 1)} of its null throughout"
