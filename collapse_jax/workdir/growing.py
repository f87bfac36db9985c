"""`train --extend`: lets the records of a workdir grow into those of a larger experiment.

The runs that a sweep has go on where they are, with more steps, log points and in-line measures from their last
checkpoint on. Further runs are leaves of their own, below `grown`, the record of which describes the whole.
"""

from typing import Any

import numpy as np
from etils import epath

from collapse_jax.errors import WorkdirError
from collapse_jax.experiment import growth, identity
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.cuts import GROWTH, Cut, next_cut
from collapse_jax.experiment.schedule import schedule_steps
from collapse_jax.system.files import is_there
from collapse_jax.workdir import record
from collapse_jax.workdir.record import RECORD


def cut_of_whole(workdir: epath.Path, experiment: Experiment, shards: int) -> Cut | None:
    """Return how the whole of a workdir is cut once it has grown into an experiment; nothing is written."""
    folder = record.root_of(workdir)
    if not is_there(folder / RECORD):
        return next_cut(experiment, shards)
    found = record.read_record(folder)
    there, cut = record.read_experiment(found), record.cut_of(found)
    if growth.has_more_runs(there.grid, experiment.grid):
        before = cut.stages if cut and cut.by == GROWTH else ()
        return Cut(GROWTH, stages=(*before, there.grid))
    return cut if cut and cut.by == GROWTH else next_cut(experiment, shards)


def check_growable(workdir: epath.Path, experiment: Experiment) -> None:
    """Make sure that the whole of a workdir, if there is one, can grow into a validated experiment.

    Raises:
      WorkdirError: the workdir belongs to an experiment that does not grow into this one.
      ConfigError: runs, steps or measures of the workdir are missing in the experiment.
    """
    folder = record.root_of(workdir)
    if is_there(folder / RECORD):
        _require_growable(workdir, record.read_experiment(record.read_record(folder)), experiment)


def grow_branch(workdir: epath.Path, experiment: Experiment, cut: Cut) -> None:
    """Let the record of a branch, if there is one, describe a larger experiment."""
    if not is_there(workdir / RECORD):
        return
    found = record.read_record(workdir)
    _require_growable(workdir, record.read_experiment(found), experiment)
    if cut.by == GROWTH:
        found["cut"] = record.cut_record(cut)
    record.rewrite(workdir, found | {"experiment": record.describe(experiment)})


def grow_leaf(workdir: epath.Path, experiment: Experiment, until: int) -> None:
    """Let the record of a leaf, if there is one, describe an experiment of more steps, log points or measures.

    What was planned up to the step `until`, that of its newest checkpoint, stays; the record keeps these steps as
    `grown`. The caller holds the lock of the directory.
    """
    if not is_there(workdir / RECORD):
        return
    found = record.read_record(workdir)
    there = record.read_experiment(found)
    _require_growable(workdir, there, experiment)
    if identity.binding_fields(there) == identity.binding_fields(experiment):
        return
    steps = {name: planned_steps(found, name).tolist() for name in growth.SCHEDULES}
    grown = {"until": until, **steps}
    record.rewrite(workdir, found | {"experiment": record.describe(experiment), "grown": grown})


def planned_steps(found: dict[str, Any], name: str) -> np.ndarray:
    """Return the steps at which a leaf is logged, or its snapshots are stored, be it that it has grown.

    Args:
      found: its record.
      name: "log" or "snapshots".
    """
    experiment = record.read_experiment(found)
    planned = schedule_steps(growth.SCHEDULES[name](experiment), experiment.steps)
    return growth.grown_steps(planned, found.get("grown"), name)


def _require_growable(workdir: epath.Path, there: Experiment, asked: Experiment) -> None:
    differing = record.differing_fields(there, asked)
    if bound := [text for text in differing if not text.startswith(growth.GROWING)]:
        raise WorkdirError(
            f"workdir={workdir}: belongs to another experiment: {'; '.join(bound)}; a sweep can grow in "
            f"{', '.join(name.rstrip('.') for name in growth.GROWING)} alone"
        )
    growth.check_growth(there, asked)
