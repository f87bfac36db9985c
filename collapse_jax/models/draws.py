"""How the parameters of any model may be drawn in the place of its own initialisation."""

from collections.abc import Callable
from typing import Any

import jax

from collapse_jax.models.base import is_kernel

KAIMING_NORMAL = "kaiming_normal"


def kaiming_normal(params: Any, key: jax.Array) -> Any:
    """Draw kernels from N(0, 2 / inputs) and scales of normalisation from U(0, 1); biases stay what they are.

    Inputs are those of one output: of a convolution k^2 C. So begin the networks of arXiv:2205.07320 and of
    open_lth, where layers without normalisation keep PyTorch's biases.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    keys = jax.random.split(key, len(leaves))

    def drawn(path: tuple, leaf: jax.Array, key: jax.Array) -> jax.Array:
        if is_kernel(path):
            inputs = leaf.size // leaf.shape[-1]
            return (2 / inputs) ** 0.5 * jax.random.normal(key, leaf.shape, leaf.dtype)
        return jax.random.uniform(key, leaf.shape, leaf.dtype) if path[-1].key == "scale" else leaf

    redrawn = [drawn(path, leaf, key) for (path, leaf), key in zip(leaves, keys, strict=True)]
    return jax.tree_util.tree_unflatten(structure, redrawn)


# By the value of `model.init`; others leave the model's own.
DRAWS: dict[str, Callable[[Any, jax.Array], Any]] = {KAIMING_NORMAL: kaiming_normal}
