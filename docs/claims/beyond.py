"""Rows of the tables of experiments: what was asked beyond the figures of arXiv 2509.20829."""

import numpy as np

from collapse_jax import timescales
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, listed, mean, number

E = "docs/experiments"


def geometric(values, dim="seed"):
    """Geometric mean over a dimension."""
    return np.exp(np.log(values).mean(dim))


def rounded(values, digits=2):
    """Round times to so many significant digits, as prose does."""
    return [f"{float(f'{value:.{digits}g}'):,.0f}" for value in np.ravel(values)]


@claims(f"{E}/omnigrok_mnist")
def omnigrok(results):
    """Omnigrok's network groks without a fall of RNC1."""
    taus = timescales(results)
    grok, fit = (rounded(geometric(tau), size)[0] for tau, size in ((taus.tau_grok, 3), (taus.tau_fit, 2)))
    first, last = results.isel(step=0), results.isel(step=-1)
    yield (
        f"training set fitted at {fit} steps, test accuracy 0.8 at {grok} (weight decay 0.1, 2 seeds). RNC1 does not "
        f"fall with it, it rises from {mean(first.rnc1, 2)} to {ends(last.rnc1, 2, ' and ')} by step 20,000; the "
        f"class means do become orthogonal (NC2 from {mean(first.nc2_condition, 0)} to {mean(last.nc2_condition, 1)})"
    )


@claims(f"{E}/init_scale_mlp")
def scales(results):
    """The delay grows with the initial scale."""
    taus = timescales(results)
    grok, fit, collapse = (rounded(taus[name]) for name in ("tau_grok", "tau_fit", "tau_collapse"))
    high = [f"{float(f'{value:.3g}'):,.0f}" for value in np.ravel(taus.tau_grok)]
    yield (
        f"test accuracy 0.8 after {grok[0]}, {grok[1]}, {grok[2]} and {high[3]} steps at scales 1, 2, 4 and 8, "
        f"training accuracy 0.99 after {fit[0]}, {fit[1]}, {fit[2]} and {fit[3]};"
    )
    yield f"RNC1 falls below 0.01 at every scale ({collapse[0]} to {rounded(taus.tau_collapse, 3)[3]} steps)"


@claims(f"{E}/no_weight_decay_mlp")
def no_decay(results):
    """Features collapse without weight decay too."""
    runs = results.squeeze("seed")
    taus = timescales(runs).sel(init_scale=1)
    tau = {decay: rounded(taus.tau_collapse.sel(weight_decay=decay))[0] for decay in (0, 0.01, 0.1)}
    last = {decay: number(runs.rnc1.sel(init_scale=1, weight_decay=decay)[-1], 3) for decay in tau}
    held = 100 * taus.collapse_held.sel(weight_decay=0)
    yield (
        f"at initial scale 1 RNC1 reaches 0.01 after {tau[0]} steps at weight decay 0 (and is below it at "
        f"{number(held, 0)} % of the later log steps) and ends at {last[0]} (0.01: {tau[0.01]}, {last[0.01]}; 0.1: "
        f"{tau[0.1]}, {last[0.1]})."
    )
    accuracy = runs.test_accuracy.sel(init_scale=8, weight_decay=[0, 0.01]).isel(step=-1)
    yield f"neither 0 nor 0.01 groks within 20,000 steps (test accuracy {listed(accuracy, 2)})"


@claims(f"{E}/normalisation_mlp")
def normalisation(results):
    """Normalised networks generalise before they collapse."""
    taus = timescales(results).squeeze(drop=True)
    fit, grok, collapse = (
        {norm: float(taus[name].sel(norm=norm)) for norm in ("layer", "batch", "none")}
        for name in ("tau_fit", "tau_grok", "tau_collapse")
    )
    two = {name: rounded(list(values.values())) for name, values in (("fit", fit), ("grok", grok))}
    three = rounded(list(collapse.values()), 3)
    yield (
        f"fit and test accuracy 0.8 at {two['fit'][0]} and {two['grok'][0]} steps with LayerNorm, {two['fit'][1]} and "
        f"{two['grok'][1]} with BatchNorm ({two['fit'][2]} and {rounded(grok['none'], 3)[0]} without), while RNC1 "
        f"falls to 0.01 only at {three[0]} and {three[1]} steps ({three[2]})"
    )


@claims(f"{E}/cross_entropy_mlp")
def cross_entropy(results):
    """Cross-entropy groks from a higher level."""
    runs = results.squeeze("seed")
    one, other = (runs.sel(loss=loss) for loss in ("cross_entropy", "squared_error_sum"))
    fit = timescales(one).tau_fit
    yield f"with cross-entropy the training set is fitted at {ends(fit, 0)} steps"
    yield (f"rises to {ends(one.test_accuracy.isel(step=-1), 2, ' ... ')} as RNC1 falls from")
    last = other.isel(step=-1)
    yield f"(squared error: {ends(last.test_accuracy, 2)}, RNC1 {ends(last.rnc1, 3)})"


@claims(f"{E}/optimizer_mlp")
def optimizer(results):
    """SGD beside AdamW."""
    tau = timescales(results).tau_collapse.squeeze("seed")
    sgd, adamw = (listed(tau.sel(optimizer=name, weight_decay=[1, 0.3]), -2, " and ") for name in ("sgd", "adamw"))
    yield (f"RNC1 falls to 0.01 at {sgd} steps under SGD, {adamw} under AdamW (weight decay 1 and 0.3)")


@claims(f"{E}/label_noise_mlp")
def label_noise(results):
    """Grokking at every share of wrong labels."""
    last = results.isel(step=-1).squeeze()
    yield (
        f"test accuracy {listed(last.test_accuracy, 2)} at shares 0, 0.1, 0.2, 0.4, RNC1 at step 30,000 "
        f"{number(last.rnc1[0], 3)}, {listed(last.rnc1[1:], 2)}"
    )


@claims(f"{E}/modular_addition")
def modular_addition(results):
    """Late generalisation without collapse."""
    runs = results.squeeze("seed")
    squared, other = (runs.sel(loss=loss) for loss in ("squared_error_sum", "cross_entropy"))
    fitted = squared.train_accuracy.sel(step=1091)
    upper = timescales(squared, {"test_accuracy": 0.9}).grok_upper.values
    rnc1 = squared.rnc1
    yield (
        f"With squared error the training accuracy is {ends(fitted, 2)} at step 1,091, and the test accuracy passes 0.9 "
        f"at step {upper[0]:,.0f}, {upper[1]:,.0f} and {upper[2]:,.0f} "
        f"(weight decay 1, 0.3, 0.1) and ends at {ends(squared.test_accuracy.isel(step=-1), 2)}. RNC1 is "
        f"{mean(rnc1.isel(step=0), 2)} at step 0 and {listed(rnc1.isel(step=-1)[:2], 2)} and "
        f"{number(rnc1.isel(step=-1)[2], 2)} at the end"
    )
    best = other.test_accuracy.isel(step=-1).max()
    yield f"With cross-entropy the test accuracy is {number(best, 2)} at best after 10,000 steps."


@claims(f"{E}/cross_entropy_mlp", f"{E}/optimizer_mlp")
def more(cross_entropy_, optimizer_):
    """Further numbers of these rows."""
    run = cross_entropy_.squeeze("seed").sel(loss="cross_entropy")
    fitted = timescales(run).fit_upper.max().item()
    yield f"with test accuracy {mean(run.test_accuracy.sel(step=fitted), 2)}, which stays"
    taus = timescales(optimizer_).squeeze("seed")
    at_fit = optimizer_.squeeze("seed").test_accuracy.sel(step=taus.fit_upper.astype(int))
    yield f"where neither groks (test accuracy {ends(at_fit, 2)} with the fit)"


def off_the_law(results, name, pairs, down_to):
    """By how many percent balances of pairs of layers leave (1 - eta lambda)^2t, until it is `down_to` of its start."""
    values = results[name].dropna("step", how="all").sel(layer_pair=pairs)
    law = (1 - results.learning_rate * results.weight_decay) ** (2 * values.step)
    off = abs(values / values.isel(step=0) / law - 1).where(law >= down_to)
    return 100 * float(off.max())


@claims("docs/balancedness_mlp")
def balancedness(results):
    """The linear pair as matrices, ReLU pairs neuron by neuron, which is what the law says of them."""
    linear = off_the_law(results, "imbalance", [2], 0.01)
    relu = [off_the_law(results, "imbalance_neurons", [0, 1], down_to) for down_to in (0.1, 0.01)]
    yield (
        f"linear pair within {number(linear, 2)} % of (1 - eta lambda)^2t down to 0.01 of its start; ReLU pairs within "
        f"{number(relu[0], 1)} % down to 0.1 and {number(relu[1], 0)} % down to 0.01"
    )
