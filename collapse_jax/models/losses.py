"""Losses, by name in `LOSSES`: a value per example, and how a batch of them is reduced to the objective."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from collapse_jax.errors import ConfigError
from collapse_jax.experiment.extensions import find, guarded, is_extension


@dataclasses.dataclass(frozen=True)
class Loss:
    """A training loss; one of your own is a `Loss` in a file, `--config.loss=FILE.py:NAME`.

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


def stablemax_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Return -log (s(f_y) / sum_k s(f_k)) per example [N], in nats, s(x) = x + 1 for x >= 0 and 1 / (1 - x) below.

    It has no exponential, so that large logits of the right class do not round the others away and end the training
    (arXiv 2501.04697).
    """
    # Each branch sees only what it can take, or the gradient of the other would be nan.
    below = 1 / (1 - jnp.minimum(logits, 0))
    scores = jnp.where(logits >= 0, logits + 1, below)
    right = jnp.take_along_axis(scores, labels[:, None], axis=-1)[:, 0]
    return jnp.log(jnp.sum(scores, axis=-1)) - jnp.log(right)


LOSSES: dict[str, Loss] = {
    "squared_error_sum": Loss(squared_error, summed=True, units="1"),
    "squared_error_mean": Loss(mean_squared_error, summed=False, units="1"),
    "cross_entropy": Loss(cross_entropy, summed=False, units="nats"),
    "stablemax_cross_entropy": Loss(stablemax_cross_entropy, summed=False, units="nats"),
}


def find_loss(name: str) -> Loss:
    """Return the loss called `name`, or the one that "FILE.py:NAME" defines.

    Raises:
      ConfigError: there is none. Where it is traced: it raised, or does not return one number per example.
    """
    loss = find("loss", name, LOSSES, Loss)
    if not is_extension(name):
        return loss
    per_example = guarded("loss", name, loss.per_example)

    def checked(logits: jax.Array, labels: jax.Array) -> jax.Array:
        found = per_example(logits, labels)
        if getattr(found, "shape", None) != labels.shape or not jnp.issubdtype(found.dtype, jnp.floating):
            raise ConfigError(
                "loss", name, f"must map logits [N, K] and labels [N] to real losses [N], not {found}"
            )
        return found

    return dataclasses.replace(loss, per_example=checked)
