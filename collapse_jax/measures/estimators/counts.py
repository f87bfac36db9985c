"""How many rows of a table are closer than a radius, at it and farther, in two spaces at once."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from collapse_jax.measures.estimators.neighbours import Members, Table, chunk_of, over_chunks

Distances = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
# Of a field that counts the rows of a chunk, at most 7.
_BITS = 3


def counts(first: jax.Array, second: jax.Array, radius: jax.Array) -> jax.Array:
    """[3, 3] of rows with distances `first` and `second` [...]: closer than `radius`, at it, farther."""
    sides = [(d < radius, d == radius, d > radius) for d in (first, second)]
    return jnp.stack([jnp.stack([_size(one & other) for other in sides[1]]) for one in sides[0]])


def counts_of_table(table: Table, distances: Distances, radius: jax.Array) -> jax.Array:
    """[3, 3] `counts` of all rows of a table, of which `distances(columns, labels)` gives both distances."""

    def at_once() -> jax.Array:
        return counts(*distances(table.columns, table.labels), radius)

    return lax.platform_dependent(cpu=lambda: _in_words(table, distances, radius), default=at_once)


def _in_words(table: Table, distances: Distances, radius: jax.Array) -> jax.Array:
    """[3, 3] the counts in one pass: XLA on CPU would compute the distances anew for each of them.

    A row is a one in one of nine fields of a word; words of a chunk are added before their fields are taken apart.
    """

    def step(words: jax.Array, number: jax.Array, members: list[Members]) -> jax.Array:
        places = ([_side(d, radius) for d in distances(m.columns, m.labels)] for m in members)
        ones = (jnp.uint32(1) << (_BITS * (3 * one + other)) for one, other in places)
        return words.at[number].set(functools.reduce(jnp.add, ones))

    _, size, lanes = table.columns.shape
    words = over_chunks(table, step, jnp.zeros((size // chunk_of(size), lanes), jnp.uint32))
    every = (1 << _BITS) - 1
    fields = [_size((words >> (_BITS * place)) & every) for place in range(9)]
    return jnp.stack(fields).reshape(3, 3)


def _side(distances: jax.Array, radius: jax.Array) -> jax.Array:
    """[...] 0 closer than the radius, 1 at it, 2 farther."""
    return 2 - (distances < radius).astype(jnp.uint32) - (distances <= radius)


def _size(rows: jax.Array) -> jax.Array:
    # First over the groups, so that the additions are those of vectors.
    return jnp.sum(jnp.sum(rows, axis=0, dtype=jnp.int32))
