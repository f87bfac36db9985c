"""Joins the results of the programs of static axes into one labelled array."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.experiment import identity
from collapse_jax.experiment.static_axes import programs_of
from collapse_jax.workdir.record import read_experiment

# Where a program has no value: no run diverged that was not trained.
ABSENT: Mapping[str, Any] = {"diverged_at": -1}


def join_programs(
    axes: Mapping[str, Sequence[Any]], parts: Sequence[tuple[Mapping[str, Any], xr.Dataset]]
) -> xr.Dataset:
    """Join datasets along the static axes, which become the first dimensions.

    Args:
      axes: static axis -> all of its values, in order.
      parts: the values of a program, and its results. Programs may lack variables, steps, or entries of an axis
        that is the variable's own (the layers of a shallower network, the classes of another data set).

    Returns:
      A dataset with nan for what programs lack; the coordinates of the static axes are `axes`.
    """
    shape = tuple(len(values) for values in axes.values())
    places = [tuple(list(values).index(point[name]) for name, values in axes.items()) for point, _ in parts]
    coords, sizes = _common_coordinates([part for _, part in parts])
    joined: dict[str, tuple] = {}
    for name in dict.fromkeys(str(name) for _, part in parts for name in part.data_vars):
        holders = [(place, part[name]) for place, (_, part) in zip(places, parts, strict=True) if name in part]
        first = holders[0][1]
        missing = ABSENT.get(name, np.nan)
        whole: Any = np.full((*shape, *(sizes[d] for d in first.dims)), missing, first.dtype)
        for place, values in holders:
            here = tuple(_positions(values, d, coords) for d in first.dims)
            whole[(*place, *np.ix_(*here))] = values.transpose(*first.dims).values
        joined[name] = ((*axes, *first.dims), whole, first.attrs)
    static = {name: np.array(values) for name, values in axes.items()}
    return xr.Dataset(joined, {**static, **coords})


def one_program(results: xr.Dataset, point: Mapping[str, Any]) -> xr.Dataset:
    """Return the results of one program: without what it lacks, its static axes as scalar coordinates.

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
    """Return the experiment and fingerprint of one program; {} where that of all is unknown."""
    try:
        whole = read_experiment({"experiment": json.loads(results.attrs["experiment"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    for program in programs_of(whole):
        if all(name in part.coords and part[name].item() == value for name, value in program.point.items()):
            experiment = json.dumps(dataclasses.asdict(program.experiment))
            return {"experiment": experiment, "fingerprint": identity.fingerprint(program.experiment)}
    return {}


def _common_coordinates(parts: Sequence[xr.Dataset]) -> tuple[dict[str, Any], dict[Any, int]]:
    """Return the union of every coordinate, in order of appearance but steps ascending, and all sizes."""
    coords: dict[str, Any] = {}
    sizes: dict[Any, int] = {}
    for part in parts:
        for dim, size in part.sizes.items():
            sizes[dim] = max(size, sizes.get(dim, 0))
        for name, coord in part.coords.items():
            if coord.dims != (name,):
                coords.setdefault(str(name), coord)
    for dim in sizes:
        labels = [part[dim] for part in parts if dim in part.coords]
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
