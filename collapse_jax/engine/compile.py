"""The compiled programs of a sweep: all that runs on the devices."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from collapse_jax import measures, tasks
from collapse_jax.engine import heads, living, memory, packing
from collapse_jax.engine.operations import of_products
from collapse_jax.engine.packing import Layout
from collapse_jax.engine.stopping import has_rule
from collapse_jax.errors import CollapseError, ConfigError, require
from collapse_jax.experiment import config, grid
from collapse_jax.experiment.extensions import file_of, is_extension, told
from collapse_jax.measures import Measure, Snapshot, Variable
from collapse_jax.measures.labels import described
from collapse_jax.measures.needs import held, lacking
from collapse_jax.measures.options import bind, complete, options_of
from collapse_jax.models import HEAD
from collapse_jax.system.progress import say
from collapse_jax.tasks import Dataset
from collapse_jax.training import (
    Recipe,
    RunState,
    advance_run,
    find_loss,
    forward_of,
    has_finite_parameters,
    init_run,
    make_recipe,
    network_of,
    observe_run,
)
from collapse_jax.training.hyperparameters import Hyperparameters, stack_hyperparameters
from collapse_jax.training.levels import require_weights
from collapse_jax.training.terms import factorising


@dataclasses.dataclass(frozen=True)
class Programs:
    """Programs compiled for one sweep, with the arrays that they share already on the devices.

    Attributes:
      initial: () -> states of all runs.
      advance: (states, start, stop) -> states; the given states are donated.
      measure: (states, step) -> {variable: [R]}, with "diverged_at" and "finite" (whether the parameters are).
      snapshot: (states) -> arrays [R, ...] of the snapshot's content.
      place: puts host states [R, ...] on the devices.
      rows: copies arrays from the devices: [R, ...].
      among: (which runs live [R]) -> the same programs for these alone; of a sweep with a stop rule.
      variables: descriptions of what `measure` returns.
      shapes: shape of each of its values for one run.
      memory: bytes that the sweep takes on each device.
    """

    initial: Callable[[], RunState]
    advance: Callable[[RunState, int, int], RunState]
    measure: Callable[[RunState, int], dict[str, jax.Array]]
    snapshot: Callable[[RunState], Any]
    place: Callable[[RunState], RunState]
    rows: Callable[[Any], Any]
    among: Callable[[np.ndarray], "Programs"]
    variables: Mapping[str, Variable]
    shapes: Mapping[str, tuple[int, ...]]
    memory: memory.Memory


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The compiled programs alone; the arrays that they take need not exist.

    Attributes:
      recipe: what is fixed for all runs.
      initial: (hyperparameters, data) -> states; compiled when it is called.
      advance: (states, hyperparameters, data, start, stop) -> states.
      measure: ((states, hyperparameters), data, step) -> {variable: [R]}.
      snapshot: ((states, hyperparameters), data) -> arrays.
        Of a sweep with a stop rule `living.Placement.living` stands before the data in these three.
      states: shapes of the states.
      hparams: shapes of the hyperparameters.
      values: shapes of what `measure` returns.
      variables: descriptions of those of the in-line measures.
      operations: of the products and convolutions of a training step of one run.
    """

    recipe: Recipe
    initial: jax.stages.Wrapped
    advance: jax.stages.Compiled
    measure: jax.stages.Compiled
    snapshot: jax.stages.Compiled
    states: Any
    hparams: Any
    values: dict[str, jax.ShapeDtypeStruct]
    variables: Mapping[str, Variable]
    operations: float

    def memory(self, data: Dataset, limit: int | None = None) -> memory.Memory:
        """Return what a sweep takes on each device; `limit` in bytes, by default what the device has."""
        return memory.of_programs((self.advance, self.measure, self.snapshot), data, limit)


def check_model(experiment: config.Experiment, data: Dataset) -> None:
    """Follow the shapes of one run through its network, before the sweep is compiled or anything written.

    Raises:
      ConfigError: the network does not take the inputs of the task; a user's own raised, returned something else
        than logits and layers, has logits of another number of classes or a head that does not read its last
        layer, or has no layer called head although the initialisation zeroes it or a measure needs it.
    """
    name = experiment.model.name
    recipe = make_recipe(experiment, data)
    packing.require_one_by_one((*factorising(recipe.terms), *recipe.scheme.factorising), experiment.packing)
    hparams = jax.tree.map(lambda leaf: leaf[0], stack_hyperparameters(grid.grid_runs(experiment.grid)[:1]))
    try:
        state = jax.eval_shape(functools.partial(init_run, recipe), hparams, data)
        require_weights(experiment.training.levels, experiment.steps, state.params)
        observed = observed_shapes(recipe, (state, hparams), data)
        if HEAD not in observed.params and recipe.initial_scale.rule == "zero_last_layer":
            allowed = f"zeroes the layer called head; the model has {', '.join(observed.params)}"
            raise ConfigError("model.init", experiment.model.init, allowed)
        heads.check_shapes(name, observed)
        if is_extension(name):
            heads.check_head(name, recipe, hparams, data)
        if is_extension(experiment.loss) or is_extension(experiment.optimizer.name):
            step = jax.ShapeDtypeStruct((), np.int32)
            jax.eval_shape(functools.partial(advance_run, recipe), state, hparams, data, step, step)
    except CollapseError:
        raise
    except Exception as error:
        if not is_extension(name):
            raise
        allowed = "it must map inputs [N, ...] to (logits [N, K], layers)"
        raise ConfigError("model.name", name, f"{told(error, file_of('model.name', name))}; {allowed}") from None
    for family in inline_measures(experiment):
        part = lacking(family, held(observed))
        require(part is None, "measures", family.name, f"needs {part!r}, which the model {name} does not have")


def observed_shapes(recipe: Recipe, run: tuple[Any, Any], data: Dataset) -> Snapshot:
    """Return the complete snapshot of one run, (state, hyperparameters), with shapes in the place of arrays."""

    def observe(run: tuple[RunState, Hyperparameters], data: Dataset) -> Snapshot:
        state, h = run
        data = data.of(h)
        return observe_run(recipe, network_of(recipe, state, h, data), h, data, layers=True)

    return jax.eval_shape(observe, run, data)


def compile_programs(experiment: config.Experiment, layout: Layout, data: Dataset | None = None) -> Programs:
    """Put the data on the devices once, loading it if it is not given, and compile every program ahead of time."""
    data = data or tasks.load(experiment.task, experiment.dtype)
    on_devices = packing.place(layout, data, shared=True)
    hparams = stack_hyperparameters(grid.grid_runs(experiment.grid))

    @functools.cache
    def compiled_for(runs_per_tile: int) -> Compiled:
        if runs_per_tile < layout.runs_per_tile:
            say(f"compiling for {runs_per_tile} run(s) per tile, which hold all that have not retired ...")
        return compile_for(experiment, dataclasses.replace(layout, runs_per_tile=runs_per_tile), data)

    narrowest = living.narrowest(layout, experiment.steps * compiled_for(layout.runs_per_tile).operations)

    def among(alive: np.ndarray) -> Programs:
        placement = living.placement(layout, alive, narrowest)
        compiled = compiled_for(placement.layout.runs_per_tile)
        here = placement.place(hparams)
        shared = (placement.counts(),) if has_rule(experiment) else ()
        shared = (*shared, on_devices)
        return Programs(
            initial=lambda: compiled.initial(here, on_devices),
            advance=lambda s, start, stop: compiled.advance(s, here, *shared, np.int32(start), np.int32(stop)),
            measure=lambda s, step: compiled.measure((s, here), *shared, np.int32(step)),
            snapshot=lambda s: compiled.snapshot((s, here), *shared),
            place=placement.place,
            rows=placement.rows,
            among=among,
            variables=compiled.variables,
            shapes={name: value.shape[1:] for name, value in compiled.values.items()},
            memory=compiled.memory(data),
        )

    return among(np.ones(layout.runs, bool))


def compile_for(experiment: config.Experiment, layout: Layout, data: Dataset) -> Compiled:
    """Compile every program of a sweep from the shapes of its arrays; the devices of the layout need not exist."""
    recipe = make_recipe(experiment, data)
    hparams = stack_hyperparameters(grid.grid_runs(experiment.grid))
    hparams = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((layout.padded,), leaf.dtype), hparams)
    data = packing.shapes(layout, data, shared=True)
    hparams = packing.shapes(layout, hparams)

    families = inline_measures(experiment)
    initial = packing.over_runs(layout, functools.partial(init_run, recipe))
    states = packing.shapes(layout, jax.eval_shape(initial, hparams, data))
    step = jax.ShapeDtypeStruct((), np.int32)
    observed, shared = (states, hparams), [data]
    lift, lift_in_place = packing.over_runs, packing.over_runs_in_place
    if has_rule(experiment):
        lift, lift_in_place = living.over_living, living.over_living_in_place
        counts = jax.ShapeDtypeStruct((layout.devices,), np.int32)
        shared = [packing.shapes(layout, counts), data]
    lifted_measure = lift(one_by_one(layout), functools.partial(measure_run, recipe, families))
    values = jax.eval_shape(lifted_measure, observed, *shared, step)  # a measure that cannot be taken says so first
    lifted = lift_in_place(layout, functools.partial(advance_run, recipe))
    traced = lifted.trace(states, hparams, *shared, step, step)
    advance, operations = traced.lower().compile(), of_products(traced.jaxpr.jaxpr) / layout.runs_per_tile
    measure = lifted_measure.lower(observed, *shared, step).compile()
    lifted_snapshot = lift(layout, functools.partial(snapshot_run, recipe, experiment.snapshots))
    snapshot = lifted_snapshot.lower(observed, *shared).compile()
    run = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), observed)
    shapes = observed_shapes(recipe, run, data)
    variables: dict[str, Variable] = {}
    for family in families:
        own = {name: values[name].shape[1:] for name in family.variables if name in values}
        variables |= described(family, own, shapes)
    return Compiled(recipe, initial, advance, measure, snapshot, states, hparams, values, variables, operations)


def one_by_one(layout: Layout) -> Layout:
    """Return how runs are laid out to be measured: on CPU one by one.

    Several host devices that factorise batches of matrices at the same time wait for each other's threads for ever
    (jax 0.10.2 on 2 cores), and the measures of one run fill a core.
    """
    on_cpu = layout.mesh.devices.flat[0].platform == "cpu"
    return dataclasses.replace(layout, runs_per_tile=1) if on_cpu else layout


def inline_measures(experiment: config.Experiment) -> tuple[Measure, ...]:
    """Return the in-line measures with all options bound."""
    families = [bind_measure(experiment, measures.get_measure(name)) for name in experiment.measures]
    return tuple(bind(family, complete(family, {})) for family in families)


def bind_measure(experiment: config.Experiment, family: Measure) -> Measure:
    """Bind the options that the experiment fixes: the loss, and its unit."""
    loss = find_loss(experiment.loss)
    units = {"loss": loss.units}
    variables = {
        name: dataclasses.replace(v, units=units.get(v.units, v.units)) for name, v in family.variables.items()
    }
    options = {"loss": loss.per_example} if "loss" in options_of(family) else {}
    return bind(dataclasses.replace(family, variables=variables), options)


def measure_run(
    recipe: Recipe,
    families: tuple[Measure, ...],
    run: tuple[RunState, Hyperparameters],
    data: Dataset,
    step: jax.Array,
) -> dict[str, jax.Array]:
    """Take all in-line measures of one run in one program, so that its features are computed once."""
    state, h = run
    layers = any("layers" in family.needs for family in families)
    data = data.of(h)
    network, forward = network_of(recipe, state, h, data), forward_of(recipe, state, h, data)
    snapshot = observe_run(recipe, network, h, data, step=step, layers=layers, forward=forward)
    values = {"diverged_at": state.diverged_at, "finite": has_finite_parameters(state)}
    for family in families:
        values |= family.function(snapshot)
    return values


def snapshot_run(
    recipe: Recipe, content: config.Snapshots, run: tuple[RunState, Hyperparameters], data: Dataset
) -> dict[str, Any]:
    """Select what is stored of one run."""
    state, h = run
    data = data.of(h)
    size = content.test_size or len(data.test_labels)
    data = dataclasses.replace(data, test_inputs=data.test_inputs[:size], test_labels=data.test_labels[:size])
    network = network_of(recipe, state, h, data)
    snapshot = observe_run(recipe, network, h, data, forward=forward_of(recipe, state, h, data))
    assert snapshot.test is not None
    head = {"kernel": snapshot.head_kernel, "bias": snapshot.head_bias}
    parts: dict[str, Any] = {
        "train": {"features": snapshot.train.features, "logits": snapshot.train.logits},
        "test": {"features": snapshot.test.features, "logits": snapshot.test.logits},
        "head": {name: leaf for name, leaf in head.items() if leaf is not None},
        "parameters": network,
    }
    return {name: parts[name] for name in content.content}


__all__ = ["Compiled", "Programs", "bind_measure", "check_model", "compile_for", "compile_programs", "snapshot_run"]
