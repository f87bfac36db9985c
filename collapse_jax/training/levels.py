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

from collapse_jax.errors import require
from collapse_jax.experiment.training import Levels
from collapse_jax.models.base import is_kernel
from collapse_jax.training.trees import own

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
SMALLEST, LARGEST, RANDOM = RULES = ("smallest", "largest", "random")


@dataclasses.dataclass(frozen=True)
class Pruning:
    """What is pruned between two levels, see `experiment.training.Levels`.

    Attributes:
      share: of the weights that remain.
      rule: of `RULES`.
      ignored: first names of parameters that stay.
      rewind: step of the first level to which a level is rewound.
    """

    share: float
    rule: str = SMALLEST
    ignored: tuple[str, ...] = ()
    rewind: int = 0


def require_weights(levels: Levels, steps: int, params: Any) -> None:
    """Make sure that the ignored layers exist, and that the last of the levels of `steps` steps has a weight left.

    Raises:
      ConfigError: naming the field.
    """
    if not levels.steps:
        return
    ignored = levels.ignored or ()
    for name in ignored:
        allowed = f"no such layer; the model has {', '.join(params)}"
        require(name in params, "training.levels.ignored", name, allowed)
    leaves, _ = jax.tree_util.tree_flatten_with_path(own(params))
    weights = sum(leaf.size for path, leaf in leaves if is_prunable(path, ignored))
    prunings = (steps - 1) // levels.steps
    left = weights * (1 - levels.prune) ** prunings
    allowed = f"prunes {prunings} times, which leaves less than one of {weights} weights"
    require(left >= 1, "training.levels.prune", levels.prune, allowed)


def all_kept(params: Any) -> Mask:
    """Return the mask of the first level: a tree like the network's parameters, true everywhere."""
    return jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), own(params))


def masked(params: Any, mask: Mask) -> Any:
    """Set the pruned weights to zero; without a mask there are none."""
    return params | jax.tree.map(lambda kept, leaf: jnp.where(kept, leaf, 0), mask, own(params)) if mask else params


def is_prunable(path: tuple, ignored: tuple[str, ...] = ()) -> bool:
    """Whether a leaf holds weights that can be pruned: elements of kernels, but of the layers that are ignored."""
    return is_kernel(path) and path[0].key not in ignored


def pruned(params: Any, mask: Mask, pruning: Pruning, key: jax.Array | None = None) -> Mask:
    """Prune round(share n) of the n weights that remain, the first by the rule, of all prunable kernels together.

    Args:
      params: of the network.
      mask: what was kept so far.
      pruning: share, rule and what is ignored.
      key: of the rule "random".
    """
    leaves, unravel = ravel_pytree(own(params))
    if pruning.rule == RANDOM:
        assert key is not None
        order = jax.random.uniform(key, leaves.shape, leaves.dtype)
    else:
        order = jnp.abs(leaves) * (1 if pruning.rule == SMALLEST else -1)

    def rank(path: tuple, leaf: jax.Array, kept: jax.Array) -> jax.Array:
        # What is pruned already comes first in the order, and what is never pruned last.
        prunable = is_prunable(path, pruning.ignored)
        return jnp.where(kept, leaf, -jnp.inf) if prunable else jnp.full_like(leaf, jnp.inf)

    ranks, unravel = ravel_pytree(jax.tree_util.tree_map_with_path(rank, unravel(order), mask))
    gone = jnp.sum(ranks == -jnp.inf)
    remaining = jnp.sum(ranks < jnp.inf) - gone
    gone += jnp.round(pruning.share * remaining).astype(gone.dtype)
    kept = jnp.zeros_like(ranks).at[jnp.argsort(ranks)].set(jnp.arange(len(ranks)) >= gone)
    return jax.tree.map(lambda leaf: leaf > 0, unravel(kept))


def over_levels(
    stretch: Callable[[Any, jax.Array, jax.Array], Any],
    rewind: Callable[[Any, jax.Array], Any],
    division: Division,
    skipped: int = 0,
) -> Callable[[Any, jax.Array, jax.Array], Any]:
    """Return `advance(state, start, stop)` that trains through levels.

    Args:
      stretch: `stretch(state, start, stop)` trains inside one level.
      rewind: `rewind(state, level)` makes the state with which a level begins of the one with which the level
        before ended.
      division: into levels.
      skipped: first steps of every level but the first, which leave the state that `rewind` made.
    """

    def one_level(level: jax.Array, bounds: tuple[Any, jax.Array, jax.Array]) -> tuple[Any, jax.Array, jax.Array]:
        state, start, stop = bounds
        first, last = jnp.maximum(start, division.first(level)), jnp.minimum(stop, division.first(level + 1))
        begins = (first == division.first(level)) & (level > 0)
        # `level` has no run axis, so under vmap this stays a branch.
        state = jax.lax.cond(begins, rewind, lambda same, _: same, state, level)
        if skipped:
            first = jnp.where(level > 0, jnp.maximum(first, division.first(level) + skipped), first)
        return stretch(state, first, last), start, stop

    def advance(state: Any, start: jax.Array, stop: jax.Array) -> Any:
        levels = division.level(start), division.level(stop - 1) + 1
        return jax.lax.fori_loop(*levels, one_level, (state, start, stop))[0]

    return advance
