"""More of docs/mnist_mlp/README.md: p-values of its nulls, saturated bins, how loose the bounds on collapse are."""

import numpy as np

from collapse_jax.analysis.nulls import holm, null_name
from collapse_jax.publishing.claims import claims
from collapse_jax.publishing.wording import ends, number

FOLDER = "docs/mnist_mlp"


def p_values(results, name):
    """p-values against the null of a variable, at the steps at which it was measured."""
    return results[null_name(results[name], "p")].dropna("step", how="all")


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
