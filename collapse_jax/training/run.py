"""The pure functions that make and train one run: `init_run`, `advance_run`.

Every function here is written for one run; `packing` lifts them over the grid.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from collapse_jax import models
from collapse_jax.experiment.keys import Purpose
from collapse_jax.models.layers import DROPOUT
from collapse_jax.tasks import Dataset
from collapse_jax.training.augment import marked, views_of
from collapse_jax.training.batches import batches_per_epoch, epoch_order, take_batch
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.levels import all_kept, masked, over_levels, pruned
from collapse_jax.training.schemes import Pass
from collapse_jax.training.state import BATCH_STATS, HEALTHY, MASK, Recipe, RunState
from collapse_jax.training.terms import anchors_of, ascended, penalised, perturbed, projected, seen_by_loss
from collapse_jax.training.trees import LOCAL_HEADS, own, transposed

Batch = tuple[jax.Array, jax.Array, jax.Array | None]


def init_run(recipe: Recipe, h: Hyperparameters, data: Dataset) -> RunState:
    """Initialise one run: the model's own initialisation, of which `recipe.initial_scale` says what is scaled.

    Raises:
      ConfigError: the model has BatchNorm, though its `ModelInfo` does not say so, and a batch one example.
    """
    return _begin(recipe, h, data.of(h))


def initial_parameters(recipe: Recipe, h: Hyperparameters, data: Dataset) -> Any:
    """Return theta_0, the network's parameters at step 0; `data` are the run's own."""
    return recipe.initial_scale(_drawn(recipe, h, data)["params"], h.init_scale.astype(recipe.dtype))


def constants_of(recipe: Recipe, h: Hyperparameters, data: Dataset) -> Any:
    """Return what the recipe's coordinates hold constant, None without; `data` are the run's own."""
    if recipe.coordinates is None:
        return None
    return recipe.coordinates.constants(initial_parameters(recipe, h, data), data.train_inputs)


def network_of(recipe: Recipe, state: RunState, h: Hyperparameters, data: Dataset) -> dict[str, Any]:
    """Return all that the outputs of a run depend on, as it is stored; `data` are the run's own.

    That is the network's parameters and, where there are any, its running statistics as "batch_stats" and what was
    pruned as "mask".
    """
    params = own(state.params)
    if recipe.coordinates is not None:
        params = recipe.coordinates.parameters(params, constants_of(recipe, h, data))
    beside = {BATCH_STATS: state.batch_stats, MASK: state.mask}
    return params | {name: tree for name, tree in beside.items() if tree}


def forward_of(recipe: Recipe, state: RunState, h: Hyperparameters, data: Dataset) -> models.Forward | None:
    """Return a run's network as a function of inputs, by the recipe's coordinates; None without."""
    if recipe.coordinates is None:
        return None
    return recipe.coordinates.network(own(state.params), initial_parameters(recipe, h, data), data.train_inputs)


def _drawn(recipe: Recipe, h: Hyperparameters, data: Dataset) -> Any:
    """Return the variables that the model draws, or that are drawn in their place."""
    variables = recipe.model.init(h.key(Purpose.INIT), data.train_inputs[:1])
    if recipe.draw is not None:
        variables = {**variables, "params": recipe.draw(variables["params"], h.key(Purpose.DRAW))}
    return _in_dtype(recipe, variables)


def _in_dtype(recipe: Recipe, tree: Any) -> Any:
    # Layers draw in float32.
    return jax.tree.map(lambda leaf: leaf.astype(recipe.dtype) if leaf.dtype == jnp.float32 else leaf, tree)


def _begin(recipe: Recipe, h: Hyperparameters, data: Dataset) -> RunState:
    if recipe.coordinates is not None:
        begun = recipe.coordinates.begin(data.train_inputs)
        return RunState(begun, recipe.make_optimizer(h).init(begun), jnp.int32(HEALTHY))
    variables = _drawn(recipe, h, data)
    if BATCH_STATS in variables:
        models.check_batches(len(data.train_labels), recipe.batch_size)
    params = recipe.initial_scale(variables["params"], h.init_scale.astype(recipe.dtype))
    apply = functools.partial(recipe.model.apply, variables, data.train_inputs[:1])
    _, blocks = jax.eval_shape(lambda: recipe.scheme.forward(apply))
    heads = _in_dtype(recipe, recipe.scheme.init(h.key(Purpose.LOCAL_HEADS), blocks, data.num_classes))
    mask = recipe.mask.of(h, params) if recipe.mask else all_kept(params) if recipe.pruning else {}
    params = masked(params, mask) | ({LOCAL_HEADS: heads} if heads else {})
    opt_state = recipe.make_optimizer(h).init(params)
    return RunState(params, opt_state, jnp.int32(HEALTHY), variables.get(BATCH_STATS, {}), mask)


def advance_run(
    recipe: Recipe, state: RunState, h: Hyperparameters, data: Dataset, start: jax.Array, stop: jax.Array
) -> RunState:
    """Train one run from step `start` to step `stop`, both traced: any schedule is one trace.

    Where a loop is cut into calls changes no bit of it: a step depends on the state and on the step number only.
    """
    data = data.of(h)
    size = len(data.train_labels)
    per_epoch = batches_per_epoch(size, recipe.batch_size)
    key = h.key(Purpose.BATCHES)
    anchors = anchors_of(
        recipe.terms, lambda: recipe.initial_scale.scaled(_drawn(recipe, h, data)["params"], h.init_scale)
    )

    constants = constants_of(recipe, h, data)

    def order_of(step: jax.Array) -> jax.Array:
        return epoch_order(key, recipe.local(step) // per_epoch, size, recipe.batch_size)

    def step_once(step: jax.Array, carry: tuple[RunState, jax.Array]) -> tuple[RunState, jax.Array]:
        state, order = carry
        position = recipe.local(step) % per_epoch
        # `step` has no run axis, so under vmap this stays a branch: the permutation is drawn once per epoch.
        order = jax.lax.cond(position == 0, lambda: order_of(step), lambda: order)
        batch = take_batch(data, order, position, recipe.batch_size)
        return update(recipe, state, h, batch, step, anchors, constants), order

    def stretch(state: RunState, start: jax.Array, stop: jax.Array) -> RunState:
        if recipe.batch_size == size:
            batch = (data.train_inputs, data.train_labels, None)
            step = lambda t, s: update(recipe, s, h, batch, t, anchors, constants)  # noqa: E731
            return jax.lax.fori_loop(start, stop, step, state)
        return jax.lax.fori_loop(start, stop, step_once, (state, order_of(start)))[0]

    def release(state: RunState, level: jax.Array) -> RunState:
        return dataclasses.replace(state, opt_state=recipe.make_optimizer(h).init(state.params))

    def rewind(state: RunState, level: jax.Array) -> RunState:
        assert recipe.pruning is not None
        mask = pruned(state.params, state.mask, recipe.pruning, jax.random.fold_in(h.key(Purpose.PRUNING), level))
        begun = transposed(_begin(recipe, h, data))
        if recipe.pruning.rewind:  # trained again rather than held through all levels
            begun = stretch(begun, jnp.int32(0), jnp.int32(recipe.pruning.rewind))
        params = masked(begun.params, mask)
        return dataclasses.replace(begun, params=params, mask=mask, diverged_at=state.diverged_at)

    begin, skipped = (rewind, recipe.pruning.rewind) if recipe.pruning else (release, 0)
    advance = over_levels(stretch, begin, recipe.division, skipped) if recipe.division else stretch
    return transposed(advance(transposed(state), start, stop))


def update(
    recipe: Recipe,
    state: RunState,
    h: Hyperparameters,
    batch: Batch,
    step: jax.Array,
    anchors: dict[str, Any] | None = None,
    constants: Any = None,
) -> RunState:
    """Take one step of one run, whose matrices are `transposed`: the chain of `terms` around the optimizer.

    Args:
      recipe: what all runs share.
      state: of the run.
      h: its hyperparameters.
      batch: inputs [B, ...], labels [B] and weights [B] or None.
      step: of the sweep.
      anchors: what the projections hold, of `anchors_of`; needed where the recipe has any.
      constants: of `constants_of`; needed where the recipe has coordinates.
    """
    local, stage = recipe.local(step), recipe.level(step)
    inputs, labels, weights = _augmented(recipe, h, batch, local)
    dropped = jax.random.fold_in(h.key(Purpose.DROPOUT), local)

    def apply(params: Any) -> tuple[Any, Any]:
        if recipe.coordinates is not None:
            return recipe.coordinates.apply(params, constants), state.batch_stats
        return _apply_in_training(recipe, params, state.batch_stats, inputs, weights, dropped)

    def objective(params: Any) -> tuple[jax.Array, Any]:
        params = perturbed(recipe.terms, transposed(params), h, local)
        (outputs, batch_stats), blocks = recipe.scheme.forward(lambda: apply(own(params)))
        seen = Pass(outputs[0], blocks, inputs, labels, weights)
        loss = seen_by_loss(recipe.terms, recipe.loss, h)
        value = recipe.scheme.objective(loss, params.get(LOCAL_HEADS, {}), seen, h, stage)
        return penalised(recipe.terms, value, params, h), batch_stats

    differentiate = jax.value_and_grad(objective, has_aux=True)
    (value, batch_stats), gradient = differentiate(state.params)
    elsewhere = ascended(recipe.terms, state.params, masked(gradient, state.mask), h)
    if elsewhere is not None:  # the running statistics are those of the batch where the run is
        _, gradient = differentiate(elsewhere)
    if recipe.rate is not None:
        factor = recipe.rate(local).astype(h.learning_rate.dtype)
        h = h.changed(learning_rate=h.learning_rate * factor)
    updates, opt_state = recipe.make_optimizer(h).update(gradient, state.opt_state, state.params)
    params = projected(masked(optax.apply_updates(state.params, updates), state.mask), anchors or {}, h)
    params = recipe.scheme.held(state.params, params, lambda params: apply(transposed(params)), stage)
    first_bad = (state.diverged_at == HEALTHY) & ~jnp.isfinite(value)
    diverged_at = jnp.where(first_bad, jnp.int32(step), state.diverged_at)
    return RunState(params, opt_state, diverged_at, batch_stats, state.mask)


def _augmented(recipe: Recipe, h: Hyperparameters, batch: Batch, step: jax.Array) -> Batch:
    """Return a batch, or as many views of it as the scheme takes, one below the other."""
    views = recipe.scheme.views
    if views == 1 and not recipe.augment:
        return batch
    inputs, labels, weights = batch
    key = jax.random.fold_in(h.key(Purpose.AUGMENTATION), step)
    inputs = views_of(key, recipe.augment, inputs, views)
    if recipe.scheme.marked:
        inputs = marked(jax.random.fold_in(key, views), inputs, labels, recipe.num_classes, views)
    return inputs, jnp.tile(labels, views), None if weights is None else jnp.tile(weights, views)


def _apply_in_training(
    recipe: Recipe, params: Any, batch_stats: Any, inputs: jax.Array, weights: jax.Array | None, key: jax.Array
) -> tuple[Any, Any]:
    """Return logits and layers of a batch, and the running statistics after it."""
    rngs = {DROPOUT: key}
    if not batch_stats:
        return recipe.model.apply({"params": params}, inputs, rngs=rngs), batch_stats
    variables = {"params": params, BATCH_STATS: batch_stats}
    more: dict[str, Any] = {"train": True, "weights": weights, "mutable": [BATCH_STATS], "rngs": rngs}
    outputs, moved = recipe.model.apply(variables, inputs, **more)
    return outputs, moved[BATCH_STATS]
