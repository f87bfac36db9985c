"""A sweep that grows: which fields may become more, and which runs and steps are new. Pure: no jax, no disk."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from collapse_jax.errors import Wrong, require
from collapse_jax.experiment.axes import AXES, STATIC, TRACED, static_axes
from collapse_jax.experiment.config import Experiment, Grid, Schedule
from collapse_jax.experiment.grid import grid_runs

SCHEDULES: dict[str, Callable[[Experiment], Schedule]] = {
    "log": lambda e: e.log,
    "snapshots": lambda e: e.snapshots.schedule,
}
# Fields of which a begun sweep may have more from some step on; the others bind it.
GROWING = ("grid.", "steps", "log.", "snapshots.schedule.", "measures")


def check_growth(there: Experiment, asked: Experiment) -> None:
    """Make sure that an experiment keeps all runs, steps and in-line measures of the one that it grows out of.

    Raises:
      ConfigError: it does not; every such field is named, with what it had.
    """
    wrong = Wrong()
    with wrong.noted():
        allowed = f"must be at least the {there.steps} that the sweep has"
        require(asked.steps >= there.steps, "steps", asked.steps, allowed)
    with wrong.noted():
        lost = [name for name in there.measures if name not in asked.measures]
        require(not lost, "measures", asked.measures, f"must keep those of the sweep; {', '.join(lost)} is missing")
    for name in (*STATIC, *TRACED):
        with wrong.noted():
            _check_axis(name, getattr(there.grid, name), getattr(asked.grid, name))
    wrong.tell()
    kept = there.grid.mode == asked.grid.mode and set(_runs(there.grid)) <= set(_runs(asked.grid))
    require(kept, "grid.mode", asked.grid.mode, "must keep the runs of the sweep, which are paired otherwise")


def _check_axis(name: str, there: tuple, asked: tuple) -> None:
    field, kind = f"grid.{name}", "static" if name in STATIC else "traced"
    allowed = (
        f"the sweep was begun {'with' if there else 'without'} this {kind} axis; only the values of its axes grow"
    )
    require(bool(there) == bool(asked), field, asked, allowed)
    lost = [value for value in there if value not in asked]
    require(not lost, field, asked, f"must keep the values of the sweep; {lost} is missing")


def has_more_runs(there: Grid, asked: Grid) -> bool:
    """Whether a grid that keeps the runs of another one has others besides."""
    return len(_runs(asked)) > len(_runs(there))


def _runs(grid: Grid) -> list[tuple]:
    """Return the runs of a grid, static axes first."""
    points = itertools.product(*static_axes(grid).values())
    return [(*point, *run.values()) for point in points for run in grid_runs(grid)]


def new_runs(there: Grid, asked: Grid, point: Mapping[str, Any]) -> Grid | None:
    """Return the runs of `asked` at a point of the static axes that `there` lacks, zipped; None for none."""
    begun = all(value in getattr(there, name) for name, value in point.items())
    old = {tuple(run.values()) for run in grid_runs(there)} if begun else set()
    runs = [run for run in grid_runs(asked) if tuple(run.values()) not in old]
    columns: dict[str, Any] = {name: tuple(run[name] for run in runs) for name in runs[0]} if runs else {}
    return Grid(**columns, mode="zip") if runs else None


def grown_steps(planned: np.ndarray, grown: Mapping[str, Any] | None, name: str) -> np.ndarray:
    """Return the steps of a schedule in a leaf that has grown: up to then as it was planned before.

    Args:
      planned: [T] steps of the schedule of the experiment as it is now.
      grown: of the record: {"until": step, "log": steps, "snapshots": steps}; None for a leaf that has not grown.
      name: "log" or "snapshots".
    """
    if grown is None:
        return planned
    before = np.array(grown[name], np.int64)
    return np.concatenate([before[before <= grown["until"]], planned[planned > grown["until"]]])


def grid_record(grid: Grid) -> dict[str, Any]:
    """Describe the axes of a grid that have values, as JSON takes them; `read_grid` is the inverse."""
    return {name: list(getattr(grid, name)) for name in AXES if getattr(grid, name)} | {"mode": grid.mode}


def read_grid(record: Mapping[str, Any]) -> Grid:
    """Build the grid that `grid_record` described."""
    none: dict[str, Any] = dict.fromkeys(AXES, ())
    axes = {name: tuple(values) for name, values in record.items() if name != "mode"}
    return dataclasses.replace(Grid(), **none | axes, mode=record["mode"])
