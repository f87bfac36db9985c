"""The main experiment: README.md, docs/mnist_mlp/README.md and the rows of docs/experiments.md about it."""

import numpy as np

from collapse_jax import timescales
from collapse_jax.analysis.nulls import holm, null_name
from collapse_jax.analysis.summary import summarise
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, mean_range, number

FOLDER = "docs/mnist_mlp"
EVENTS = ("fit", "grok", "collapse", "collapse_lasting")


def time_text(taus, event):
    """Geometric mean of the times of some runs, and between which log steps all of them lie."""
    last = taus[f"{event}_upper"].max()
    end = f"{last:,.0f}]" if np.isfinite(last) else "∞)"
    bound = "" if np.isfinite(last) else "> "
    return f"{bound}{geometric(taus, event)} [{number(taus[f'{event}_lower'].min(), 0)}, {end}"


def geometric(taus, event):
    """Geometric mean of the times of some runs."""
    return number(np.exp(np.log(taus[f"tau_{event}"]).mean()), 0)


def measured(results, name):
    """A variable over the seeds at the steps at which it was measured."""
    return results[name].dropna("step", how="all")


@claims(FOLDER)
def table(results):
    """The table: accuracy and times of the events, by weight decay."""
    taus = timescales(results)
    for decay in results.weight_decay.values:
        own = taus.sel(weight_decay=decay)
        accuracy = mean_range(results.test_accuracy.sel(weight_decay=decay).isel(step=-1))
        yield f"| {decay:g} | {accuracy} | " + " | ".join(time_text(own, event) for event in EVENTS) + " |"


@claims(FOLDER)
def reached(results):
    """What becomes of RNC1 after its first crossing."""
    taus = timescales(results)
    seen, held = ~taus.collapse_censored, taus.collapse_held
    last = results.rnc1.isel(step=-1)
    leave = seen & (held < 1)
    above = seen & (last > 0.01)
    yield (
        f"{int(seen.sum())} of the {seen.size} runs reach RNC1 0.01; {int(leave.sum())} of these leave it again, "
        f"and {int(above.sum())} are above it at the end."
    )
    large, small = held.where(held.weight_decay > 0.02), held.where(held.weight_decay < 0.02)
    yield (
        f"At weight decays of 0.03 and above RNC1 meets its level at {number(100 * large.min(), 0)} % or more of the "
        f"log steps after the first crossing, at 0.01 and below at {ends(100 * small, 0)} %"
    )


@claims(FOLDER)
def beside_the_paper(results):
    """Accuracies at the steps of which the paper speaks."""
    run = results.sel(weight_decay=0.01)
    early, late = run.sel(step=16_000, method="nearest"), run.isel(step=-1)
    yield (
        f"here they are {ends(100 * early.train_accuracy, 0)} % and {ends(100 * early.test_accuracy, 0)} %, and "
        f"{ends(100 * late.train_accuracy, 0)} % and {ends(100 * late.test_accuracy, 0)} %."
    )
    yield (
        f"at weight decay 0.01 and step 16,000 training accuracy {ends(early.train_accuracy, 2)}, test accuracy "
        f"{ends(early.test_accuracy, 2)}; at step 100,000 {ends(late.train_accuracy, 2)} and "
        f"{ends(late.test_accuracy, 2)}"
    )


@claims(FOLDER)
def powers(results):
    """Lack of fit of a power law, and local slopes."""
    fits = summarise(results).slopes
    f = [fit.f for fit in fits]
    local = ", ".join(ends(fit.local, 2) for fit in fits[:2]) + " and " + ends(fits[2].local, 2)
    yield (
        f"(lack of fit: F = {number(f[0], 1)}, {number(f[1], 0)} and {number(f[2], 0)}, p = "
        f"{number(max(fit.p for fit in fits), 3)} and less): from one weight decay to the next the slopes are {local}"
    )


@claims(FOLDER)
def survival(results):
    """How many runs have come how far."""
    taus = timescales(results)
    happened = {name: ~taus[f"{name}_censored"] for name in EVENTS}
    lasting = happened["collapse_lasting"].sum("seed")
    large, small = lasting.sel(weight_decay=[0.3, 0.1, 0.03]), lasting.sel(weight_decay=[0.01, 0.003, 0.001])
    late = taus.collapse_lasting_lower.where(happened["collapse_lasting"]).sel(weight_decay=small.weight_decay)
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
    yield (
        f"All {int(happened['fit'].sum())} runs fit and grok, {int(happened['collapse'].sum())} reach RNC1 0.01 after "
        f"the fit, and {int(lasting.sum())} stay below it from some step on: all {int(large.sum())} at weight decays "
        f"of 0.03 and above, {int(small[0])} of 5, {int(small[1])} of 5 and {int(small[2])} of 5 at 0.01, 0.003 and "
        f"0.001, {words[int((late >= 97_000).sum())]} of these {words[int(small.sum())]} only since step 97,000 or "
        "later."
    )
    assert int(happened["grok"].sum()) == happened["grok"].size


def value_and_null(results, name):
    """Means over seeds of a variable and of its null, at the steps at which it was measured."""
    value = measured(results, name)
    return value.mean("seed"), results[null_name(results[name])].sel(step=value.step).mean("seed")


def fall_of(results, name):
    """How far a variable falls in each run, from the first to the last step at which it was measured."""
    values = measured(results, name)
    return values.isel(step=0) - values.isel(step=-1)


@claims(FOLDER)
def superfluous(results):
    """I(Z;X) - I(Z;Y) by nearest neighbours, and its null."""
    name = "superfluous_information"
    value, null = value_and_null(results, name)
    error = measured(results, f"{name}_error")
    p = results[null_name(results[name], "p")].sel(step=value.step)
    first, last = value.isel(step=0), value.isel(step=-1)
    yield (
        f"falls from {mean(first, 2)} nats to between {number(last.max(), 2)} and {number(last.min(), 2)} (means of 5 "
        f"seeds; error {number(error.median(), 2)} in the median, {number(error.max(), 2)} at most)"
    )
    share = fall_of(results, null_name(results[name])) / fall_of(results, name)  # run by run
    yield (
        f"It starts at {mean(null.isel(step=0), 2)}, ends at {number(null.isel(step=-1).max(), 2)} to "
        f"{number(null.isel(step=-1).min(), 2)}, and has {ends(100 * share.mean('seed'), 0)} % of the fall. Every value of every "
        f"run and snapshot is above its null (p <= {number(p.max(), 3)};"
    )
    beyond = value - null
    yield (
        f"How much beyond the null: {mean(beyond.isel(step=0), 2)} nats at the start, "
        f"{ends(beyond.sel(step=492), 2)} at step 492, long before the fit."
    )
    yield (
        f"The mutual information falls with RNC1 from {mean(first, 2)} nats to between {number(last.max(), 2)} and "
        f"{number(last.min(), 2)}, and so does its null within classes, from {mean(null.isel(step=0), 2)} to between "
        f"{number(null.isel(step=-1).max(), 2)} and {number(null.isel(step=-1).min(), 2)}."
    )


@claims(FOLDER)
def beyond_the_null(results):
    """The table: both estimates from the last snapshot at which RNC1 is above 0.05 to the end."""
    mi, mi_null = value_and_null(results, "superfluous_information")
    nhsic, nhsic_null = value_and_null(results, "superfluous_nhsic")
    logged = np.exp(np.log(results.rnc1).mean("seed")).dropna("step")
    rnc1 = logged.interp(step=mi.step)  # snapshots lie between log steps
    ratios = {"mi": [], "nhsic": []}
    for decay in results.weight_decay.values:
        above = rnc1.sel(weight_decay=decay).values > 0.05
        ends_of = [int(np.flatnonzero(above)[-1]), -1]
        cells = []
        for name, value, null in (("mi", mi, mi_null), ("nhsic", nhsic, nhsic_null)):
            pair = [one.sel(weight_decay=decay).isel(step=ends_of).values for one in (value, null)]
            digits = 2 if name == "mi" else 1
            beyond = pair[0] - pair[1]
            cells += [listed(one, digits, " to ") for one in pair] + [listed(beyond, 2, " to ")]
            ratios[name].append(beyond[1] / beyond[0])
        yield f"| {decay:g} | " + " | ".join(cells) + " |"
    yield (
        f"At weight decays of 0.01 and above what is beyond the null falls with RNC1, to {ends(ratios['mi'][:4], 2)} "
        f"of what it was (nHSIC: {ends(ratios['nhsic'][:4], 2)})"
    )


@claims(FOLDER)
def autoencoder(results):
    """The same with X coded by the autoencoder."""
    name = "superfluous_information_autoencoder"
    value, null = value_and_null(results, name)
    p = results[null_name(results[name], "p")].sel(step=value.step)
    inside = holm(p.values) > 0.05
    yield (
        f"the value falls from {mean(value.isel(step=0), 2)} to between {number(value.isel(step=-1).max(), 2)} and "
        f"{number(value.isel(step=-1).min(), 2)} and its null from {mean(null.isel(step=0), 2)} to between "
        f"{number(null.isel(step=-1).max(), 2)} and {number(null.isel(step=-1).min(), 2)}"
    )
    yield f"{inside.sum()} of these {inside.size:,} values are in the range of their null (Holm)"


@claims(FOLDER)
def nhsic(results):
    """The fall of nHSIC and of its null."""
    value, null = value_and_null(results, "superfluous_nhsic")
    first, last, null_first, null_last = value[..., 0], value[..., -1], null[..., 0], null[..., -1]
    share = ((null_first - null_last).mean() / (first - last).mean()).item()
    beyond = value - null
    yield (
        f"falls from {mean(first, 1)} to between {ends(last, 1, ' and ')}, its null from {mean(null_first, 1)} to "
        f"between {ends(null_last, 1, ' and ')}: {number(100 * share, 0)} % of the fall is its null's. What is beyond "
        f"the null falls from {mean(beyond[..., 0], 2)} to between {ends(beyond[..., -1], 2, ' and ')}"
    )
    zy, zy_null = value_and_null(results, "nhsic_zy")
    more = zy - zy_null
    yield (
        f"nHSIC(Z;Y) hardly changes (from {mean(zy[..., 0], 1)} to between {ends(zy[..., -1], 1, ' and ')}), while "
        f"its null falls from {mean(zy_null[..., 0], 1)} to between {ends(zy_null[..., -1], 1, ' and ')}: what it "
        f"says of the label beyond its null grows from {mean(more[..., 0], 1)} to between "
        f"{ends(more[..., -1], 1, ' and ')}."
    )
    yield f"{number(100 * share, 0)} % of the fall of nHSIC is its null's."
    yield f"On the main experiment {number(100 * share, 0)} % of the fall of superfluous_nhsic is its null's"


@claims(FOLDER)
def layers(results):
    """Every hidden layer at the end: collapse, nearest class centre, information."""
    last = results.sel(step=100_000)
    rnc1 = np.exp(np.log(last.layer_rnc1).mean("seed"))
    low, high = rnc1.min("weight_decay").values, rnc1.max("weight_decay").values
    right = last.layer_centre_accuracy_test.mean("seed")
    yield (
        f"at the end RNC1 is {number(low[0], 2)} to {number(high[0], 2)} in the first, {number(low[1], 3)} to "
        f"{number(high[1], 2)} in the second and {number(low[2], 5)} to {number(high[2], 3)} in the third (geometric "
        f"means of 5 seeds), and the nearest class centre is right for {ends(right.sel(layer=0), 2)}, "
        f"{ends(right.sel(layer=1), 2)} and {ends(right.sel(layer=2), 2)} of the test images."
    )
    zx, zy = last.layer_mi_zx.mean("seed"), last.layer_mi_zy.mean("seed")
    spans = [[ends(one.sel(layer=layer), 2) for layer in range(3)] for one in (zx, zy)]
    yield (
        f"at the end {spans[0][0]}, {spans[0][1]} and {spans[0][2]} nats, while I(Z;Y) is {spans[1][0]}, {spans[1][1]} "
        f"and {spans[1][2]}."
    )
    binned, null = (last[name].sel(layer=2).mean("seed") for name in ("layer_binned_zy", "layer_binned_zy_null"))
    yield f"at the end I(T;Y) of the third is {ends(binned, 2)} nats, {ends(null, 2)} with permuted labels."


@claims(FOLDER)
def margins(results):
    """Shares of unseen images on the wrong side of the boundary of two classes, of the run of the figure."""
    run = 100 * results.margin_error_test.sel(weight_decay=0.01, seed=42)
    before, after = (run.sel(step=step) for step in (17_013, 100_000))
    a, b, c = (
        [" and ".join(number(at.sel(pair=pair, side=side), 0) for side in ("a", "b")) for at in (before, after)]
        for pair in ("0-1", "4-5", "8-9")
    )
    yield (
        f"{a[0]} % of the classes 0 and 1 wrong at step 17,013 and {a[1]} % at the end; {b[0]}, then {b[1]} % of 4 "
        f"and 5; {c[0]}, then {c[1]} % of 8 and 9"
    )


@claims(FOLDER)
def rows_of_figures(results):
    """Figure 4 in the table of figures, and README's line."""
    value, null = value_and_null(results, "superfluous_nhsic")
    falls = [(one[..., 0] - one[..., -1]).mean().item() for one in (null, value)]
    yield (
        f"nHSIC falls from {mean(value[..., 0], 1)} to between {ends(value[..., -1], 1, ' and ')}, "
        f"{number(100 * falls[0] / falls[1], 0)} % of it with its null ({mean(null[..., 0], 1)} to between "
        f"{ends(null[..., -1], 1, ' and ')})"
    )
    seen = ~timescales(results).collapse_censored
    yield f"{int(seen.sum())} of the {seen.size} runs reach RNC1 0.01, test accuracy rises long after the fit"
    logged = results.rnc1.dropna("step", how="all").sizes["step"]
    snapshots = results.superfluous_information.dropna("step", how="all").sizes["step"]
    yield f"joins results.nc ({logged} log steps) with measures/*.nc ({snapshots} snapshots)"


@claims(FOLDER)
def beyond_by(results):
    """By how much what is beyond the null falls where it does."""
    value, null = value_and_null(results, "superfluous_information")
    logged = np.log(results.rnc1).mean("seed").dropna("step")
    rnc1 = np.exp(logged).interp(step=value.step)
    beyond = value - null
    fall = []
    for decay in (0.3, 0.1, 0.03, 0.01):
        start = int(np.flatnonzero(rnc1.sel(weight_decay=decay).values > 0.05)[-1])
        own = beyond.sel(weight_decay=decay).values
        fall.append(own[start] - own[-1])
    yield f"falls with RNC1 at weight decays of 0.01 and above, by {ends(fall, 2)} nats, and not at 0.003 and 0.001."
