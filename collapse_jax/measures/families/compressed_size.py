"""How many bytes the parameters take, coarse-grained at one rank threshold and one bin width.

Source: "The Complexity Dynamics of Grokking" (DeMoss et al., arXiv:2412.09810), Equations 11, 13 and 14.
`complexity` searches for the threshold and the width.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from collapse_jax.errors import require
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators import coarse_graining as coarse
from collapse_jax.measures.estimators import messages
from collapse_jax.measures.estimators.evaluation import evaluate
from collapse_jax.measures.estimators.unused_rows import used_rows

VARIABLES = {
    "compressed_size": Variable(
        "Compressed size", "byte", "bytes of the coarse-grained parameters at one rank threshold and bin width"
    ),
    "compressed_size_exact": Variable(
        "Compressed size, not quantised", "byte", "bytes of bzip2 of all parameters as they are, in float32"
    ),
    "coarse_loss_change": Variable(
        "Loss change by coarse-graining", "loss", "mean train loss of the coarse network minus that of the network"
    ),
}


def compressed_size(
    snapshot: Snapshot, *, bin_width: float = 0.01, rank_threshold: float = 1.0, mode: str = "corrected"
) -> Scalars:
    """Size of the parameters theta, coarse-grained at a bin width D and a rank threshold tau.

    * `compressed_size` = bytes of the coarse-grained network in the form that `mode` says; see `complexity`.
    * `compressed_size_exact` = bytes of bz2 (level 9) of theta itself, float32, little-endian, one tensor after the
      other in the order of their names, without any header; rows that no example looks up are left out in the mode
      "corrected".
    * `coarse_loss_change` = L(coarse) - L(theta), mean loss over the train probe: the distortion that comes with
      the size. Two sizes are comparable at equal distortion only, which is what `complexity` gives.

    Limits: float32 noise costs about 3.8 bytes per parameter, all zeros about 50 in total. nan parameters give
    sizes without meaning (those of a diverged run are masked).

    Args:
      snapshot: reads `params`; for the loss and for unused rows also `network`, `loss` and the examples of `train`.
      bin_width: D > 0, in the unit of the weights.
      rank_threshold: tau in [0, 1]; 1: no matrix is factored.
      mode: "corrected", "paper" or "reference".

    Raises:
      ConfigError: an option is not allowed.
    """
    coarse.check_mode(mode)
    require(0 < bin_width < float("inf"), "bin_width", bin_width, "must be > 0")
    require(0 <= rank_threshold <= 1, "rank_threshold", rank_threshold, "must be in 0 ... 1")
    runs = snapshot.loss is not None and snapshot.train is not None and snapshot.train.examples is not None
    tensors = coarse.decompose(snapshot.params, used_rows(snapshot) if runs and mode == "corrected" else {})
    kept = coarse.ranks(tensors, jnp.asarray(rank_threshold), mode)
    result = messages.packed(tensors, snapshot.params) | {"ranks": kept}
    if runs:
        params = coarse.coarse(tensors, snapshot.params, kept, jnp.asarray(bin_width))
        losses = [evaluate(snapshot, each, snapshot.train, mode)[0] for each in (params, snapshot.params)]
        result["coarse_loss_change"] = losses[0] - losses[1]
    return result


def compress(
    values: Mapping[str, np.ndarray], *, bin_width: float = 0.01, mode: str = "corrected"
) -> dict[str, Any]:
    """Compress what `compressed_size` returned; bz2 lets go of the interpreter's lock, for threads side by side."""
    tensors = messages.unpacked(values)
    result: dict[str, Any] = {
        "compressed_size": messages.size(tensors, values["ranks"], bin_width, mode),
        "compressed_size_exact": messages.exact_size(tensors),
    }
    return result | {name: values[name] for name in ("coarse_loss_change",) if name in values}


COMPRESSED_SIZE = Measure("compressed_size", compressed_size, VARIABLES, needs=("parameters",), finish=compress)
