"""Distances to the nearest neighbours by brute force, tile by tile."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# Rows whose distances to all N points are held at once: 256 x 10,000 float32 are 10 MB.
TILE = 256


def distances_max(point: jax.Array, points: jax.Array) -> jax.Array:
    """[N] maximum-norm distances of `point` [d] to the rows of `points` [N, d]."""
    # One coordinate after the other keeps the long axis innermost: no [N, d] array, and vector instructions.
    result = jnp.zeros_like(points[:, 0])
    for column in range(points.shape[1]):
        result = jnp.maximum(result, jnp.abs(points[:, column] - point[column]))
    return result


def distances_euclidean(point: jax.Array, points: jax.Array) -> jax.Array:
    """[N] Euclidean distances of `point` [d] to the rows of `points` [N, d]."""
    # Explicit differences: the product form of d^2 loses the distances inside a collapsed class.
    result = jnp.zeros_like(points[:, 0])
    for column in range(points.shape[1]):
        result = result + (points[:, column] - point[column]) ** 2
    return jnp.sqrt(result)


def smallest(distances: jax.Array, allowed: jax.Array, k: int) -> jax.Array:
    """[k] the smallest of `distances` [N] where `allowed` [N], ascending; inf where there are fewer."""
    return -lax.top_k(jnp.where(allowed, -distances, -jnp.inf), k)[0]


def each_point(function: Callable[..., Any], *arrays: jax.Array) -> Any:
    """`function(i, *row)` for every row i of the arrays, `TILE` rows at a time; results stacked."""
    count = len(arrays[0])
    return lax.map(lambda row: function(*row), (jnp.arange(count), *arrays), batch_size=min(TILE, count))
