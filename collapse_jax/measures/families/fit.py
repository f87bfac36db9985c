"""How well a network fits its examples: accuracy and mean loss."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from collapse_jax.errors import ConfigError
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable

VARIABLES = {
    f"{kind}_{name}": Variable(f"{kind.capitalize()} {name}", units, f"{text}, over the {kind} probe")
    for kind in ("train", "test")
    for name, units, text in (
        ("accuracy", "1", "fraction of examples whose largest logit is that of the label"),
        ("loss", "loss", "mean loss per example, in the unit of the task's loss"),
    )
}


def fit(snapshot: Snapshot, *, loss: Callable[[jax.Array, jax.Array], jax.Array]) -> Scalars:
    """Accuracy (in [0, 1]) and mean loss of the network on each probe.

    Of equal largest logits the lower class is the prediction. A nan logit makes the accuracy of its probe
    nan, because there is no largest one.

    Args:
      snapshot: reads the logits and labels of the probes.
      loss: `loss(logits [N, K], labels [N])` -> loss of each example [N], without weight decay; or the
        name of a loss (`list losses`).

    Returns:
      `train_accuracy`, `train_loss`, `test_accuracy`, `test_loss`, for the probes that have logits.
    """
    result = {}
    for kind, probe in snapshot.probes.items():
        if probe.logits is None:
            continue
        accuracy = jnp.mean(jnp.argmax(probe.logits, axis=1) == probe.labels, dtype=jnp.float32)
        result[f"{kind}_accuracy"] = jnp.where(jnp.any(jnp.isnan(probe.logits)), jnp.nan, accuracy)
        losses = loss(probe.logits, probe.labels)
        if losses.shape != probe.labels.shape:
            allowed = f"returned shape {losses.shape}; it must be one loss per example, {probe.labels.shape}"
            raise ConfigError("options.loss", getattr(loss, "__name__", loss), allowed)
        result[f"{kind}_loss"] = jnp.mean(losses)
    return result


FIT = Measure("fit", fit, VARIABLES, needs=("probe",))
