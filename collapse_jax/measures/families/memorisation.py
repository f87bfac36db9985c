"""How a network treats train examples whose label is wrong, beside those whose label is right."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable

_NOISY = "the train examples whose label is not the true one"
VARIABLES = {
    "noisy_share": Variable("Share of wrong labels", "1", f"{_NOISY}, as a fraction of all"),
    "clean_accuracy": Variable(
        "Train accuracy, right labels", "1", "fraction whose largest logit is that of the label, of the others"
    ),
    "noisy_accuracy": Variable(
        "Train accuracy, wrong labels",
        "1",
        f"fraction whose largest logit is that of the (wrong) label, of {_NOISY}",
    ),
    "noisy_true_accuracy": Variable(
        "Train accuracy for the truth, wrong labels",
        "1",
        f"fraction whose largest logit is that of the true class, of {_NOISY}",
    ),
    "clean_loss": Variable("Train loss, right labels", "loss", "mean loss per example, of the others"),
    "noisy_loss": Variable("Train loss, wrong labels", "loss", f"mean loss per example, of {_NOISY}"),
}


def memorisation(snapshot: Snapshot, *, loss: Callable[[jax.Array, jax.Array], jax.Array]) -> Scalars:
    """Accuracy and loss of the train examples with right labels and of those with wrong ones.

    A network that has memorised has `noisy_accuracy` 1 and `noisy_true_accuracy` 0; one that sees through the noise
    the other way round. Examples are those of the train probe; where the task knows no true labels, all are right.
    What there is none of is nan, and so is everything where a logit is nan.

    Args:
      snapshot: reads logits, labels and true labels of `train`.
      loss: `loss(logits [N, K], labels [N])` -> loss of each example [N], without weight decay; or the
        name of a loss (`list losses`).

    Returns:
      The variables; nothing without logits.
    """
    train = snapshot.train
    if train.logits is None:
        return {}
    true = train.labels if train.true_labels is None else train.true_labels
    wrong, predicted = train.labels != true, jnp.argmax(train.logits, axis=1)
    losses = loss(train.logits, train.labels)
    known = jnp.where(jnp.any(jnp.isnan(train.logits)), jnp.nan, jnp.ones((), losses.dtype))

    def mean(values: jax.Array, members: jax.Array) -> jax.Array:
        return known * jnp.sum(jnp.where(members, values, 0)) / jnp.sum(members)

    return {
        "noisy_share": jnp.mean(wrong, dtype=losses.dtype),
        "clean_accuracy": mean(predicted == train.labels, ~wrong),
        "noisy_accuracy": mean(predicted == train.labels, wrong),
        "noisy_true_accuracy": mean(predicted == true, wrong),
        "clean_loss": mean(losses, ~wrong),
        "noisy_loss": mean(losses, wrong),
    }


MEMORISATION = Measure("memorisation", memorisation, VARIABLES, needs=("train",))
