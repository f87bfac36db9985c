"""Results as labelled arrays: an `xarray.Dataset` with the grid's axes and `step`, saved as NetCDF-4."""

import json
import pathlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax import config, grid
from collapse_jax.errors import StoreError, WorkdirError
from collapse_jax.measures import Variable
from collapse_jax.store.files import replacing, storing

RESULTS = "results.nc"
CHECKSUM = "crc32"
AXIS_NAMES = {
    "weight_decay": "weight decay λ",
    "learning_rate": "learning rate η",
    "init_scale": "initialisation scale α",
    "seed": "seed",
}


def label(
    axes: config.Grid,
    steps: np.ndarray,
    values: Mapping[str, np.ndarray],
    diverged_at: np.ndarray,
    variables: Mapping[str, Variable],
) -> xr.Dataset:
    """Label the values of all runs.

    Args:
      axes: the grid; a product grid becomes one dimension per axis, a zipped one the dimension `run`.
      steps: [T] log steps.
      values: variable -> [R, T, ...], nan where not yet logged.
      diverged_at: [R] first bad step, -1 for healthy runs; from it on a run's values are masked with nan.
      variables: descriptions.

    Returns:
      A dataset with float32 variables, and `diverged_at` per run.
    """
    runs = grid.grid_runs(axes)
    masked = (diverged_at >= 0)[:, None] & (steps[None, :] >= diverged_at[:, None])
    if axes.mode == "product":
        dimensions = grid.grid_dimensions(axes)
        shape = tuple(len(points) for points in dimensions.values())
        coords: dict[str, Any] = {name: (name, np.asarray(points)) for name, points in dimensions.items()}
        coords |= {name: ((), getattr(axes, name)[0]) for name in grid.AXES if name not in dimensions}
        names: tuple[str, ...] = tuple(dimensions)
    else:
        shape, names = (len(runs),), ("run",)
        coords = {name: ("run", np.array([run[name] for run in runs])) for name in grid.AXES}
    data = {
        name: (
            (*names, "step", *variables[name].dims),
            np.where(masked.reshape(*masked.shape, *[1] * (array.ndim - 2)), np.nan, array).reshape(
                *shape, *array.shape[1:]
            ),
            variables[name].attrs(),
        )
        for name, array in values.items()
    }
    described = {
        "long_name": "first step at which the run was not finite",
        "units": "steps",
        "definition": "-1 for a healthy run",
    }
    dataset = xr.Dataset(
        data | {"diverged_at": (names, diverged_at.reshape(shape), described)},
        {**coords, "step": ("step", steps)},
    )
    for name, long_name in AXIS_NAMES.items():
        dataset[name].attrs["long_name"] = long_name
    dataset["step"].attrs.update(long_name="training step", units="steps", definition="optimizer updates taken")
    return dataset


def write_results(dataset: xr.Dataset, path: pathlib.Path) -> None:
    """Write a dataset as compressed NetCDF-4 with a checksum of its content, whole or not at all.

    Raises:
      StoreError: it cannot be written, or reads back with other content; what was there before is there still.
    """
    encoding = {name: {"zlib": True, "complevel": 4} for name in dataset.data_vars if dataset[name].ndim}
    dataset = dataset.assign_attrs({CHECKSUM: checksum(dataset)})
    with storing(path), replacing(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        try:
            _load(temporary)
        except ValueError as error:
            raise StoreError(f"{path} does not read back: {error}") from None


def checksum(dataset: xr.Dataset) -> int:
    """Return the CRC-32 of names, dimensions, values and attributes; NetCDF-4 checks next to nothing itself."""
    crc = 0
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name]
        values = np.ascontiguousarray(variable.values)
        numeric = values.dtype.kind in "biuf"
        content = values.tobytes() if numeric else repr(values.astype(str).tolist()).encode()
        kind = values.dtype.str if numeric else "text"
        role = "coordinate" if name in dataset.coords else "variable"
        header = json.dumps([role, name, variable.dims, variable.shape, kind, _plain(variable.attrs)])
        crc = zlib.crc32(content, zlib.crc32(header.encode(), crc))
    return zlib.crc32(json.dumps(_plain(dataset.attrs)).encode(), crc)


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(k): np.asarray(v).tolist() for k, v in sorted(attrs.items()) if k != CHECKSUM}


def _load(path: pathlib.Path) -> xr.Dataset:
    """Read a dataset and verify it; files without a checksum, of version 0.1, pass.

    Raises:
      ValueError: the file is damaged.
    """
    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
        expected = dataset.attrs.pop(CHECKSUM, None)
        ok = expected is None or expected == checksum(dataset)
    except Exception as error:  # h5py and xarray raise many kinds for a damaged file
        raise ValueError(str(error)) from error
    if not ok:
        raise ValueError("its checksum differs")
    return dataset


def open_results(workdir: str | pathlib.Path) -> xr.Dataset:
    """Read the results of a sweep.

    Example:
      >>> results = collapse_jax.open_results("runs/mnist_mlp")  # doctest: +SKIP
      >>> results.test_accuracy.sel(weight_decay=0.1).mean("seed").plot()  # doctest: +SKIP

    Args:
      workdir: directory of a sweep, finished or not (steps not yet reached are nan), or a results file.

    Returns:
      A dataset in memory; dims are the grid's axes and `step`. `attrs["experiment"]` is the config as JSON.

    Raises:
      WorkdirError: there are no results, or the file is damaged.
    """
    path = pathlib.Path(workdir)
    path = path / RESULTS if path.is_dir() else path
    if not path.exists():
        raise WorkdirError(f"workdir={workdir}: no results here, {path.name} is missing")
    try:
        return _load(path)
    except ValueError:
        raise WorkdirError(f"workdir={workdir}: {path.name} is damaged") from None


def thresholds_of(dataset: xr.Dataset) -> config.Thresholds:
    """Return the thresholds with which the sweep was configured."""
    return config.Thresholds(**json.loads(dataset.attrs["experiment"])["thresholds"])
