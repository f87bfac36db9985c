"""Norms of the parameters."""

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.precision import at_least_float32

VARIABLES = {
    "weight_norm": Variable("Weight norm", "1", "L2 norm of all parameters as one vector"),
    "weight_norm_sum": Variable("Sum of weight norms", "1", "sum over parameter tensors of the L2 norm of each"),
    "last_layer_norm": Variable(
        "Last-layer norm", "1", "Frobenius norm of the kernel of the last layer, without the bias"
    ),
}


def norms(snapshot: Snapshot) -> Scalars:
    """Norms of the parameters, biases included unless said otherwise.

    * `weight_norm` = sqrt(sum_t ||theta_t||^2) over all parameter tensors t.
    * `weight_norm_sum` = sum_t ||theta_t||, what arXiv:2509.20829 plots as weight norm. It is no norm of the
      parameter vector: it exceeds `weight_norm` by up to the square root of the number of tensors.
    * `last_layer_norm` = ||W||_F of the head kernel.

    Args:
      snapshot: reads `params` and `head_kernel`.

    Returns:
      The three variables; the first two need `params`, the last needs `head_kernel`. nan parameters give nan.
    """
    result = {}
    tensors = jax.tree.leaves(snapshot.params)
    if tensors:
        lengths = jnp.stack([_length(tensor) for tensor in tensors])
        result["weight_norm"] = _length(lengths)
        result["weight_norm_sum"] = jnp.sum(lengths)
    if snapshot.head_kernel is not None:
        result["last_layer_norm"] = _length(snapshot.head_kernel)
    return result


def _length(tensor: jax.Array) -> jax.Array:
    """L2 norm, summed in float32 or wider."""
    return jnp.linalg.norm(at_least_float32(tensor).ravel())


NORMS = Measure("norms", norms, VARIABLES, needs=("weights",))
