"""The parameter tree of a run: the network's own parameters, its kernels, and local heads beside them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.models.base import is_kernel

# Heads of a training scheme: trained with the network, no part of it.
LOCAL_HEADS = "local_heads"


def own(params: Any) -> Any:
    """Return the parameters of the network itself, without local heads."""
    return {name: tree for name, tree in params.items() if name != LOCAL_HEADS}


def map_kernels(function: Callable[[jax.Array], jax.Array], params: Any) -> Any:
    """Apply a function to every kernel of the network; all else stays what it is."""

    def mapped(path: tuple, leaf: jax.Array) -> jax.Array:
        return function(leaf) if is_kernel(path) and path[0].key != LOCAL_HEADS else leaf

    return jax.tree_util.tree_map_with_path(mapped, params)


def kernels(params: Any) -> list[jax.Array]:
    """Return the kernels of the network."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(own(params))
    return [leaf for path, leaf in leaves if is_kernel(path)]


def transposed(tree: Any) -> Any:
    """Transpose every kernel of a tree that is a matrix.

    While a run is trained its kernels and their moments are held as [out, in]: on CPU the products of the backward
    pass are faster so (a whole step takes .93 to .97 of the time), and the bits are the same. The products absorb
    the transpositions inside the step.
    """

    def turned(path: tuple, leaf: jax.Array) -> jax.Array:
        return leaf.T if leaf.ndim == 2 and is_kernel(path) else leaf

    return jax.tree_util.tree_map_with_path(turned, tree)


def all_finite(tree: Any) -> jax.Array:
    """Return whether every number of a tree is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
