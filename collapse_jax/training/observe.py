"""What the measures see of a run: its network applied to the training and the test examples."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from collapse_jax.measures import Probe, Snapshot
from collapse_jax.models import HEAD, Forward
from collapse_jax.tasks import Dataset
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.run import initial_parameters
from collapse_jax.training.state import BATCH_STATS, MASK, Recipe

EVALUATION_BATCH = 500


@dataclasses.dataclass(frozen=True)
class Network:
    """A model as it is evaluated.

    Attributes:
      model: the linen module.
      batch_norm: "running" or "batch": the statistics that its BatchNorm layers take.
    """

    model: nn.Module
    batch_norm: str = "running"

    def __call__(self, params: Any, batch_stats: Any, inputs: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map inputs [N, ...] to logits [N, K] and the outputs of the hidden layers."""
        variables = {"params": params, BATCH_STATS: batch_stats or {}}
        outputs: Any
        if batch_stats and self.batch_norm == "batch":
            outputs, _ = self.model.apply(variables, inputs, train=True, mutable=[BATCH_STATS])
        else:
            outputs = self.model.apply(variables, inputs)
        return outputs


def observe_run(
    recipe: Recipe,
    network: Any,
    h: Hyperparameters,
    data: Dataset,
    *,
    step: jax.Array | None = None,
    layers: bool = False,
    forward: Forward | None = None,
) -> Snapshot:
    """Apply one run's network to the training and test probes.

    Args:
      recipe: what all runs share.
      network: what `network_of` returned for the run.
      h: the run's hyperparameters.
      data: the run's own examples, `Dataset.of(h)`.
      step: optimizer updates taken, where it is known.
      layers: whether the probes carry the outputs of all hidden layers too.
      forward: the network as a function of inputs; None: the model, applied to the parameters in `network`.
    """
    params = {name: tree for name, tree in network.items() if name not in (BATCH_STATS, MASK)}
    head = params.get(HEAD, {})
    observe = functools.partial(observe_probe, recipe, network, layers=layers, forward=forward)
    train = observe(data.train_inputs, data.train_labels)
    return Snapshot(
        train=dataclasses.replace(train, true_labels=data.train_true_labels),
        test=observe(data.test_inputs, data.test_labels),
        head_kernel=head.get("kernel"),
        head_bias=head.get("bias"),
        params=params,
        initial=initial_parameters(recipe, h, data),
        batch_stats=network.get(BATCH_STATS),
        mask=network.get(MASK),
        hyperparameters=h,
        step=step,
        num_classes=data.num_classes,
        network=Network(recipe.model, recipe.batch_norm),
        loss=recipe.loss.per_example,
    )


def observe_probe(
    recipe: Recipe,
    network: Any,
    inputs: jax.Array,
    labels: jax.Array,
    *,
    layers: bool = False,
    forward: Forward | None = None,
) -> Probe:
    """Apply one run's network to a set of examples; `forward` as of `observe_run`."""
    logits, outputs = apply_in_batches(recipe, network, inputs, layers=layers, forward=forward)
    flat = tuple(output.reshape(len(labels), -1) for output in outputs)
    return Probe(flat[-1], labels, logits, measurable(inputs), flat if layers else None, inputs)


def measurable(inputs: jax.Array) -> jax.Array | None:
    """Return inputs for measures of them; None for texts, because distances between tokens mean nothing."""
    return inputs if jnp.issubdtype(inputs.dtype, jnp.floating) else None


def apply_in_batches(
    recipe: Recipe, network: Any, inputs: jax.Array, *, layers: bool = False, forward: Forward | None = None
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Apply the network to all inputs, `EVALUATION_BATCH` at a time, so that activations stay small.

    Returns:
      logits and the outputs of the last hidden layer, or of all with `layers`.
    """
    params = {name: tree for name, tree in network.items() if name not in (BATCH_STATS, MASK)}
    call = Network(recipe.model, recipe.batch_norm)

    def apply(x: jax.Array) -> Any:
        logits, outputs = forward(x) if forward else call(params, network.get(BATCH_STATS), x)
        return logits, outputs if layers else outputs[-1:]

    whole = len(inputs) // EVALUATION_BATCH * EVALUATION_BATCH
    if recipe.batch_norm == "batch" and whole and len(inputs) - whole == 1:
        whole -= EVALUATION_BATCH  # one example alone has no variance
    parts = []
    if whole:
        stacked = inputs[:whole].reshape(-1, EVALUATION_BATCH, *inputs.shape[1:])
        outputs = jax.lax.map(apply, stacked)
        parts.append(jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), outputs))
    if whole < len(inputs):
        parts.append(apply(inputs[whole:]))
    return jax.tree.map(lambda *a: jnp.concatenate(a), *parts)
