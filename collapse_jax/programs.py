"""The compiled programs of a sweep: all that runs on the devices."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from collapse_jax import config, grid, measures, packing, tasks
from collapse_jax.grid import Hyperparameters
from collapse_jax.measures import Measure, Snapshot, Variable
from collapse_jax.packing import Layout
from collapse_jax.tasks import Dataset
from collapse_jax.training import (
    LOSSES,
    Recipe,
    RunState,
    advance_run,
    has_finite_parameters,
    init_run,
    make_recipe,
    observe_run,
)


@dataclasses.dataclass(frozen=True)
class Programs:
    """Programs compiled for one sweep, with the arrays that they share already on the devices.

    Attributes:
      initial: () -> states of all runs.
      advance: (states, start, stop) -> states; the given states are donated.
      measure: (states) -> {variable: [R]}, with "diverged_at" and "finite" (whether the parameters are).
      snapshot: (states) -> arrays [R, ...] of the snapshot's content.
      place: puts host states on the devices.
      variables: descriptions of what `measure` returns.
      shapes: shape of each of its values for one run.
    """

    initial: Callable[[], RunState]
    advance: Callable[[RunState, int, int], RunState]
    measure: Callable[[RunState], dict[str, jax.Array]]
    snapshot: Callable[[RunState], Any]
    place: Callable[[RunState], RunState]
    variables: Mapping[str, Variable]
    shapes: Mapping[str, tuple[int, ...]]


def compile_programs(experiment: config.Experiment, layout: Layout, data: Dataset | None = None) -> Programs:
    """Put the data on the devices once, loading it if it is not given, and compile every program ahead of time."""
    data = data or tasks.load(experiment.task)
    recipe = make_recipe(experiment, data)
    data = packing.place(layout, data, shared=True)
    hparams = packing.place(layout, grid.stack_hyperparameters(grid.grid_runs(experiment.grid)))

    families = inline_measures(experiment)
    lift = functools.partial(packing.over_runs, layout)
    initial = lift(functools.partial(init_run, recipe))
    states = jax.eval_shape(initial, hparams, data)
    sharding = jax.sharding.NamedSharding(layout.mesh, packing.RUN)
    states = jax.tree.map(lambda s: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding), states)
    lifted = packing.over_runs_in_place(layout, functools.partial(advance_run, recipe))
    advance = lifted.lower(states, hparams, data, np.int32(0), np.int32(0)).compile()
    lifted_measure = lift(functools.partial(measure_run, recipe, families))
    values = jax.eval_shape(lifted_measure, states, data)
    measure = lifted_measure.lower(states, data).compile()
    snapshot = lift(functools.partial(snapshot_run, recipe, experiment.snapshots)).lower(states, data).compile()
    return Programs(
        initial=lambda: initial(hparams, data),
        advance=lambda s, start, stop: advance(s, hparams, data, np.int32(start), np.int32(stop)),
        measure=lambda s: measure(s, data),
        snapshot=lambda s: snapshot(s, data),
        place=functools.partial(packing.place, layout),
        variables={name: v for family in families for name, v in family.variables.items() if name in values},
        shapes={name: value.shape[1:] for name, value in values.items()},
    )


def inline_measures(experiment: config.Experiment) -> tuple[Measure, ...]:
    """Return the in-line measures with the options that the experiment fixes bound."""
    loss = LOSSES[experiment.loss]
    families = []
    for name in experiment.measures:
        family = measures.get_measure(name)
        if name == "fit":
            function = functools.partial(family.function, loss=loss.per_example)
            described = family.variables.items()
            units = {n: dataclasses.replace(v, units=loss.units) for n, v in described if v.units == "loss"}
            family = dataclasses.replace(family, function=function, variables={**family.variables, **units})
        families.append(family)
    return tuple(families)


def measure_run(
    recipe: Recipe, families: tuple[Measure, ...], state: RunState, data: Dataset
) -> dict[str, jax.Array]:
    """Take all in-line measures of one run in one program, so that its features are computed once."""
    layers = any("layers" in family.needs for family in families)
    snapshot = observe_run(recipe, state.params, data, layers=layers)
    values = {"diverged_at": state.diverged_at, "finite": has_finite_parameters(state)}
    for family in families:
        values |= family.function(snapshot)
    return values


def snapshot_run(recipe: Recipe, content: config.Snapshots, state: RunState, data: Dataset) -> dict[str, Any]:
    """Select what is stored of one run."""
    size = content.test_size or len(data.test_labels)
    data = dataclasses.replace(data, test_inputs=data.test_inputs[:size], test_labels=data.test_labels[:size])
    snapshot: Snapshot = observe_run(recipe, state.params, data)
    assert snapshot.test is not None
    parts: dict[str, Any] = {
        "train": {"features": snapshot.train.features, "logits": snapshot.train.logits},
        "test": {"features": snapshot.test.features, "logits": snapshot.test.logits},
        "head": {"kernel": snapshot.head_kernel, "bias": snapshot.head_bias},
        "parameters": snapshot.params,
    }
    return {name: parts[name] for name in content.content}


__all__ = ["Hyperparameters", "Programs", "compile_programs"]
