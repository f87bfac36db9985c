"""The values of one measure so far, and their file; a file holds the steps that are done and no others."""

import dataclasses
import json
from typing import Any

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.errors import StoreError
from collapse_jax.experiment import config
from collapse_jax.measures import Variable
from collapse_jax.measures.labels import described
from collapse_jax.measuring.requests import Request
from collapse_jax.measuring.rows import retirement
from collapse_jax.measuring.snapshots import StoredSnapshots
from collapse_jax.system.files import is_there, make_folder, remove_left_overs, storing
from collapse_jax.training import HEALTHY
from collapse_jax.workdir import measured
from collapse_jax.workdir.netcdf import read_dataset, write_dataset
from collapse_jax.workdir.results import label


class MeasureFile:
    """The file `measures/<name>.nc` of a request.

    Attributes:
      path: of the file.
      columns: step -> variable -> [R, ...], of the steps done.
    """

    def __init__(
        self,
        workdir: epath.Path,
        request: Request,
        snapshots: StoredSnapshots,
        shapes: dict[str, tuple[int, ...]],
        in_line: xr.Dataset | None,
    ):
        self.path = measured.measured_path(workdir, request.name)
        self._request, self._snapshots = request, snapshots
        self.variables = _describe(request, shapes, snapshots)
        self._changed = False
        self._diverged_at = _divergence(in_line, len(snapshots.runs))
        self._retired_at = None if in_line is None else retirement(in_line)
        with storing(self.path.parent):
            make_folder(self.path.parent)
            remove_left_overs(self.path.parent)
            measured.take_up(self.path, request.key)
        self.columns = self._read() if is_there(self.path) else {}

    def _read(self) -> dict[int, dict[str, np.ndarray]]:
        dataset = read_dataset(self.path)
        if not set(self.variables) <= set(dataset.data_vars):
            return {}  # of an earlier version of the measure
        known = _ends(_divergence(dataset, 0), retirement(dataset))
        self._changed = not np.array_equal(known, _ends(self._diverged_at, self._retired_at))
        return measured.columns(dataset, dataset["diverged_at"].dims, self.variables)

    def add(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Add the values [R, ...] of one step, named as the measure names them."""
        self.columns[step] = {name + self._request.suffix: value for name, value in values.items()}
        self._changed = True

    def save(self) -> None:
        """Write the file, whole or not at all, if anything is new.

        Raises:
          StoreError: it cannot be written; the file of before is as it was.
        """
        if not self._changed:
            return
        steps = np.array(sorted(self.columns), np.int64)
        values = {name: np.stack([self.columns[t][name] for t in steps.tolist()], 1) for name in self.variables}
        experiment = self._snapshots.experiment
        dataset = label(experiment.grid, steps, values, self._diverged_at, self.variables, self._retired_at)
        dataset.attrs = self._attributes(experiment)
        for name in self.variables:
            dataset[name].attrs["measured"] = dataset.attrs["measured"]
        try:
            write_dataset(dataset, self.path)
        except StoreError as error:
            raise StoreError(f"{error}; the same command continues") from error
        self._changed = False

    def _attributes(self, experiment: config.Experiment) -> dict[str, Any]:
        return {
            "title": experiment.name,
            "experiment": json.dumps(dataclasses.asdict(experiment)),
            "fingerprint": self._snapshots.fingerprint,
            "measured": json.dumps(self._request.record),
            "key": self._request.key,
        }


def _describe(
    request: Request, shapes: dict[str, tuple[int, ...]], snapshots: StoredSnapshots
) -> dict[str, Variable]:
    note = f" ({request.suffix.strip('_').replace('_', ', ')})" if request.suffix else ""
    return {
        name + request.suffix: dataclasses.replace(variable, long_name=variable.long_name + note)
        for name, variable in described(request.measure, shapes, snapshots.shapes).items()
    }


def _divergence(in_line: xr.Dataset | None, runs: int) -> np.ndarray:
    """[R] first bad step of each run, as far as the results tell."""
    if in_line is None:
        return np.full(runs, HEALTHY, np.int32)
    return in_line["diverged_at"].values.reshape(-1)


def _ends(*ends: np.ndarray | None) -> np.ndarray:
    return np.stack([at for at in ends if at is not None])
