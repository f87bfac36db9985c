"""Results as labelled arrays: an `xarray.Dataset` with the grid's axes and `step`, saved as NetCDF-4."""

import dataclasses
import json
import os
from collections.abc import Mapping

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.errors import WorkdirError
from collapse_jax.experiment import config, identity
from collapse_jax.experiment.axes import AXES, static_axes
from collapse_jax.experiment.grid import grid_coordinates
from collapse_jax.experiment.points import describe_point
from collapse_jax.experiment.static_axes import has_programs, programs_of, read_programs
from collapse_jax.measures import Variable
from collapse_jax.workdir.join_programs import join_programs
from collapse_jax.workdir.measured import MEASURES, join
from collapse_jax.workdir.netcdf import read_dataset

RESULTS = "results.nc"


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
    masked = (diverged_at >= 0)[:, None] & (steps[None, :] >= diverged_at[:, None])
    names, shape, coords = grid_coordinates(axes)
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
    own = {axis: (axis, list(c)) for name in values for axis, c in variables[name].coords.items()}
    dataset = xr.Dataset(
        data | {"diverged_at": (names, diverged_at.reshape(shape), described)},
        {**coords, **own, "step": ("step", steps)},
    )
    name_axes(dataset)
    dataset["step"].attrs.update(long_name="training step", units="steps", definition="optimizer updates taken")
    return dataset


def name_axes(dataset: xr.Dataset) -> None:
    """Describe the coordinates of the grid."""
    for name, axis in AXES.items():
        if name in dataset.coords:
            dataset[name].attrs["long_name"] = axis.label


def open_results(workdir: str | os.PathLike[str]) -> xr.Dataset:
    """Read the results of a sweep: what was measured while it trained, and later by `measure`.

    The programs of static axes are joined; what a program lacks is nan.
    A variable measured both ways is the in-line one; see `measured.join`. Steps at which a variable was not
    measured are nan (`results.nhsic_zx.dropna("step", how="all")` leaves them out).

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
    path = epath.Path(workdir)
    if not path.is_dir():
        return _read(path, workdir)
    if has_programs(path):
        return _open_programs(path)
    in_line = _read(path / RESULTS, workdir) if (path / RESULTS).exists() else None
    results = join(in_line, path)
    if results is None:
        raise WorkdirError(f"workdir={workdir}: no results here, {RESULTS} is missing")
    return results


def _open_programs(workdir: epath.Path) -> xr.Dataset:
    """Read the results of all programs that have any, and join them along the static axes."""
    experiment = read_programs(workdir)
    parts = []
    for program in programs_of(experiment):
        folder = program.folder(workdir)
        if (folder / RESULTS).exists() or (folder / MEASURES).is_dir():
            parts.append((program.point, open_results(folder)))
    if not parts:
        raise WorkdirError(f"workdir={workdir}: no results here, none of its programs has begun")
    joined = join_programs(static_axes(experiment.grid), parts)
    name_axes(joined)
    joined.attrs = {
        "title": experiment.name,
        "experiment": json.dumps(dataclasses.asdict(experiment)),
        "fingerprint": identity.fingerprint(experiment),
    }
    missing = [
        f"{shard} of {describe_point(point)}"
        for point, part in parts
        for shard in part.attrs.get("missing_shards", "").split(", ")
        if shard
    ]
    if missing:
        joined.attrs["missing_shards"] = ", ".join(missing)
    return joined


def _read(path: epath.Path, workdir: str | os.PathLike[str]) -> xr.Dataset:
    if not path.exists():
        raise WorkdirError(f"workdir={workdir}: no results here, {path.name} is missing")
    try:
        return read_dataset(path)
    except ValueError:
        raise WorkdirError(f"workdir={workdir}: {path.name} is damaged") from None


def thresholds_of(dataset: xr.Dataset) -> config.Thresholds:
    """Return the thresholds with which the sweep was configured.

    Raises:
      WorkdirError: the results do not describe their experiment, or lack `diverged_at`, as a dataset that was
        computed from results may.
    """
    try:
        dataset["diverged_at"]
        return config.Thresholds(**json.loads(dataset.attrs["experiment"])["thresholds"])
    except (ValueError, KeyError, TypeError):
        source = dataset.encoding.get("source", "of this dataset")
        raise WorkdirError(
            f"results {source}: need diverged_at and attrs['experiment'], the config with its thresholds"
        ) from None
