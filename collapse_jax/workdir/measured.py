"""Files of measures of stored snapshots: `measures/<name>.nc`, and how they join the results."""

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.errors import DamagedError, WorkdirError
from collapse_jax.system.files import is_there, move
from collapse_jax.workdir.netcdf import read_dataset

MEASURES = "measures"
# Files whose measure was asked again with other options wait here until it is asked with theirs.
ASIDE = "other_options"


def measured_path(workdir: epath.Path, name: str) -> epath.Path:
    """Return the file of a measure."""
    return workdir / MEASURES / f"{name}.nc"


def take_up(path: epath.Path, key: str) -> None:
    """Make `path` the file of `key`: what is there with another key is set aside, what was set aside taken back."""
    found = key_of(path)
    aside = path.parent / ASIDE
    if found not in (None, key):
        move(path, aside / f"{path.stem}-{found}.nc")
    kept = aside / f"{path.stem}-{key}.nc"
    if not is_there(path) and is_there(kept):
        move(kept, path)


def key_of(path: epath.Path) -> str | None:
    """Return the key of a file; None when there is none, "damaged" when it is damaged or holds no such key.

    The key becomes part of a file's name, so what a file says is not taken for it unchecked.
    """
    if not is_there(path):
        return None
    try:
        key = str(read_dataset(path).attrs["key"])
    except (DamagedError, KeyError):
        return "damaged"
    return key if re.fullmatch(r"[0-9a-f]{16}", key) else "damaged"


def join_measures(results: xr.Dataset | None, workdir: epath.Path) -> xr.Dataset | None:
    """Add the variables of all files of measures to the results.

    The steps are the union of all steps, with nan where a variable has none. A variable that is there already,
    in-line or from a file whose name comes earlier in the alphabet, stays as it is: values of two origins are never
    mixed (`measure --label` gives new names). Diverged and retired runs are masked as the results say by now, be
    they measured before anything was known of it. Axes of equal name and other coordinates, or another length, get
    the name of the file.

    Raises:
      WorkdirError: a file is damaged or belongs to another experiment.
    """
    joined, further = results, list[tuple[xr.Dataset, str]]()
    for path in sorted((workdir / MEASURES).glob("*.nc")):
        try:
            measured = read_dataset(path)
            fingerprint = measured.attrs["fingerprint"]
        except (DamagedError, KeyError):
            raise WorkdirError(
                f"workdir={workdir}: {MEASURES}/{path.name} is damaged; delete it and measure again"
            ) from None
        if joined is None:
            joined = measured
            continue
        if fingerprint != joined.attrs.get("fingerprint"):
            raise WorkdirError(
                f"workdir={workdir}: {MEASURES}/{path.name} belongs to another experiment; delete it"
            )
        known = {*joined.data_vars, *(name for new, _ in further for name in new.data_vars)}
        if new := [name for name in measured.data_vars if name not in known]:
            further.append((_masked(measured[new], joined), path.stem))
    return _outer(joined, further) if joined is not None and further else joined


def _masked(values: xr.Dataset, results: xr.Dataset) -> xr.Dataset:
    """Make the values of diverged runs nan from their first bad step on, those of retired ones after their last."""
    diverged_at, step = results["diverged_at"], values["step"]
    good = (diverged_at < 0) | (step < diverged_at)
    if "retired_at" in results:
        good &= (results["retired_at"] < 0) | (step <= results["retired_at"])
    return values if good.all() else values.where(good)


def _outer(joined: xr.Dataset, further: Sequence[tuple[xr.Dataset, str]]) -> xr.Dataset:
    """Add the variables of datasets, which come with the names of their files, at the union of all steps."""
    steps = functools.reduce(np.union1d, [new["step"].values for new, _ in further], joined["step"].values)
    described = joined["step"].attrs
    joined = joined.reindex(step=steps)
    joined["step"].attrs.update(described)
    for new, name in further:
        differing = {d: f"{d}_{name}" for d in new.dims if d != "step" and not _same_axis(joined, new, d)}
        new = new.reindex(step=steps).rename(differing)
        joined = joined.assign({str(key): value.variable for key, value in new.data_vars.items()})
        own = {d: new[d] for d in new.dims if d in new.coords and d not in joined.coords}
        joined = joined.assign_coords(own)
    return joined


def _same_axis(joined: xr.Dataset, new: xr.Dataset, dim: Any) -> bool:
    """Whether an axis of the new variables is the one of that name in the results, or there is none yet."""
    if dim not in joined.sizes:
        return True
    if dim in joined.coords and dim in new.coords:
        return joined[dim].equals(new[dim])
    return joined.sizes[dim] == new.sizes[dim]


def columns(dataset: xr.Dataset, dims: Iterable[Any], names: Iterable[str]) -> dict[int, dict[str, np.ndarray]]:
    """Read the values of the variables `names` back: step -> variable -> [R, ...]."""
    steps = dataset["step"].values.tolist()
    flat: dict[str, np.ndarray] = {}
    for name in names:
        values = dataset[name].transpose(*dims, "step", ...).values
        runs = values.ndim - (dataset[name].ndim - len(list(dims)))
        flat[name] = values.reshape(-1, *values.shape[runs:])
    return {step: {name: values[:, i] for name, values in flat.items()} for i, step in enumerate(steps)}
