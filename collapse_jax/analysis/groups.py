"""The runs of results one after another, and which of them differ in their seed only."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.errors import require
from collapse_jax.experiment.axes import AXES, TRACED
from collapse_jax.workdir.join import retired_at

Point = dict[str, Any]
Groups = list[tuple[Point, list[int]]]

# What figures and slopes are drawn and fitted against, unless another axis is asked for.
DEFAULT_AXIS = "weight_decay"


def require_dataset(name: str, value: Any, function: str) -> None:
    """Raise `ConfigError` unless the argument is a dataset, as `function` returns it; a path, say, is none."""
    require(isinstance(value, xr.Dataset), name, value, f"must be a dataset as collapse_jax.{function} returns it")


def run_dims(results: xr.Dataset) -> list[str]:
    """Name the dimensions that tell runs apart: neither `step` nor axes of a variable's own, such as `layer`."""
    own = results["diverged_at"].dims if "diverged_at" in results else results.dims
    return [str(name) for name in own if name in (*AXES, "run")]


def run_axes(results: xr.Dataset) -> list[str]:
    """Name the coordinates that tell runs apart; the traced axes come last, in their order."""
    dims = run_dims(results)
    names = [name for name in dims if name in results.coords]
    names += [str(name) for name, c in results.coords.items() if c.dims and set(c.dims) <= set(dims)]
    unique = [name for name in dict.fromkeys(names) if name != "run"]
    return sorted(unique, key=lambda name: TRACED.index(name) if name in TRACED else -1)


def flat(array: xr.DataArray, like: xr.Dataset) -> np.ndarray:
    """[R, ...] the values of an array, run by run in the order of `run_dims(like)`, the last varying fastest."""
    dims = run_dims(like)
    missing = {d: like.sizes[d] for d in dims if d not in array.dims}
    whole = array.expand_dims(missing).transpose(*dims, ...)
    return whole.values.reshape(-1, *whole.shape[len(dims) :])


def at_the_end(results: xr.Dataset) -> xr.Dataset:
    """Select the last step; of runs that retired before it the last one at which each variable was measured."""
    last = results.isel(step=-1)
    if "retired_at" not in results:
        return last
    early, own = retired_at(results) >= 0, {}
    for name, values in results.data_vars.items():
        if {*early.dims, "step"} <= set(values.dims):
            known = values.notnull().any([d for d in values.dims if d not in (*early.dims, "step")])
            place = known.sizes["step"] - 1 - known.isel(step=slice(None, None, -1)).argmax("step")
            mine = values.isel(step=place).drop_vars("step")
            own[name] = last[name].where(~early, mine).transpose(*last[name].dims)
    return last.assign(own)


def carried(runs: xr.Dataset, name: str) -> xr.DataArray:
    """Return a variable of runs [run, ..., step] in which those that retired keep their last value.

    They do so as long as another of these runs goes on, at the steps at which one was measured: a mean over runs
    then does not jump where one retires. Diverged runs have no further values.
    """
    array = runs[name]
    if "retired_at" not in runs or "step" not in array.dims:
        return array
    at, steps = retired_at(runs), array["step"]
    last = int(at.max()) if bool((at >= 0).all()) else int(steps[-1])
    rest = [d for d in array.dims if d not in (*at.dims, "step")]
    moved = array.transpose(*at.dims, *rest, "step")
    known = moved.notnull().any(rest)
    latest = np.maximum.accumulate(np.where(known.values, np.arange(len(steps)), 0), axis=-1)
    latest = latest.reshape(*at.shape, *[1] * len(rest), len(steps))
    filled = np.take_along_axis(moved.values, np.broadcast_to(latest, moved.shape), axis=-1)
    held = (at >= 0) & (steps > at) & (steps <= last) & known.any(at.dims)
    return array.where(~held, moved.copy(data=filled)).transpose(*array.dims)


def until_the_first_retires(runs: xr.Dataset) -> xr.Dataset:
    """Return runs [run, ..., step] without the steps after the first of them retired.

    For means beside what goes on with the steps, such as the density of levels or a law in time: there the last
    value of a run that is trained no more says nothing, and a mean over the others alone would jump.
    """
    at = retired_at(runs) if "retired_at" in runs else None
    if at is None or not bool((at >= 0).any()):
        return runs
    return runs.isel(step=np.flatnonzero(runs["step"].values <= int(at.where(at >= 0).min())))


def points_of(results: xr.Dataset) -> list[Point]:
    """Return the hyperparameters of each run, as far as they tell runs apart."""
    columns = {name: flat(results[name], results).tolist() for name in run_axes(results)}
    count = int(np.prod([results.sizes[d] for d in run_dims(results)]))
    return [{name: column[run] for name, column in columns.items()} for run in range(count)]


def groups_of(points: Sequence[Mapping[str, Any]], apart_from: Collection[str] = ("seed",)) -> Groups:
    """Group the runs that differ in the axes `apart_from` only, such as their seed.

    Without seeds nothing says that two runs repeat each other, so each stands alone where only seeds may differ.

    Returns:
      for each group the other axes' values and its runs, in the order of their first run.
    """
    found: dict[tuple, tuple[Point, list[int]]] = {}
    for run, point in enumerate(points):
        rest = {name: value for name, value in point.items() if name not in apart_from}
        alone = () if "seed" in point or set(apart_from) != {"seed"} else (run,)
        found.setdefault((*rest.values(), *alone), (rest, []))[1].append(run)
    return list(found.values())


def varying(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the axes in which the points differ."""
    return [name for name in (points[0] if points else {}) if len({str(point[name]) for point in points}) > 1]


def default_axis(results: xr.Dataset) -> str:
    """Name the axis against which results are read unless another is asked for: weight decay, if they have it.

    Else the first axis of numbers that varies, and "" without any.
    """
    if DEFAULT_AXIS in results.coords:
        return DEFAULT_AXIS
    numbers = [name for name in varying(points_of(results)) if np.issubdtype(results[name].dtype, np.number)]
    return next((name for name in numbers if name != "seed"), "")


def take(results: xr.Dataset, runs: Sequence[int]) -> xr.Dataset:
    """Return some runs of any grid along the dimension `run`, which comes first, and `step` last."""
    dims = run_dims(results)
    if not dims:
        return results.expand_dims("run").transpose("run", ..., "step", missing_dims="ignore")
    index = np.unravel_index(np.asarray(runs), [results.sizes[d] for d in dims])
    part = results.isel({d: xr.DataArray(i, dims="run") for d, i in zip(dims, index, strict=True)})
    return part.drop_vars("run", errors="ignore").transpose("run", ..., "step", missing_dims="ignore")
