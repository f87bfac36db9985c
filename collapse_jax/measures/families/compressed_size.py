"""How many bytes the parameters take once they are coarsely quantised and compressed.

Source: "The Complexity Dynamics of Grokking" (DeMoss et al., arXiv:2412.09810), Equation 11 at one bin width; its
low-rank form and its search over bin widths are not done here.
"""

import bz2
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.precision import at_least_float32

VARIABLES = {
    "compressed_size": Variable(
        "Compressed size", "byte", "bytes of bzip2 of all parameters, each rounded to a multiple of the bin width"
    ),
    "compressed_size_exact": Variable(
        "Compressed size, not quantised", "byte", "bytes of bzip2 of all parameters as they are, in float32"
    ),
    "coarse_loss_change": Variable(
        "Loss change by quantisation", "loss", "mean train loss of the quantised network minus that of the network"
    ),
}


def compressed_size(snapshot: Snapshot, *, bin_width: float = 0.01) -> Scalars:
    """Size of the parameters theta after Q(theta) = round(theta / D) D, one bin width D for all of them.

    * `compressed_size` = bytes of bz2 (level 9) of Q(theta): float32, little-endian, one tensor after the other in
      the order of their names, without any header.
    * `compressed_size_exact` = the same of theta itself.
    * `coarse_loss_change` = L(Q(theta)) - L(theta), mean loss over the train probe: the distortion that comes with
      the size. Two sizes are comparable at equal distortion only; D says nothing by itself.

    An upper bound, up to a constant, on the Kolmogorov complexity of Q(theta), and no property of the function: it
    depends on D, on the scale of the weights, slightly on the order of neurons. The paper's code compresses a
    pickle, some 500 bytes more, and takes the smallest size over bin widths and ranks whose distortion is below a
    bound.

    Limits: float32 noise costs about 3.8 bytes per parameter, all zeros about 50 in total. nan parameters give
    sizes without meaning (those of a diverged run are masked).

    Args:
      snapshot: reads `params`; for the loss also `network`, `loss` and the examples of `train`, all at once.
      bin_width: D, in the unit of the weights.
    """
    coarse = jax.tree.map(lambda leaf: quantised(at_least_float32(leaf), bin_width), snapshot.params)
    result = {"coarse": _vector(coarse), "exact": _vector(snapshot.params)}
    if snapshot.loss is not None and snapshot.train is not None and snapshot.train.examples is not None:
        losses = [
            jnp.mean(snapshot.loss(snapshot.apply(params, snapshot.train.examples)[0], snapshot.train.labels))
            for params in (coarse, snapshot.params)
        ]
        result["coarse_loss_change"] = losses[0] - losses[1]
    return result


def quantised(weights: jax.Array, bin_width: float) -> jax.Array:
    """The nearest multiples of `bin_width`; never -0, which would be another pattern of bytes."""
    rounded = jnp.round(weights / bin_width) * bin_width
    return jnp.where(rounded == 0, 0, rounded)


def _vector(params: Any) -> jax.Array:
    return jnp.concatenate([jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(params)])


def compress(values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Compress the vectors; bz2 lets go of the interpreter's lock, so that threads work side by side."""
    sizes = {name: len(bz2.compress(values[name].astype("<f4").tobytes())) for name in ("coarse", "exact")}
    result = {"compressed_size": sizes["coarse"], "compressed_size_exact": sizes["exact"]}
    return result | {name: value for name, value in values.items() if name not in sizes}


COMPRESSED_SIZE = Measure("compressed_size", compressed_size, VARIABLES, needs=("parameters",), finish=compress)
