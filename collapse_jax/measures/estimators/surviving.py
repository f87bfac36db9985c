"""The parameters of a network as one vector, of which some weights may be pruned."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from collapse_jax.measures.base import Snapshot
from collapse_jax.measures.precision import at_least_float32

BLOCK = 1000  # examples that a network is applied to at once

Loss = Callable[[jax.Array], jax.Array]


class Surviving:
    """A network's parameters theta [P], which of them are there, and losses of any other vector on the train set.

    Attributes:
      theta: [P], 0 where a weight was pruned.
      initial: [P] theta_0, 0 there too.
      kept: [P] of 1 and 0.
      weights: number of weights, elements of kernels, which alone can be pruned; N.
      pruned: how many of them were.
    """

    def __init__(self, snapshot: Snapshot):
        """Read `params`, `initial`, `mask` and the train examples of a snapshot."""
        self._snapshot = snapshot
        ones = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), snapshot.params)
        mask = ones if snapshot.mask is None else snapshot.mask
        theta, self._restore = ravel_pytree(jax.tree.map(at_least_float32, snapshot.params))
        self.kept = ravel_pytree(mask)[0].astype(theta.dtype)
        self.theta = theta * self.kept
        self.initial = ravel_pytree(snapshot.initial)[0].astype(theta.dtype) * self.kept
        kernels = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(mask) if _is_kernel(path)]
        self.weights = sum(leaf.size for leaf in kernels)
        gone = [jnp.sum(~leaf, dtype=theta.dtype) for leaf in kernels]
        self.pruned = jnp.sum(jnp.stack(gone)) if gone else jnp.zeros((), theta.dtype)

    def mean(self, per_example: Callable[[jax.Array, jax.Array], jax.Array]) -> Loss:
        """Return vector [P] -> mean of per_example(logits, labels) over the train set, in blocks of `BLOCK`.

        Blocks are summed one after the other, so that derivatives, too, hold one block at a time.
        """
        train = self._snapshot.train
        assert train.examples is not None
        count = len(train.labels)
        size = min(BLOCK, count)
        padding = -count % size

        def blocks(array: jax.Array) -> jax.Array:
            padded = jnp.concatenate([array, jnp.repeat(array[:1], padding, axis=0)])
            return padded.reshape(-1, size, *array.shape[1:])

        index = blocks(jnp.arange(count)).at[-1, size - padding :].set(-1)
        rows = blocks(train.examples), blocks(train.labels), index

        def mean(vector: jax.Array) -> jax.Array:
            @jax.checkpoint
            def add(total: jax.Array, block: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
                examples, labels, index = block
                values = per_example(self._snapshot.apply(self._restore(vector), examples)[0], labels)
                return total + jnp.sum(jnp.where(index < 0, 0, values)), None

            return jax.lax.scan(add, jnp.zeros((), vector.dtype), rows)[0] / count

        return mean

    @property
    def loss(self) -> Loss:
        """The mean training loss of a vector."""
        assert self._snapshot.loss is not None
        return self.mean(self._snapshot.loss)

    @property
    def error(self) -> Loss:
        """The share of the train set whose largest logit is not that of the label."""

        def wrong(logits: jax.Array, labels: jax.Array) -> jax.Array:
            finite = jnp.all(jnp.isfinite(logits), axis=1)  # the largest of nan is one of them
            return jnp.where(finite, jnp.argmax(logits, axis=1) != labels, jnp.nan)

        return self.mean(wrong)


def is_there(snapshot: Snapshot) -> bool:
    """Whether a snapshot holds a network, its examples and its loss."""
    return snapshot.train.examples is not None and snapshot.loss is not None and snapshot.initial is not None


def _is_kernel(path: tuple[Any, ...]) -> bool:
    return getattr(path[-1], "key", None) == "kernel"
