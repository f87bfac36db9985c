"""Joins the results of the leaves of a workdir into one labelled array, and takes single parts out of it again.

Every run has a place in the whole: the values of the static axes of its leaf, and its hyperparameters. It does not
matter by which cuts it came into its leaf. A sweep with one run per tile gives the same bits, however it was cut.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.errors import WorkdirError
from collapse_jax.experiment.axes import AXES, STATIC, static_axes
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.cuts import AXES as BY_AXES
from collapse_jax.experiment.cuts import Cut, parts
from collapse_jax.experiment.grid import grid_coordinates, grid_runs
from collapse_jax.workdir.record import attributes, read_experiment
from collapse_jax.workdir.tree import Node

# Where a leaf has no value: no run diverged or retired that was not trained.
ABSENT: Mapping[str, Any] = {"diverged_at": -1, "retired_at": -1}


def join(experiment: Experiment, leaves: Sequence[tuple[Node, xr.Dataset]]) -> xr.Dataset:
    """Put the runs of leaves to their places in the whole.

    Args:
      experiment: the whole.
      leaves: the leaves that have results, and these. They may lack variables, steps, or entries of an axis that is
        the variable's own (the layers of a shallower network, the classes of another data set).

    Returns:
      A dataset with the static axes and those of the grid as first dimensions; what leaves lack is nan, and
      `diverged_at` and `retired_at` of absent runs -1.

    Raises:
      WorkdirError: a variable was measured with other options in one leaf than in another.
    """
    static = static_axes(experiment.grid)
    names, shape, coords = grid_coordinates(experiment.grid)
    place = {tuple(run.values()): index for index, run in enumerate(grid_runs(experiment.grid))}
    outer, dims = tuple(len(values) for values in static.values()), (*static, *names)
    _require_equal_options(leaves)
    own, sizes = _own_coordinates([results for _, results in leaves])
    whole: dict[str, tuple] = {}
    for node, results in leaves:
        point = tuple(list(values).index(node.point[axis]) for axis, values in static.items())
        runs = [place[tuple(run.values())] for run in grid_runs(node.experiment.grid)]
        run_dims = results["diverged_at"].dims
        for name, variable in results.data_vars.items():
            rest = [d for d in variable.dims if d not in run_dims]
            if name not in whole:
                empty = np.full(
                    (*outer, len(place), *(sizes[d] for d in rest)),
                    ABSENT.get(str(name), np.nan),
                    variable.dtype,
                )
                whole[str(name)] = (rest, empty, variable.attrs)
            values = variable.transpose(*run_dims, *whole[str(name)][0]).values
            here = [_positions(variable, d, own) for d in whole[str(name)][0]]
            target = whole[str(name)][1][point]
            target[np.ix_(np.array(runs), *here)] = values.reshape(len(runs), *values.shape[len(run_dims) :])
    data = {
        name: ((*dims, *rest), array.reshape(*outer, *shape, *array.shape[len(outer) + 1 :]), attrs)
        for name, (rest, array, attrs) in whole.items()
    }
    joined = xr.Dataset(data, {**{n: np.array(v) for n, v in static.items()}, **coords, **own})
    name_axes(joined)
    return joined.assign_attrs(attributes(experiment))


def _require_equal_options(leaves: Sequence[tuple[Node, xr.Dataset]]) -> None:
    asked: dict[tuple, tuple[str, str]] = {}
    for node, results in leaves:
        for name, variable in results.data_vars.items():
            key, found = (str(name), str(node.point)), str(variable.attrs.get("measured", ""))
            before = asked.setdefault(key, (found, node.text))
            if before[0] != found:
                raise WorkdirError(f"workdir={node.path}: {name} has other options than in {before[1]}")


def name_axes(dataset: xr.Dataset) -> None:
    """Describe the coordinates of the grid."""
    for name, axis in AXES.items():
        if name in dataset.coords:
            dataset[name].attrs["long_name"] = axis.label


def axes_of(results: xr.Dataset) -> list[str]:
    """Return the static axes that are dimensions of results."""
    return [name for name in STATIC if name in results.dims]


def select_part(results: xr.Dataset, point: Mapping[str, Any]) -> xr.Dataset:
    """Return the results at one point of the static axes: without what it lacks, these axes as scalar coordinates.

    `attrs["experiment"]` and `attrs["fingerprint"]` become its own, where the experiment of all is known.
    """
    part = results.sel(dict(point))
    part = part.drop_vars([name for name, variable in part.data_vars.items() if variable.isnull().all()])
    runs = part["diverged_at"].dims
    for dim in [dim for dim in part.dims if dim != "step" and dim not in runs]:
        # Dimensions that a measure brings, such as the layers of the deepest network.
        others = {name: [d for d in v.dims if d != dim] for name, v in part.data_vars.items() if dim in v.dims}
        held = [part[name].notnull().any(dims).values for name, dims in others.items()]
        part = part.isel({dim: np.flatnonzero(np.any(held, axis=0))}) if held else part.drop_dims([dim])
    return part.assign_attrs(_own_attributes(results, part))


def _own_attributes(results: xr.Dataset, part: xr.Dataset) -> dict[str, str]:
    """Return the experiment and fingerprint of one part; {} where that of all is unknown."""
    try:
        whole = read_experiment({"experiment": json.loads(results.attrs["experiment"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    for found in parts(whole, Cut(BY_AXES)) if static_axes(whole.grid) else []:
        if all(name in part.coords and part[name].item() == value for name, value in found.point.items()):
            return {name: text for name, text in attributes(found.experiment).items() if name != "title"}
    return {}


def _own_coordinates(datasets: Sequence[xr.Dataset]) -> tuple[dict[str, Any], dict[Any, int]]:
    """Return the union of all coordinates but those of runs, by appearance but steps ascending; all sizes."""
    coords: dict[str, Any] = {}
    sizes: dict[Any, int] = {}
    for results in datasets:
        for dim in set(results.dims) - set(results["diverged_at"].dims):
            sizes[dim] = max(results.sizes[dim], sizes.get(dim, 0))
    for dim in sizes:
        labels = [results[dim] for results in datasets if dim in results.coords]
        if labels:
            values = np.concatenate([label.values for label in labels])
            _, first = np.unique(values, return_index=True)
            values = np.sort(values[first]) if dim == "step" else values[np.sort(first)]
            coords[str(dim)] = (dim, values, labels[0].attrs)
            sizes[dim] = len(values)
    return coords, sizes


def _positions(values: xr.DataArray, dim: Any, coords: Mapping[str, Any]) -> np.ndarray:
    """Return where the entries of `values` along a dimension go."""
    if dim not in values.coords:
        return np.arange(values.sizes[dim])
    order = {label: i for i, label in enumerate(coords[dim][1].tolist())}
    return np.array([order[label] for label in values[dim].values.tolist()])


def reached_steps(results: xr.Dataset) -> xr.DataArray:
    """Find the last step at which any variable of a run has a value; -1 for none."""
    dims = results["diverged_at"].dims
    seen = np.full(results["diverged_at"].shape, -1)
    for name, array in results.variables.items():
        if name not in results.coords and {*dims, "step"} <= set(array.dims):
            known = (
                array.notnull().any([d for d in array.dims if d not in (*dims, "step")]).transpose(*dims, "step")
            )
            last = np.where(known.values, results["step"].values, -1).max(axis=-1, initial=-1)
            seen = np.maximum(seen, last)
    return results["diverged_at"].copy(data=seen)


def ended(results: xr.Dataset) -> xr.DataArray:
    """Say which runs have ended before the last step: they diverged, or a stop rule let them retire."""
    early = results["diverged_at"] >= 0
    return early | (results["retired_at"] >= 0) if "retired_at" in results else early


def retired_at(results: xr.Dataset) -> xr.DataArray:
    """Find the last step of each run that a stop rule ended by its events or at its end; -1 for others.

    A run that diverged, which is trained no more either, counts as diverged.
    """
    healthy = results["diverged_at"] < 0
    return results["retired_at"].where(healthy, -1) if "retired_at" in results else results["diverged_at"] * 0 - 1


def all_points(results: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Go through the combinations of values of the static axes of results, the last varying fastest."""
    axes = {name: results[name].values.tolist() for name in axes_of(results)}
    for index in np.ndindex(*(len(values) for values in axes.values())) if axes else ():
        yield {name: values[i] for (name, values), i in zip(axes.items(), index, strict=True)}
