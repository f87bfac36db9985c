"""Tells tracking libraries what is logged of each run, seldom enough to cost next to nothing."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

from collapse_jax.engine.stopping import LIVING
from collapse_jax.errors import CollapseError, ConfigError, first_line
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import AXES, static_axes, traced_axes
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.experiment.identity import flatten
from collapse_jax.experiment.points import value_text
from collapse_jax.measures.variable import Variable
from collapse_jax.system.files import is_remote
from collapse_jax.system.progress import say
from collapse_jax.tracking import Row, Run, Tracker, run_id
from collapse_jax.training import HEALTHY
from collapse_jax.workdir.tracked import sweep_id

SHARE = 0.01  # of the time that telling may take, until the sweep ends
MOST = 64  # values of a variable with axes of its own, such as layers; of longer ones the results alone know


class Records:
    """The records of the runs of a leaf.

    What they lack is told at log points, and then not again before that has taken at most `SHARE` of the time; all
    of it at the end. After a kill the records say themselves what they lack: the sweep has it in its checkpoint,
    or computes it again.

    Args:
      make: returns the record of a run, not begun.
      runs: in the order of the leaf.

    Raises:
      ConfigError: the library cannot begin the records: no account, say.
    """

    def __init__(self, make: Callable[[], Tracker], runs: list[Run]):
        self.trackers: dict[int, Tracker] = {}
        self.told: dict[int, int] = {}
        self._due = 0.0
        for index, run in enumerate(runs):
            tracker = make()
            try:
                self.told[index] = tracker.start(run)
            except CollapseError:
                raise
            except Exception as error:  # whatever a library raises
                raise ConfigError(
                    "--track", type(tracker).__name__, f"cannot begin: {first_line(error)}"
                ) from error
            self.trackers[index] = tracker

    def tell(
        self,
        until: int,
        steps: np.ndarray,
        results: Mapping[str, np.ndarray],
        variables: Mapping[str, Variable],
        ends: Mapping[str, np.ndarray],
    ) -> None:
        """Tell what is logged up to a step, if it is time to.

        Args:
          until: the step.
          steps: [T] log steps.
          results: variable -> [R, T, ...], nan where there is nothing.
          variables: their descriptions.
          ends: [R] steps at which runs "diverged" and "retired", -1 for others.
        """
        if time.monotonic() >= self._due:
            began = time.monotonic()
            self._tell_all(until, steps, results, variables, ends)
            took = time.monotonic() - began
            self._due = began + took / SHARE

    def _tell_all(self, until: int, steps: np.ndarray, results: Any, variables: Any, ends: Any) -> None:
        for run in list(self.trackers):
            last = until if ends["diverged"][run] == HEALTHY else min(until, int(ends["diverged"][run]) - 1)
            new = np.flatnonzero((steps > self.told[run]) & (steps <= last))
            rows = [row for column in new.tolist() if (row := _row(run, column, steps, results, variables))[1]]
            if rows:
                self._try(run, "log", rows)
                self.told[run] = rows[-1][0]

    def close(self, interrupted: bool, until: int, *logged: Any) -> None:
        """Tell all that is left, and how each run has ended.

        Args:
          interrupted: whether the sweep will go on.
          until: the step at which it is.
          logged: the further arguments of `tell`.
        """
        self._tell_all(until, *logged)
        ends = logged[-1]
        for run in list(self.trackers):
            outcome, step = "interrupted" if interrupted else "finished", until
            for name in ("retired", "diverged"):  # who diverged is trained no more, either
                if ends[name][run] != LIVING:
                    outcome, step = name, int(ends[name][run])
            if outcome in ends and self.told[run] <= step:
                self._try(run, "log", [(step + 1, {f"{outcome}_at": float(step)})])
            self._try(run, "finish", outcome, step)

    def _try(self, run: int, method: str, *arguments: Any) -> None:
        """Call a tracker; a record that fails is left alone from then on, and the training goes on."""
        tracker = self.trackers.get(run)
        try:
            if tracker is not None:
                getattr(tracker, method)(*arguments)
        except Exception as error:  # whatever a library raises
            del self.trackers[run]
            say(f"WARNING: a record of {type(tracker).__name__} is left alone: {first_line(error)}")


def _row(run: int, column: int, steps: np.ndarray, results: Mapping[str, np.ndarray], variables: Any) -> Row:
    """Return what is known of a run at a log step."""
    values = {
        key: float(value)
        for name, array in results.items()
        for key, value in _named(name, array[run, column], variables[name])
        if np.isfinite(value)
    }
    return int(steps[column]), values


def _named(name: str, values: np.ndarray, variable: Variable) -> Iterator[tuple[str, Any]]:
    """Name the numbers of a value: "rnc1", or "layer_rnc1/0" of one with an axis of its own."""
    if values.ndim == 0:
        yield name, values
    elif values.size <= MOST:
        labels = [variable.coords.get(dim, range(n)) for dim, n in zip(variable.dims, values.shape, strict=True)]
        for index in np.ndindex(values.shape):
            yield "/".join([name, *(str(label[i]) for label, i in zip(labels, index, strict=True))]), values[index]


def runs_of(
    workdir: epath.Path, whole: config.Experiment, leaf: config.Experiment, point: Mapping[str, Any]
) -> list[Run]:
    """Label the runs of a leaf.

    Args:
      workdir: of the whole, which exists.
      whole: its experiment.
      leaf: that of the leaf.
      point: values of the static axes at the leaf.
    """
    sweep = sweep_id(workdir)
    named = [*static_axes(whole.grid)]
    named += [name for name, values in traced_axes(whole.grid).items() if len(values) > 1 or AXES[name].dimension]
    fields = {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in flatten(dataclasses.replace(leaf, grid=type(leaf.grid)())).items()
        if not name.startswith("grid.") and value not in (None, "", ())
    }
    runs = []
    for run in grid_runs(leaf.grid):
        of_run = {**point, **run}
        name = " ".join(f"{axis}={value_text(of_run[axis])}" for axis in named)
        runs.append(
            Run(
                id=run_id(sweep, of_run),
                name=name,
                project=whole.name,
                group=f"{whole.name} {sweep}",
                config=fields | of_run,
                folder="" if is_remote(workdir) else os.fspath(workdir),
            )
        )
    return runs
