"""Results as labelled arrays: an `xarray.Dataset` with the grid's axes and `step`, saved as NetCDF-4."""

import json
import os
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.errors import DamagedError, WorkdirError
from collapse_jax.experiment import config
from collapse_jax.experiment.grid import grid_coordinates
from collapse_jax.measures.variable import Variable
from collapse_jax.system.files import is_there
from collapse_jax.system.paths import is_url, path_of
from collapse_jax.system.progress import say
from collapse_jax.workdir.agreement import mixture, require_one_origin
from collapse_jax.workdir.fetched import fetch
from collapse_jax.workdir.join import ended, join, name_axes, reached_steps
from collapse_jax.workdir.measured import join_measures
from collapse_jax.workdir.netcdf import read_dataset, write_dataset
from collapse_jax.workdir.record import RECORD
from collapse_jax.workdir.tree import Node, absent, nodes

RESULTS = "results.nc"
# What is said of each run, and how it is described.
ENDS: Mapping[str, Mapping[str, str]] = {
    "diverged_at": {
        "long_name": "first step at which the run was not finite",
        "units": "steps",
        "definition": "-1 for a healthy run",
    },
    "retired_at": {
        "long_name": "last step of a run that the stop rule ended",
        "units": "steps",
        "definition": "-1 for a run that it did not end",
    },
}


def label(
    axes: config.Grid,
    steps: np.ndarray,
    values: Mapping[str, np.ndarray],
    diverged_at: np.ndarray,
    variables: Mapping[str, Variable],
    retired_at: np.ndarray | None = None,
) -> xr.Dataset:
    """Label the values of all runs.

    Args:
      axes: the grid; a product grid becomes one dimension per axis, a zipped one the dimension `run`.
      steps: [T] log steps.
      values: variable -> [R, T, ...], nan where not yet logged.
      diverged_at: [R] first bad step, -1 for healthy runs; from it on a run's values are masked with nan.
      variables: descriptions.
      retired_at: [R] last step of the runs that a stop rule ended, -1 for others; after it a run's values are
        masked, too. None: there is no rule.

    Returns:
      A dataset with float32 variables, and `diverged_at` per run, and `retired_at` where it is given.
    """
    masked = (diverged_at >= 0)[:, None] & (steps[None, :] >= diverged_at[:, None])
    if retired_at is not None:
        masked |= (retired_at >= 0)[:, None] & (steps[None, :] > retired_at[:, None])
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
    ends = {"diverged_at": diverged_at} | ({} if retired_at is None else {"retired_at": retired_at})
    of_runs = {name: (names, at.reshape(shape), ENDS[name]) for name, at in ends.items()}
    own = {axis: (axis, list(c)) for name in values for axis, c in variables[name].coords.items()}
    dataset = xr.Dataset(
        data | of_runs,
        {**coords, **own, "step": ("step", steps)},
    )
    name_axes(dataset)
    dataset["step"].attrs.update(long_name="training step", units="steps", definition="optimizer updates taken")
    return dataset


def open_results(workdir: str | os.PathLike[str]) -> xr.Dataset:
    """Read the results of a sweep: what was measured while it trained, and later by `measure`.

    However the workdir was cut, by static axes, into shards or both, the runs stand at their places in one array;
    what a leaf lacks is nan, and `attrs["missing"]` names the parts that have no results yet. A variable measured
    both ways is the in-line one; see `measured.join_measures`. Steps at which a variable was not measured are nan
    (`results.nhsic_zx.dropna("step", how="all")` leaves them out).

    Example:
      >>> results = collapse_jax.open_results("runs/mnist_mlp")  # doctest: +SKIP
      >>> results.test_accuracy.sel(weight_decay=0.1).mean("seed").plot()  # doctest: +SKIP

    Args:
      workdir: directory of a sweep, finished or not (steps not yet reached are nan), a results file, or a folder
        that `publish` wrote; of the latter two also an https URL, whose file is verified and cached.

    Returns:
      A dataset in memory; dims are the grid's axes and `step`. `attrs["experiment"]` is the config as JSON. Where
      the experiment has levels, `level` and `level_step` are coordinates of `step`.

    Raises:
      WorkdirError: there are no results, or a file is damaged.
      StoreError: a URL cannot be downloaded, or what came is not what its checksums say.
    """
    url = isinstance(workdir, str) and is_url(workdir)
    return _with_levels(_read_all(epath.Path(fetch(str(workdir))) if url else path_of("workdir", workdir)))


def _with_levels(results: xr.Dataset) -> xr.Dataset:
    """Say of each step which level it is of, and how far in it: step l K is the end of level l - 1 of K steps."""
    try:
        length = int(json.loads(results.attrs["experiment"])["training"]["levels"]["steps"])
    except (KeyError, TypeError, ValueError):  # a dataset that a user saved, or of an earlier version
        return results
    if not length or "step" not in results.coords:
        return results
    steps = results["step"].values
    level = np.maximum((steps - 1) // length, 0)
    levels = {"level": ("step", level), "level_step": ("step", steps - level * length)}
    results = results.assign_coords(levels)
    results["level"].attrs.update(long_name="level", units="1", definition="times that weights were pruned before")
    results["level_step"].attrs.update(
        long_name="step of the level", units="steps", definition="step since it began"
    )
    return results


def _read_all(path: epath.Path) -> xr.Dataset:
    if not is_there(path):
        raise WorkdirError(f"workdir={path}: no results here, {path.name} is missing")
    if not path.is_dir():
        return _read(path)
    if not is_there(path / RECORD):  # results that were carried away without their sweep
        return _of_directory(path)
    begun = list(nodes(path))
    held, empty = _held(begun[1:])
    if not held:
        return _of_directory(path, begun[0].fingerprints)
    joined = join(begun[0].experiment, held)
    missing = [*absent(begun), *empty]
    return joined.assign_attrs(missing=", ".join(missing)) if missing else joined


def merge(workdir: str | os.PathLike[str], *, partial: bool = False) -> epath.Path:
    """Write the joined results of a workdir that was cut into one file, `results.nc` in it.

    Args:
      workdir: directory of the whole experiment.
      partial: take what is there; runs that were not reached are nan, and `attrs["missing"]` names the parts that
        were not finished.

    Returns:
      The file.

    Raises:
      WorkdirError: a part is not begun, not finished or lacks a measure that its siblings have (unless `partial`),
        belongs to another experiment, was trained on other data than its siblings, or is damaged; the message
        names it. Other versions or devices are said, and merged.
      StoreError: the file cannot be written.
    """
    path = path_of("workdir", workdir)
    begun = list(nodes(path))
    if begun[0].is_leaf:
        raise WorkdirError(f"workdir={path}: is not cut into parts, there is nothing to merge")
    held, empty = _held(begun[1:])
    open_ = dict.fromkeys([*absent(begun), *empty], "missing")
    open_ |= {
        node.text: f"at step {step} of {node.experiment.steps}"
        for node, results in held
        if (step := reached_step(results)) != node.experiment.steps
    }
    names = ", ".join(f"{text} ({why})" for text, why in open_.items())
    if open_ and not (partial and held):
        advice = "train these, or merge what is there with --partial"
        raise WorkdirError(f"workdir={path}: not finished: {names}; {advice}")
    if not partial:
        _require_same_measures(held)
    for line in mixture([node for node, _ in held]):
        say(f"workdir={path}: not all parts were trained alike; {line}")
    joined = join(begun[0].experiment, held)
    file = begun[0].path / RESULTS
    write_dataset(joined.assign_attrs(missing=names) if names else joined, file)
    return file


def _require_same_measures(held: Sequence[tuple[Node, xr.Dataset]]) -> None:
    """Make sure that the shards of one point have the same variables; other points may have others."""
    found: dict[str, dict[str, set[str]]] = {}
    for node, results in held:
        found.setdefault(str(node.point), {})[node.text] = set(map(str, results.data_vars))
    for shards in found.values():
        everything = set().union(*shards.values())
        for text, names in shards.items():
            if names != everything:
                lacking = ", ".join(sorted(everything - names))
                raise WorkdirError(f"{text} lacks {lacking}; measure it there too, or merge with --partial")


def reached_step(results: xr.Dataset) -> int:
    """Return the last step that every run has logged; diverged and retired ones count as logged. -1 for none."""
    return int(reached_steps(results).where(~ended(results), results["step"][-1]).min())


def _held(begun: Sequence[Node]) -> tuple[list[tuple[Node, xr.Dataset]], list[str]]:
    """Read the leaves that have results, and name those that have none."""
    require_one_origin([node for node in begun if node.is_leaf])
    read = [(node, _if_any(node.path, node.fingerprints)) for node in begun if node.is_leaf]
    return [(n, r) for n, r in read if r is not None], [n.text for n, r in read if r is None]


def _if_any(folder: epath.Path, names: Sequence[str] = ()) -> xr.Dataset | None:
    """Read the results of a folder; None where it has none yet. `names` are fingerprints of its experiment."""
    in_line = _read(folder / RESULTS) if is_there(folder / RESULTS) else None
    if in_line is not None and names and in_line.attrs.get("fingerprint") not in names:
        raise WorkdirError(f"workdir={folder}: {RESULTS} belongs to another experiment than {RECORD}; move it away")
    return join_measures(in_line, folder)


def _of_directory(path: epath.Path, names: Sequence[str] = ()) -> xr.Dataset:
    results = _if_any(path, names)
    if results is None:
        raise WorkdirError(f"workdir={path}: no results here, {RESULTS} is missing")
    return results


def _read(path: epath.Path) -> xr.Dataset:
    try:
        return read_dataset(path)
    except DamagedError:
        raise WorkdirError(f"workdir={path.parent}: {path.name} is damaged") from None
