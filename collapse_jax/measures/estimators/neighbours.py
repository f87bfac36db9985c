"""Distances to the nearest neighbours by brute force, tile by tile."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

# Rows whose distances to all N points are held at once, and groups into which the points are dealt.
TILE, LANES = 64, 128
# Members of all groups that a loop on CPU takes at once; at most `MOST`.
LEAST, MOST = 4, 7
_VECTOR = 16


class Table(NamedTuple):
    """N points dealt into `LANES` groups of B, filled up with points at infinity.

    Attributes:
      columns: [d, B, LANES] coordinates, point i at [:, i // LANES, i % LANES].
      groups: [LANES, d, B] the same, the points of a group together.
      labels: [B, LANES] a label of every point, -1 where the groups were filled up.
    """

    columns: jax.Array
    groups: jax.Array
    labels: jax.Array

    def point(self, index: jax.Array) -> jax.Array:
        """[d] the row `index`, bit for bit as its neighbours are: XLA may compute an array anew for another use."""
        return self.columns[:, index // LANES, index % LANES]


class Members(NamedTuple):
    """One point of every group: `columns` [d, LANES], `labels` [LANES] and `indices` [LANES] of rows."""

    columns: jax.Array
    labels: jax.Array
    indices: jax.Array


def table_of(points: jax.Array, labels: jax.Array | None = None) -> Table:
    """The table of `points` [N, d] and their `labels` [N] (None: all the same)."""
    count, dim = points.shape
    size = -(-count // LANES)
    size += -size % chunk_of(size)
    labels = jnp.zeros(count, jnp.int32) if labels is None else labels
    padding = (0, size * LANES - count)
    columns = jnp.pad(points, (padding, (0, 0)), constant_values=jnp.inf).T.reshape(dim, size, LANES)
    labels = jnp.pad(labels, padding, constant_values=-1).reshape(size, LANES)
    table = Table(columns, columns.transpose(2, 0, 1), labels)
    # Without the barrier the transposition moves into the loop over tiles, whose reads are then four times slower.
    return lax.optimization_barrier(table)


def chunk_of(size: int) -> int:
    """Into how many members groups of `size` are divided best: few are to be filled up."""
    return size if size <= MOST else min(range(MOST, LEAST - 1, -1), key=lambda chunk: -size % chunk)


def over_chunks(table: Table, step: Callable[[jax.Array, jax.Array, list[Members]], jax.Array], start: Any) -> Any:
    """What becomes of `start` by `step(value, number, members)` for one chunk of all groups after the other.

    For CPU: a loop over so few points stays in the cache of a core, and XLA makes vector instructions of it, if
    `value` is one array; each of several would be computed from the beginning.
    """
    size = table.columns.shape[1]
    chunk = chunk_of(size)

    def body(number: jax.Array, value: Any) -> Any:
        begin = number * chunk
        columns = lax.dynamic_slice_in_dim(table.columns, begin, chunk, 1)
        labels = lax.dynamic_slice_in_dim(table.labels, begin, chunk, 0)
        lanes = jnp.arange(LANES)
        members = [Members(columns[:, i], labels[i], (begin + i) * LANES + lanes) for i in range(chunk)]
        return step(value, number, members)

    return lax.fori_loop(0, size // chunk, body, start)


def distances_max(point: jax.Array, columns: jax.Array) -> jax.Array:
    """[...] maximum-norm distances of `point` [d] to the points with coordinates `columns` [d, ...]."""
    # One coordinate after the other: no array of differences, and vector instructions.
    result = jnp.zeros_like(columns[0])
    for value, column in zip(point, columns, strict=True):
        result = jnp.maximum(result, jnp.abs(column - value))
    return result


def distances_euclidean(point: jax.Array, columns: jax.Array) -> jax.Array:
    """[...] Euclidean distances of `point` [d] to the points with coordinates `columns` [d, ...]."""
    # Explicit differences: the product form of d^2 loses the distances inside a collapsed class.
    result = jnp.zeros_like(columns[0])
    for value, column in zip(point, columns, strict=True):
        result = result + (column - value) ** 2
    return jnp.sqrt(result)


def nearest(
    table: Table,
    distances: Callable[[jax.Array, jax.Array], jax.Array],
    index: jax.Array,
    point: jax.Array,
    k: int,
    label: jax.Array | None = None,
) -> jax.Array:
    """[k] distances of `point` [d], row `index` of the table, to its nearest neighbours, ascending.

    Neighbours are the other rows (with the label `label`, if it is given); inf where there are fewer than k.
    """
    size = table.columns.shape[1]
    indices = jnp.arange(size * LANES).reshape(size, LANES)

    def allowed(columns: jax.Array, labels: jax.Array, indices: jax.Array) -> jax.Array:
        others = indices != index
        if label is not None:
            others &= labels == label
        return jnp.where(others, distances(point, columns), jnp.inf)

    def at_once() -> jax.Array:
        return jnp.min(allowed(table.columns, table.labels, indices), axis=0)

    def in_turn() -> jax.Array:
        def step(least: jax.Array, _: jax.Array, members: list[Members]) -> jax.Array:
            return functools.reduce(jnp.minimum, (allowed(*m) for m in members), least)

        return over_chunks(table, step, jnp.full(LANES, jnp.inf, table.columns.dtype))

    # The k nearest points lie in the k groups whose nearest members are the nearest: one pass over all points finds
    # these groups, and only their members are ranked.
    remaining = lax.platform_dependent(cpu=in_turn, default=at_once)
    chosen = []
    for _ in range(k if k < LANES else 0):
        chosen.append(jnp.argmin(remaining))
        remaining = jnp.where(jnp.arange(LANES) == chosen[-1], jnp.inf, remaining)
    lanes = jnp.stack(chosen) if chosen else jnp.arange(LANES)
    # Where all that remain are infinite, a group may be chosen twice; a repeated one must not count again.
    repeated = jnp.any(jnp.tril(lanes[:, None] == lanes[None, :], -1), axis=1)
    candidates = allowed(jnp.moveaxis(table.groups[lanes], 1, 0), table.labels.T[lanes], indices.T[lanes])
    return smallest(jnp.where(repeated[:, None], jnp.inf, candidates).reshape(-1), k)


def smallest(distances: jax.Array, k: int) -> jax.Array:
    """[k] the smallest of `distances` [N], ascending; inf where there are fewer."""
    # Passes over the row: XLA on CPU turns some uses of lax.top_k into a full sort, 30 times slower. Each goes over
    # the first axis first, in vector instructions.
    distances = jnp.pad(distances, (0, -len(distances) % _VECTOR), constant_values=jnp.inf).reshape(-1, _VECTOR)

    def least(values: jax.Array) -> jax.Array:
        return jnp.min(jnp.min(values, axis=0))

    found = [least(distances)]
    for rank in range(1, k):
        last = found[-1]
        following = least(jnp.where(distances > last, distances, jnp.inf))
        # Equal distances are neighbours of their own.
        found.append(
            jnp.where(jnp.sum(jnp.sum(distances <= last, axis=0, dtype=jnp.int32)) > rank, last, following)
        )
    return jnp.stack(found)


def each_point(function: Callable[..., Any], *arrays: jax.Array, rows: jax.Array | None = None) -> Any:
    """`function(i, *row)` for every row i of the arrays (or for `rows`), `TILE` rows at a time; results stacked."""
    rows = jnp.arange(len(arrays[0])) if rows is None else rows
    count = len(rows)
    size = min(TILE, count)
    # The last tile is filled up with rows from the start: a shorter one would be compiled on its own.
    rows = rows[jnp.arange(-(-count // size) * size) % count]
    results = lax.map(lambda row: function(*row), (rows, *(array[rows] for array in arrays)), batch_size=size)
    return jax.tree.map(lambda result: result[:count], results)
