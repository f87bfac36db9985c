"""Levels of the training inside one program: of train, prune and rewind, and the stages of a scheme.

See `experiment.training.Levels` and `Training.stages`.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from collapse_jax.training.trees import is_kernel, own

Mask = Any


@dataclasses.dataclass(frozen=True)
class Equal:
    """Levels of equal length without end.

    Attributes:
      steps: of a level.
    """

    steps: int

    def level(self, step: jax.Array) -> jax.Array:
        """Return the number of the level of a step."""
        return step // self.steps

    def first(self, level: jax.Array) -> jax.Array:
        """Return the first step of a level."""
        return level * self.steps


@dataclasses.dataclass(frozen=True)
class Unequal:
    """Levels of given lengths, the last one without end.

    Attributes:
      steps: of each level.
    """

    steps: tuple[int, ...]

    @property
    def _starts(self) -> jax.Array:
        return jnp.array([0, *itertools.accumulate(self.steps[:-1])], jnp.int32)

    def level(self, step: jax.Array) -> jax.Array:
        """Return the number of the level of a step."""
        return jnp.sum(self._starts <= step, dtype=jnp.int32) - 1

    def first(self, level: jax.Array) -> jax.Array:
        """Return the first step of a level."""
        return jnp.append(self._starts, jnp.iinfo(jnp.int32).max)[level]


Division = Equal | Unequal


def all_kept(params: Any) -> Mask:
    """Return the mask of the first level: a tree like the network's parameters, true everywhere."""
    return jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), own(params))


def masked(params: Any, mask: Mask) -> Any:
    """Set the pruned weights to zero; without a mask there are none."""
    return params | jax.tree.map(lambda kept, leaf: jnp.where(kept, leaf, 0), mask, own(params)) if mask else params


def pruned(params: Any, mask: Mask, share: float) -> Mask:
    """Prune round(share n) of the n weights that remain, those of the smallest magnitude, of all kernels together.

    Weights are elements of kernels; nothing else is pruned.
    """

    def rank(path: tuple, leaf: jax.Array, kept: jax.Array) -> jax.Array:
        # What is pruned already comes first in the order, and what is never pruned last.
        return jnp.where(kept, jnp.abs(leaf), -1) if is_kernel(path) else jnp.full_like(leaf, jnp.inf)

    ranks, unravel = ravel_pytree(jax.tree_util.tree_map_with_path(rank, own(params), mask))
    gone = jnp.sum(ranks < 0)
    remaining = jnp.sum(ranks < jnp.inf) - gone
    gone += jnp.round(share * remaining).astype(gone.dtype)
    kept = jnp.zeros_like(ranks).at[jnp.argsort(ranks)].set(jnp.arange(len(ranks)) >= gone)
    return jax.tree.map(lambda leaf: leaf > 0, unravel(kept))


def over_levels(
    stretch: Callable[[Any, jax.Array, jax.Array], Any], rewind: Callable[[Any], Any], division: Division
) -> Callable[[Any, jax.Array, jax.Array], Any]:
    """Return `advance(state, start, stop)` that trains through levels.

    Args:
      stretch: `stretch(state, start, stop)` trains inside one level.
      rewind: makes the state with which a level begins of the one with which the level before ended.
      division: into levels.
    """

    def one_level(level: jax.Array, bounds: tuple[Any, jax.Array, jax.Array]) -> tuple[Any, jax.Array, jax.Array]:
        state, start, stop = bounds
        first, last = jnp.maximum(start, division.first(level)), jnp.minimum(stop, division.first(level + 1))
        begins = (first == division.first(level)) & (level > 0)
        # `level` has no run axis, so under vmap this stays a branch.
        state = jax.lax.cond(begins, rewind, lambda same: same, state)
        return stretch(state, first, last), start, stop

    def advance(state: Any, start: jax.Array, stop: jax.Array) -> Any:
        levels = division.level(start), division.level(stop - 1) + 1
        return jax.lax.fori_loop(*levels, one_level, (state, start, stop))[0]

    return advance
