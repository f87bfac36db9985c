"""More of docs/mnist_mlp/README.md: p-values of its nulls, saturated bins, how loose the bounds on collapse are."""

import numpy as np

from collapse_jax.analysis.nulls import holm, null_name
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, number

FOLDER = "docs/mnist_mlp"


def p_values(results, name):
    """p-values against the null of a variable, at the steps at which it was measured."""
    return results[null_name(results[name], "p")].dropna("step", how="all")


def measured(results, name):
    """A variable over the seeds at the steps at which it was measured."""
    return results[name].dropna("step", how="all")


@claims(FOLDER)
def tested(results):
    """Which values lie in the range of their null."""
    neighbours = p_values(results, "superfluous_information")
    figure = [neighbours.values, p_values(results, "superfluous_nhsic").values]
    figure.append(p_values(results, "noisy_zx_given_y_sigma010").values)
    corrected = holm(np.stack(figure))
    assert (corrected[0] < 0.05).all()
    yield f"(p <= {number(neighbours.max(), 3)}; below 0.05 after Holm's correction for all {corrected.size:,} values of the figure"
    coded = p_values(results, "superfluous_information_autoencoder")
    inside = holm(coded.values) > 0.05
    steps = np.broadcast_to(coded.step.values, coded.shape)[inside]
    between = steps[(steps > 10_000) & (steps < 50_000)]
    yield f"are in the range of their null (Holm), {between.size} of them between steps {number(between.min(), 0)} and {number(between.max(), 0)}."
    least = p_values(results, "superfluous_nhsic").max()
    assert float(least) < 1e-12
    yield "differs from it in every run and snapshot (p < 1e-12)."


@claims(FOLDER)
def saturated(results):
    """Until when bins count nothing, and of how many snapshots every layer was measured."""
    binned = results.layer_binned_zx.dropna("step", how="all")
    full = np.isclose(binned.values, np.log(1000), atol=1e-4).all(
        axis=tuple(axis for axis, name in enumerate(binned.dims) if name != "step")
    )
    last = binned.step.values[np.flatnonzero(full)[-1]]
    yield f"(the same {binned.sizes['step']} snapshots and images)"
    yield f"*Every hidden layer* ({binned.sizes['step']} of the snapshots, 1,000 test images)."
    yield f"until step {number(last, 0)} all patterns of all runs differ, I(T;X) = log 1000"


@claims(FOLDER)
def loose(results):
    """By how many orders of magnitude the bounds on collapse miss what is at the end."""

    def orders(bound, name):
        return np.log10(results[f"{name}{bound}"] / results[name]).isel(step=-1).values

    first = [orders("_bound", name) for name in ("rnc1", "nc1", "within_class_variance")]
    first.append(orders("_bound_jacot", "within_class_variance"))
    yield (
        f"The bounds on collapse hold and are, at the end, loose by {ends(np.stack(first), 0)} orders of magnitude, Jacot's on NC1 by "
        f"{ends(orders('_bound_jacot', 'nc1'), 0)}"
    )


@claims(FOLDER)
def bounds(results):
    """Theorem 3.2 at the end, and where its directional form says anything."""
    bound, directional = (measured(results, f"test_error_bound{kind}") for kind in ("", "_directional"))
    error = measured(results, "test_error").isel(step=-1)
    below = (directional < 1).mean().item()
    yield (
        f"at the end its bound on the error is {ends(bound.isel(step=-1), 1)} over the 30 runs, in the directional "
        f"form {number(directional.isel(step=-1).min(), 2)} to {number(directional.isel(step=-1).max(), 1)} (below 1 "
        f"for {number(100 * below, 0)} % of runs and snapshots), the error {ends(error, 2)}."
    )


@claims(FOLDER)
def sandwich(results):
    """Theorem 3.4: estimate, log-det bound, trace bound at three sizes of noise."""
    compared, above, most, errors = 0, 0, 0.0, 0.0
    for sigma in ("003", "010", "030"):
        value, error = (measured(results, f"noisy_zx_given_y{kind}_sigma{sigma}").values for kind in ("", "_error"))
        excess = value - results[f"log_det_bound_sigma{sigma}"].dropna("step", how="all").values
        compared += 1
        above += int((excess > 0).sum())
        most, errors = max(most, excess.max()), max(errors, (excess / error).max())
        assert sigma == "030" or not (excess > 0).any()
    yield f"In all {compared} x {excess.size:,} comparisons (sigma 0.03, 0.1, 0.3)"
    yield f"at 0.3 above it in {above}, by {number(most, 3)} nats and {number(errors, 1)} of its error at most."
