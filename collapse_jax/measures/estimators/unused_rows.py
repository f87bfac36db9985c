"""Rows of tables of parameters (embeddings, positions) that no example looks up."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Snapshot
from collapse_jax.measures.estimators.coarse_graining import is_kernel, named
from collapse_jax.measures.estimators.evaluation import in_batches


def used_rows(snapshot: Snapshot) -> dict[str, jax.Array]:
    """Which rows of each table any train example looks up, by the table's name: [rows] booleans.

    A table is a tensor of two axes or more that is no kernel, of which all rows are used: `embedding`, positions,
    ... A row that is not looked up has no influence: the gradient of the logits is exactly zero. It is taken at
    random parameters, the same for all runs, because at those of a run it can vanish for other reasons (all
    weights zero, saturation).
    """
    tables = {n: leaf for n, leaf in named(snapshot.params).items() if leaf.ndim >= 2 and not is_kernel(n)}
    if not tables or snapshot.network is None or snapshot.train.examples is None:
        return {}
    generic = jax.tree.map(functools.partial(_random, jax.random.key(0)), snapshot.params)

    def influence(inputs: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
        def total(own: dict[str, Any]) -> jax.Array:
            leaves = [own.get(name, leaf) for name, leaf in named(generic).items()]
            logits, _ = snapshot.apply(jax.tree.unflatten(jax.tree.structure(generic), leaves), inputs)
            return jnp.sum(jnp.sin(jnp.arange(logits.size, dtype=logits.dtype)).reshape(logits.shape) * logits)

        own = {name: leaf for name, leaf in named(generic).items() if name in tables}
        slopes = jax.grad(total)(own)
        return {name: jnp.sum(jnp.abs(s.reshape(-1, s.shape[-1])), axis=1) for name, s in slopes.items()}

    sums = in_batches(influence, snapshot.train.examples, snapshot.train.labels)
    return {name: value > 0 for name, value in sums.items()}


def _random(key: jax.Array, leaf: jax.Array) -> jax.Array:
    scale = max(leaf.size // max(leaf.shape[-1:] or (1,)), 1) ** -0.5
    return scale * jax.random.normal(jax.random.fold_in(key, leaf.size), leaf.shape, leaf.dtype)
