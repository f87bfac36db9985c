"""Distances to the nearest neighbours by brute force, tile by tile."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# Rows whose distances to all N points are held at once: 64 x 10,000 float32 are 2.6 MB, which a cache holds.
TILE = 64


def columns_of(points: jax.Array) -> jax.Array:
    """[d, N] the coordinates of `points` [N, d], each contiguous in memory."""
    # Without the barrier the transposition moves into the loop over tiles, whose reads are then four times slower.
    return lax.optimization_barrier(points.T)


def distances_max(point: jax.Array, columns: jax.Array) -> jax.Array:
    """[N] maximum-norm distances of `point` [d] to the points with coordinates `columns` [d, N]."""
    # One coordinate after the other: no array of differences, and vector instructions.
    result = jnp.zeros_like(columns[0])
    for value, column in zip(point, columns, strict=True):
        result = jnp.maximum(result, jnp.abs(column - value))
    return result


def distances_euclidean(point: jax.Array, columns: jax.Array) -> jax.Array:
    """[N] Euclidean distances of `point` [d] to the points with coordinates `columns` [d, N]."""
    # Explicit differences: the product form of d^2 loses the distances inside a collapsed class.
    result = jnp.zeros_like(columns[0])
    for value, column in zip(point, columns, strict=True):
        result = result + (column - value) ** 2
    return jnp.sqrt(result)


def smallest(distances: jax.Array, allowed: jax.Array, k: int) -> jax.Array:
    """[k] the smallest of `distances` [N] where `allowed` [N], ascending; inf where there are fewer."""
    # Passes over the row: XLA on CPU turns some uses of lax.top_k into a full sort, 30 times slower.
    distances = jnp.where(allowed, distances, jnp.inf)
    found = [jnp.min(distances)]
    for rank in range(1, k):
        last = found[-1]
        following = jnp.min(jnp.where(distances > last, distances, jnp.inf))
        # Equal distances are neighbours of their own.
        found.append(jnp.where(jnp.sum(distances <= last) > rank, last, following))
    return jnp.stack(found)


def each_point(function: Callable[..., Any], *arrays: jax.Array) -> Any:
    """`function(i, *row)` for every row i of the arrays, `TILE` rows at a time; results stacked."""
    count = len(arrays[0])
    size = min(TILE, count)
    # The last tile is filled up with rows from the start: a shorter one would be compiled on its own.
    rows = jnp.arange(-(-count // size) * size) % count
    results = lax.map(lambda row: function(*row), (rows, *(array[rows] for array in arrays)), batch_size=size)
    return jax.tree.map(lambda result: result[:count], results)
