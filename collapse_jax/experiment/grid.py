"""The runs that a grid spans: their hyperparameters, order, dimensions and coordinates."""

import collections
import itertools
import math
from typing import Any

import numpy as np

from collapse_jax.errors import Wrong, require, require_one_of
from collapse_jax.experiment.axes import AXES, Grid, traced_axes


def number_of_runs(grid: Grid) -> int:
    """Return how many runs the hyperparameters of a grid span; each value of the static axes has so many."""
    lengths = [len(values) for values in traced_axes(grid).values()]
    return math.prod(lengths) if grid.mode == "product" else max(lengths)


def grid_runs(grid: Grid) -> list[dict[str, Any]]:
    """Return the hyperparameters of every run, the last axis varying fastest."""
    axes = traced_axes(grid)
    if grid.mode == "product":
        combinations = list(itertools.product(*axes.values()))
    else:
        length = number_of_runs(grid)
        combinations = list(zip(*(v * length if len(v) == 1 else v for v in axes.values()), strict=True))
    return [dict(zip(axes, values, strict=True)) for values in combinations]


def grid_coordinates(grid: Grid) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, Any]]:
    """Return the dimensions of the hyperparameters, their lengths, and coordinates as `xarray.Dataset` takes them.

    A product has a dimension per axis, a zipped grid the dimension `run`. An axis that has its neutral value alone
    has neither dimension nor coordinate.
    """
    axes = {name: v for name, v in traced_axes(grid).items() if v != (AXES[name].neutral,)}
    if grid.mode == "zip":
        runs = grid_runs(grid)
        return ("run",), (len(runs),), {name: ("run", np.array([run[name] for run in runs])) for name in axes}
    dimensions = {name: v for name, v in axes.items() if len(v) > 1 or AXES[name].dimension}
    coords: dict[str, Any] = {name: (name, np.asarray(v)) for name, v in dimensions.items()}
    coords |= {name: ((), v[0]) for name, v in axes.items() if name not in dimensions}
    return tuple(dimensions), tuple(len(v) for v in dimensions.values()), coords


def check_grid(grid: Grid) -> None:
    """Make sure that every axis has the values that it may have.

    Raises:
      ConfigError: naming each wrong axis, the value and what is allowed.
    """
    wrong = Wrong()
    with wrong.noted():
        require_one_of("grid.mode", grid.mode, ("product", "zip"))
    for name in AXES:
        with wrong.noted():
            _check_axis(grid, name)
    if grid.mode == "zip":
        with wrong.noted():
            _check_zip(grid)
    wrong.tell()


def _check_axis(grid: Grid, name: str) -> None:
    field, axis, values = f"grid.{name}", AXES[name], getattr(grid, name)
    needed = axis.traced and bool(Grid.__dataclass_fields__[name].default)
    require(bool(values) or not needed, field, (), "an axis needs at least one value")
    for value in values:
        axis.check(field, value)
    if grid.mode == "product" or not axis.traced:
        check_distinct(field, values)


def _check_zip(grid: Grid) -> None:
    lengths = {name: len(values) for name, values in traced_axes(grid).items()}
    allowed = {1, max(lengths.values())}
    require(set(lengths.values()) <= allowed, "grid.mode", "zip", f"axes must have equal lengths, not {lengths}")
    runs = [tuple(run.values()) for run in grid_runs(grid)]
    repeated = [run for run, count in collections.Counter(runs).items() if count > 1]
    require(not repeated, "grid", repeated[:1], "the same run stands in the grid twice")


def check_distinct(field: str, values: tuple) -> None:
    """Raise `ConfigError` for a value that stands in a tuple twice."""
    repeated = [value for value, count in collections.Counter(values).items() if count > 1]
    require(not repeated, field, values, f"the value {repeated[:1]} stands in it twice")
