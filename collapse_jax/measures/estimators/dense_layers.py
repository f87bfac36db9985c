"""The weights of a fully connected network as the theorems name them, and operator norms."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from collapse_jax.errors import ConfigError
from collapse_jax.measures.precision import at_least_float32, matmul

SQUARINGS = 20


class Dense(NamedTuple):
    """One layer z -> z @ kernel + bias.

    Attributes:
      kernel: [in, out], the transpose of the W_l of the papers; float32 at least.
      bias: [out]; zero where the layer has none.
    """

    kernel: jax.Array
    bias: jax.Array


def is_dense_chain(params: Any) -> bool:
    """Whether the parameters are those of dense layers `hidden_0`, `hidden_1`, ..., `head` and nothing else."""
    if not isinstance(params, Mapping) or "head" not in params:
        return False
    hidden = [name for name in params if name != "head"]
    named = all(re.fullmatch(r"hidden_\d+", name) for name in hidden) and len(hidden) > 0
    return named and all(
        isinstance(layer, Mapping) and "kernel" in layer and layer["kernel"].ndim == 2 for layer in params.values()
    )


def dense_layers(measure: str, params: Any) -> list[Dense]:
    """All layers from the first to the head.

    Raises:
      ConfigError: the network is not a chain of dense layers; the message names `measure`.
    """
    if not is_dense_chain(params):
        held = ", ".join(map(str, params)) if isinstance(params, Mapping) else type(params).__name__
        allowed = f"is defined for dense layers hidden_0, hidden_1, ..., head; the parameters hold {held}"
        raise ConfigError("measures", measure, allowed)
    hidden = sorted((name for name in params if name != "head"), key=lambda name: int(name.split("_")[1]))
    return [_read(params[name]) for name in (*hidden, "head")]


def _read(layer: Mapping[str, Any]) -> Dense:
    kernel = at_least_float32(layer["kernel"])
    bias = layer.get("bias")
    return Dense(
        kernel, jnp.zeros(kernel.shape[1:], kernel.dtype) if bias is None else jnp.asarray(bias, kernel.dtype)
    )


def operator_norm(matrix: jax.Array) -> jax.Array:
    """Largest singular value of a matrix, to about 10^-5 of it or better; nan if an entry is not finite.

    The power 2^20 of the smaller Gram matrix is formed by squaring, which leaves its leading directions alone,
    and the Gram matrix is averaged over them: an order of magnitude cheaper on CPU than an eigenvalue solver.
    Singular values that are not told apart are equal to that precision.
    """
    largest = jnp.max(jnp.abs(matrix))
    scaled = matrix / jnp.where(largest == 0, 1, largest)
    wide = matrix.shape[0] < matrix.shape[1]
    gram = matmul(scaled, scaled.T) if wide else matmul(scaled.T, scaled)

    def normalised(power: jax.Array) -> jax.Array:
        size = jnp.linalg.norm(power)
        return power / jnp.where(size == 0, 1, size)

    power = jax.lax.fori_loop(0, SQUARINGS, lambda _, a: normalised(matmul(a, a)), normalised(gram))
    trace = jnp.trace(power)
    return jnp.sqrt(jnp.sum(gram * power) / jnp.where(trace == 0, 1, trace)) * largest
