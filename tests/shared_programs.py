"""Sweeps of one session share their compiled programs, which are most of what a tiny sweep takes."""

import dataclasses
import functools
from typing import Any

import jax

from collapse_jax.engine import compile as programs
from collapse_jax.engine import packing
from collapse_jax.engine.stopping import has_rule
from collapse_jax.experiment.config import Experiment, Schedule
from collapse_jax.measures import MEASURES
from collapse_jax.training import observe, run
from collapse_jax.training.terms import terms_of

# Functions and numbers of the package that a program is made of, and that a test may replace.
PARTS = (
    (programs, ("init_run", "advance_run", "observe_run", "measure_run", "snapshot_run")),
    (packing, ("over_runs", "over_runs_in_place")),
    (run, ("update",)),
    (observe, ("EVALUATION_BATCH",)),
)


def key_of(experiment: Experiment, layout: Any, data: Any) -> tuple[Any, ...] | None:
    """Return all that programs are compiled from, None where a file of a user's own is among it.

    Numbers of the runs, the data themselves and when something is written are arguments of the programs.
    """
    hparams = [getattr(experiment.grid, field.name) for field in dataclasses.fields(experiment.grid)]
    e = dataclasses.replace(
        experiment,
        **{"name": "", "grid": type(experiment.grid)(), "steps": 1, "thresholds": None, "task": None},
        **{"log": None, "packing": None, "checkpoint_seconds": 0.0, "chunk_seconds": 0.0},
        stop=has_rule(experiment),
        batch_size=experiment.batch_size or experiment.task.train_size,
        snapshots=dataclasses.replace(experiment.snapshots, schedule=Schedule()),
    )
    shapes = jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), data)
    words = repr((e, terms_of(experiment), [bool(value) for value in hparams], shapes, jax.config.jax_enable_x64))
    if ".py" in words or " at 0x" in words:
        return None
    families = tuple(id(family) for family in families_of(experiment))
    return words, layout, families, *(getattr(module, name) for module, names in PARTS for name in names)


def families_of(experiment: Experiment) -> list[Any]:
    """Return the in-line measures as they stand in the table, where a test may put another one."""
    return [MEASURES[name] for name in experiment.measures if name in MEASURES]


@functools.cache
def install() -> None:
    """Let `compile_for` return what it has compiled before, to the end of the process."""
    original, made = programs.compile_for, {}

    def compile_for(experiment: Experiment, layout: Any, data: Any) -> programs.Compiled:
        key = key_of(experiment, layout, data)
        if key is None:
            return original(experiment, layout, data)
        if key not in made:
            # The measures are kept too, so that no other one gets the identity of one of them.
            made[key] = original(experiment, layout, data), families_of(experiment)
        return made[key][0]

    programs.compile_for = compile_for
