"""Losses: a value per example, and how a batch of them is reduced to the training objective."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Loss:
    """A training loss.

    Attributes:
      per_example: maps logits [N, K] and labels [N] to losses [N]; logged losses are its mean.
      summed: whether the training objective sums over the batch instead of averaging.
      units: of the logged value.
    """

    per_example: Callable[[jax.Array, jax.Array], jax.Array]
    summed: bool
    units: str

    def objective(self, logits: jax.Array, labels: jax.Array, weights: jax.Array | None) -> jax.Array:
        """Reduce a batch to a scalar; `weights` [N] of 0 and 1 mark the examples that count (None: all)."""
        losses = self.per_example(logits, labels)
        count = len(losses) if weights is None else jnp.sum(weights)
        if weights is not None:
            losses = losses * weights
        return jnp.sum(losses) if self.summed else jnp.sum(losses) / count


def squared_error(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return sum_k (f_k - [k = y])^2 per example [N]; no factor 1/2."""
    return jnp.sum((logits - jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)) ** 2, axis=-1)


def mean_squared_error(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return (1/K) sum_k (f_k - [k = y])^2 per example [N]."""
    return squared_error(logits, labels) / logits.shape[-1]


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return -log softmax(f)_y per example [N], in nats."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)[:, 0]


LOSSES: dict[str, Loss] = {
    "squared_error_sum": Loss(squared_error, summed=True, units="1"),
    "squared_error_mean": Loss(mean_squared_error, summed=False, units="1"),
    "cross_entropy": Loss(cross_entropy, summed=False, units="nats"),
}
