"""What a report reads of a workdir: results, manifests, sizes on disk. Nothing is changed."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.analysis.events import thresholds_of
from collapse_jax.analysis.summary import Summary, summarise
from collapse_jax.errors import ConfigError, WorkdirError, require
from collapse_jax.experiment import config
from collapse_jax.experiment.points import point_text
from collapse_jax.system.files import is_remote
from collapse_jax.system.paths import path_of
from collapse_jax.workdir.lock import LOCK
from collapse_jax.workdir.record import RECORD, read_experiment, read_record
from collapse_jax.workdir.results import open_results
from collapse_jax.workdir.tree import leaves, nodes

PARTS = ("results.nc", "measures", "snapshots", "checkpoints", "figures")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One workdir of a report.

    Attributes:
      name: tells it from the others of the report.
      workdir: as it was given.
      experiment: its config.
      results: everything measured.
      thresholds: with which they are read.
      summary: numbers of its tables.
      parts: workdirs in which it was trained: itself, or those of its programs and shards.
      manifests: theirs, as far as they are there.
    """

    name: str
    workdir: epath.Path
    experiment: config.Experiment
    results: xr.Dataset
    thresholds: config.Thresholds
    summary: Summary
    parts: list[epath.Path]
    manifests: list[dict[str, Any]]

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.summary.points)

    @property
    def unfinished(self) -> list[int]:
        """Runs that neither reached the last step nor diverged or retired before it."""
        summary = self.summary
        going_on = (summary.diverged_at < 0) & (summary.retired_at < 0)
        return np.flatnonzero(going_on & (summary.reached < self.experiment.steps)).tolist()

    @property
    def is_being_written(self) -> bool:
        """Whether a process trains in the workdir, or was killed there."""
        return any((part / LOCK).exists() for part in self.parts)

    def name_of(self, run: int) -> str:
        """Name a run by the hyperparameters that vary."""
        points = self.summary.points
        varying = {k: v for k, v in points[run].items() if any(point[k] != v for point in points)}
        return point_text(varying or points[run])


def load(workdirs: Sequence[str | os.PathLike[str]], thresholds: Mapping[str, float] | None = None) -> list[Sweep]:
    """Read the workdirs of a report, with some levels in place of each sweep's own.

    Raises:
      ConfigError: none is given, or one twice, or a level is not allowed.
      WorkdirError: one does not exist, has no results, or holds damaged or foreign files.
    """
    several = isinstance(workdirs, Sequence) and not isinstance(workdirs, bytes)
    require(several, "--workdir", workdirs, "must be a path, or several")
    paths = [path_of("--workdir", workdir) for workdir in workdirs]
    if not paths:
        raise ConfigError("--workdir", "", "name the directory of a sweep, or several, comma-separated")
    seen: set[str] = set()
    for path in paths:
        resolved = os.fspath(path) if is_remote(path) else os.path.realpath(path)
        if resolved in seen:
            raise ConfigError("--workdir", os.fspath(path), "is named twice")
        seen.add(resolved)
    short = [path.name for path in paths]
    names = short if len(set(short)) == len(short) else [os.fspath(path) for path in paths]
    return [_load(path, name, thresholds) for path, name in zip(paths, names, strict=True)]


def _load(workdir: epath.Path, name: str, levels: Mapping[str, float] | None) -> Sweep:
    results = open_results(workdir)
    begun = leaves(workdir) if (workdir / RECORD).exists() else []
    records = [read_record(leaf.path) for leaf in begun]
    try:
        experiment = read_experiment({"experiment": json.loads(results.attrs["experiment"])})
        results["diverged_at"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WorkdirError(f"workdir={workdir}: the results do not describe their experiment") from None
    if begun and results.attrs.get("fingerprint") not in next(nodes(workdir)).fingerprints:
        raise WorkdirError(f"workdir={workdir}: the results belong to another experiment than {RECORD}")
    thresholds = thresholds_of(results, levels)
    summary = summarise(results, thresholds)
    parts = [leaf.path for leaf in begun] or [workdir]
    return Sweep(name or os.fspath(workdir), workdir, experiment, results, thresholds, summary, parts, records)


def sizes(workdir: epath.Path) -> dict[str, int]:
    """Return the bytes of each part that is there; of an object store nothing, since counting is slow there."""
    if is_remote(workdir):
        return {}
    found: dict[str, int] = {}
    for root, _, files in os.walk(workdir):
        for file in files:
            path = os.path.join(root, file)
            part = next((p for p in os.path.relpath(path, workdir).split(os.sep) if p in PARTS), "")
            with contextlib.suppress(OSError):  # a sweep that trains deletes its old checkpoints
                if part:
                    found[part] = found.get(part, 0) + os.path.getsize(path)
    return {part: found[part] for part in PARTS if part in found}
