"""One run as a value and the pure functions that act on it: `init_run`, `advance_run`, `observe_run`.

Every function here is written for one run; `packing` lifts them over the grid.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct

from collapse_jax import models
from collapse_jax.experiment import config
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.models import InitialScale
from collapse_jax.tasks import Dataset
from collapse_jax.training.batches import batches_per_epoch, epoch_order, take_batch
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.losses import LOSSES, Loss
from collapse_jax.training.optimizers import OPTIMIZERS, MakeOptimizer

INIT, BATCHES = 0, 1  # purposes of a run's keys
EVALUATION_BATCH = 500
HEALTHY = -1
BATCH_STATS = "batch_stats"
SCALE_ALL = InitialScale()


@struct.dataclass
class RunState:
    """All that changes while a run is trained.

    Attributes:
      params: parameter tree.
      opt_state: state of the optimizer.
      diverged_at: int32, the first step whose loss was not finite; -1 while healthy.
      batch_stats: running statistics of the model's BatchNorm layers; empty for other models.
    """

    params: Any
    opt_state: optax.OptState
    diverged_at: jax.Array
    batch_stats: Any = struct.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The static part of a run: equal for all runs of a sweep, hashable."""

    model: nn.Module
    loss: Loss
    make_optimizer: MakeOptimizer
    batch_size: int
    initial_scale: InitialScale = SCALE_ALL


def make_recipe(experiment: config.Experiment, data: Dataset) -> Recipe:
    """Collect what a validated experiment fixes for all runs."""
    return Recipe(
        model=models.make_model(experiment.model, data.num_classes, data.vocabulary_size),
        loss=LOSSES[experiment.loss],
        make_optimizer=OPTIMIZERS[experiment.optimizer.name](experiment.optimizer),
        batch_size=experiment.batch_size or experiment.task.train_size,
        initial_scale=models.initial_scale(models.find_model(experiment.model.name), experiment.model.init),
    )


def init_run(recipe: Recipe, h: Hyperparameters, data: Dataset) -> RunState:
    """Initialise one run: the model's own initialisation, of which `recipe.initial_scale` says what is scaled.

    Raises:
      ConfigError: the model has BatchNorm, though its `ModelInfo` does not say so, and a batch one example.
    """
    variables = recipe.model.init(h.key(INIT), data.train_inputs[:1])
    if BATCH_STATS in variables:
        models.check_batches(len(data.train_labels), recipe.batch_size)
    # Layers draw in float32; `float` is the type of the experiment.
    variables = jax.tree.map(lambda leaf: leaf.astype(float) if leaf.dtype == jnp.float32 else leaf, variables)
    params = recipe.initial_scale(variables["params"], h.init_scale)
    opt_state = recipe.make_optimizer(h).init(params)
    return RunState(params, opt_state, jnp.int32(HEALTHY), variables.get(BATCH_STATS, {}))


def advance_run(
    recipe: Recipe, state: RunState, h: Hyperparameters, data: Dataset, start: jax.Array, stop: jax.Array
) -> RunState:
    """Train one run from step `start` to step `stop`, both traced: any schedule is one trace.

    Where a loop is cut into calls changes no bit of it: a step depends on the state and on the step number only.
    """
    size = len(data.train_labels)
    per_epoch = batches_per_epoch(size, recipe.batch_size)
    full_batch = recipe.batch_size == size
    key = h.key(BATCHES)

    state = transposed(state)

    def order_of(step: jax.Array) -> jax.Array:
        return epoch_order(key, step // per_epoch, size, recipe.batch_size)

    def step_once(step: jax.Array, carry: tuple[RunState, jax.Array]) -> tuple[RunState, jax.Array]:
        state, order = carry
        # `step` has no run axis, so under vmap this stays a branch: the permutation is drawn once per epoch.
        order = jax.lax.cond(step % per_epoch == 0, lambda: order_of(step), lambda: order)
        batch = take_batch(data, order, step % per_epoch, recipe.batch_size)
        return update(recipe, state, h, batch, step), order

    if full_batch:
        batch = (data.train_inputs, data.train_labels, None)
        state = jax.lax.fori_loop(start, stop, lambda t, s: update(recipe, s, h, batch, t), state)
    else:
        state, _ = jax.lax.fori_loop(start, stop, step_once, (state, order_of(start)))
    return transposed(state)


def update(
    recipe: Recipe,
    state: RunState,
    h: Hyperparameters,
    batch: tuple[jax.Array, jax.Array, jax.Array | None],
    step: jax.Array,
) -> RunState:
    """Take one optimizer step of one run, whose matrices are `transposed`."""
    inputs, labels, weights = batch

    def objective(params: Any) -> tuple[jax.Array, Any]:
        logits, batch_stats = _apply_in_training(
            recipe.model, transposed(params), state.batch_stats, inputs, weights
        )
        return recipe.loss.objective(logits, labels, weights), batch_stats

    (loss, batch_stats), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
    updates, opt_state = recipe.make_optimizer(h).update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    first_bad = (state.diverged_at == HEALTHY) & ~jnp.isfinite(loss)
    return RunState(params, opt_state, jnp.where(first_bad, jnp.int32(step), state.diverged_at), batch_stats)


def _apply_in_training(
    model: nn.Module, params: Any, batch_stats: Any, inputs: jax.Array, weights: jax.Array | None
) -> tuple[jax.Array, Any]:
    """Return the logits of a batch and the running statistics after it."""
    if not batch_stats:
        return model.apply({"params": params}, inputs)[0], batch_stats
    variables = {"params": params, BATCH_STATS: batch_stats}
    (logits, _), moved = model.apply(variables, inputs, train=True, weights=weights, mutable=[BATCH_STATS])
    return logits, moved[BATCH_STATS]


def transposed(tree: Any) -> Any:
    """Transpose every kernel of a tree that is a matrix.

    While a run is trained its kernels and their moments are held as [out, in]: on CPU the products of the backward
    pass are faster so (a whole step takes .93 to .97 of the time), and the bits are the same. The products absorb
    the transpositions inside the step.
    """

    def turned(path: tuple, leaf: jax.Array) -> jax.Array:
        return leaf.T if leaf.ndim == 2 and getattr(path[-1], "key", None) == "kernel" else leaf

    return jax.tree_util.tree_map_with_path(turned, tree)


def has_finite_parameters(state: RunState) -> jax.Array:
    """Return whether every parameter of one run is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state.params)]))


def network_of(state: RunState) -> Any:
    """Return all that the outputs of a run depend on: its parameters and, as "batch_stats", running statistics."""
    return {**state.params, BATCH_STATS: state.batch_stats} if state.batch_stats else state.params


def observe_run(recipe: Recipe, network: Any, data: Dataset, *, layers: bool = False) -> Snapshot:
    """Apply one run's network to the training and test probes.

    Args:
      recipe: the static part of the run.
      network: what `network_of` returned.
      data: whose examples are the probes.
      layers: whether the outputs of all hidden layers are wanted.
    """
    params = {name: tree for name, tree in network.items() if name != BATCH_STATS}
    return Snapshot(
        train=observe_probe(recipe, network, data.train_inputs, data.train_labels, layers=layers),
        test=observe_probe(recipe, network, data.test_inputs, data.test_labels, layers=layers),
        head_kernel=params["head"]["kernel"],
        head_bias=params["head"]["bias"],
        params=params,
        num_classes=data.num_classes,
    )


def observe_probe(
    recipe: Recipe, network: Any, inputs: jax.Array, labels: jax.Array, *, layers: bool = False
) -> Probe:
    """Apply one run's network to a set of examples."""
    logits, outputs = apply_in_batches(recipe.model, network, inputs, layers=layers)
    flat = tuple(output.reshape(len(labels), -1) for output in outputs)
    return Probe(flat[-1], labels, logits, measurable(inputs), layers=flat if layers else None)


def measurable(inputs: jax.Array) -> jax.Array | None:
    """Return inputs for measures of them; None for texts, because distances between tokens mean nothing."""
    return inputs if jnp.issubdtype(inputs.dtype, jnp.floating) else None


def apply_in_batches(
    model: nn.Module, network: Any, inputs: jax.Array, *, layers: bool = False
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Apply the network to all inputs, `EVALUATION_BATCH` at a time, so that activations stay small.

    Returns:
      logits and the outputs of the last hidden layer, or of all with `layers`.
    """
    params = {name: tree for name, tree in network.items() if name != BATCH_STATS}
    variables = {"params": params, BATCH_STATS: network.get(BATCH_STATS, {})}

    def apply(x: jax.Array) -> Any:
        outputs: Any
        logits, outputs = model.apply(variables, x)
        return logits, outputs if layers else outputs[-1:]

    whole = len(inputs) // EVALUATION_BATCH * EVALUATION_BATCH
    parts = []
    if whole:
        stacked = inputs[:whole].reshape(-1, EVALUATION_BATCH, *inputs.shape[1:])
        outputs = jax.lax.map(apply, stacked)
        parts.append(jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), outputs))
    if whole < len(inputs):
        parts.append(apply(inputs[whole:]))
    return jax.tree.map(lambda *a: jnp.concatenate(a), *parts)
