"""Trains a shipped experiment again, and compares what tables say of it: last values and times of events."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.analysis.summary import Summary, summarise
from collapse_jax.engine.train import train
from collapse_jax.errors import require_one_of
from collapse_jax.experiment.config import Experiment
from collapse_jax.publishing.claims import results_of
from collapse_jax.workdir.record import read_experiment

WIDENED = 0.5  # of the range over the seeds, on either side
LEAST = 0.05  # of the mean, on either side: one seed has no range


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One quantity of one setting.

    Attributes:
      setting: hyperparameters but the seed.
      quantity: variable or time.
      shipped: mean over the seeds of the shipped results.
      low: lower end of the band: the range over these seeds, widened by half of its width, by 5 % of the mean at
        least.
      high: upper end.
      again: mean over the seeds trained now.
    """

    setting: dict[str, Any]
    quantity: str
    shipped: float
    low: float
    high: float
    again: float

    @property
    def inside(self) -> bool:
        """Whether the new mean lies in the band; both undefined is inside, too."""
        return bool(self.low <= self.again <= self.high) or (np.isnan(self.shipped) and np.isnan(self.again))


def experiments(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the shipped results that hold their experiment, by their folder below docs/."""
    found = sorted((root / "docs").rglob("results.nc"))
    return {file.parent.relative_to(root / "docs").as_posix().removeprefix("experiments/"): file for file in found}


def retrain(root: pathlib.Path, name: str, workdir: pathlib.Path) -> list[Comparison]:
    """Train a shipped experiment again, as its results say it was trained, and compare.

    Args:
      root: a checkout of the repository.
      name: folder of the results below docs/ (or docs/experiments/), such as "theory_mlp".
      workdir: where to train; the same call continues there.

    Raises:
      ConfigError: there are no such results, or this machine cannot train them.
    """
    known = experiments(root)
    require_one_of("--train", name, known)
    shipped = results_of(known[name])
    return compare(shipped, train(experiment_of(shipped), workdir))


def experiment_of(results: xr.Dataset) -> Experiment:
    """Return the experiment that results are of."""
    return read_experiment({"experiment": json.loads(results.attrs["experiment"])})


def compare(shipped: xr.Dataset, again: xr.Dataset) -> list[Comparison]:
    """Compare last values and times of all settings that both have."""
    old, new = summarise(shipped), summarise(again)
    runs = {str(point): members for point, members in new.settings()}
    return [
        _compared(point, name, values[members], quantities(new)[name][runs[str(point)]])
        for point, members in old.settings()
        if str(point) in runs
        for name, values in quantities(old).items()
        if name in quantities(new)
    ]


def quantities(summary: Summary) -> dict[str, np.ndarray]:
    """[R] what is compared, by name."""
    return summary.final | {f"tau_{name}": times.steps for name, times in summary.times.items()}


def _compared(point: dict[str, Any], name: str, old: np.ndarray, new: np.ndarray) -> Comparison:
    mean, low, high = _mean(old), np.min(old), np.max(old)
    wider = max(WIDENED * (high - low), LEAST * abs(mean))
    return Comparison(point, name, mean, float(low - wider), float(high + wider), _mean(new))


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64))
