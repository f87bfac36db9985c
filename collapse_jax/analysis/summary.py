"""The numbers behind every table of a sweep: last values and time scales of each run, runs of each setting."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.analysis.slopes import fits_of, slopes
from collapse_jax.analysis.timescales import PHASES, timescales
from collapse_jax.experiment.axes import TRACED
from collapse_jax.experiment.config import Thresholds

FINAL = ("train_accuracy", "test_accuracy", "rnc1", "nc2_condition")


@dataclasses.dataclass(frozen=True)
class Times:
    """One time scale of all runs, as `timescales` defines it; every array is [R].

    Attributes:
      steps: the times.
      censored: whether a run never crossed, so that its time is a lower bound.
      bracket: factor within which the log schedule places the time; nan where censored.
    """

    steps: np.ndarray
    censored: np.ndarray
    bracket: np.ndarray


@dataclasses.dataclass(frozen=True)
class Slope:
    """How one time scale depends on weight decay, as `slopes` fits it.

    Attributes:
      tau: name of the time scale.
      point: the other axes' values; empty where one fit holds all runs.
      slope: of log tau against log weight decay.
      low: lower end of its interval, nan with one seed.
      high: upper end.
      theory: the slope by theory.
      runs: fitted.
      censored: of these.
    """

    tau: str
    point: dict[str, Any]
    slope: float
    low: float
    high: float
    theory: float
    runs: int
    censored: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """What tables say of a sweep. Runs are counted in the order of the results' dimensions, the last one fastest.

    Attributes:
      axes: names of the hyperparameters that tell the runs apart.
      points: their values, run by run.
      final: variable -> [R] last value that is not nan.
      times: "tau_fit", "tau_grok", "tau_collapse" -> times.
      diverged_at: [R] first bad step, -1 for healthy runs.
      reached: [R] last step with any value, -1 for none.
      taus: the time scales as `timescales` returns them.
    """

    axes: list[str]
    points: list[dict[str, Any]]
    final: dict[str, np.ndarray]
    times: dict[str, Times]
    diverged_at: np.ndarray
    reached: np.ndarray
    taus: xr.Dataset

    @functools.cached_property
    def slopes(self) -> list[Slope]:
        """Slopes of the time scales against weight decay, those that can be fitted; a bootstrap, so on demand."""
        return _slopes(self.taus)

    def settings(self) -> list[tuple[dict[str, Any], list[int]]]:
        """Group the runs that differ in their seed only: [(hyperparameters without the seed, runs)]."""
        groups: dict[tuple, list[int]] = {}
        for run, point in enumerate(self.points):
            key = tuple(value for name, value in point.items() if name != "seed")
            # Without seeds nothing says that two runs repeat each other, so each stands alone.
            groups.setdefault(key if "seed" in point else (*key, run), []).append(run)
        names = [name for name in self.axes if name != "seed"]
        return [(dict(zip(names, key, strict=False)), runs) for key, runs in groups.items()]


def summarise(results: xr.Dataset, thresholds: Thresholds) -> Summary:
    """Summarise a sweep, finished or not.

    Args:
      results: with `diverged_at`, whose dimensions are those of the grid.
      thresholds: of the time scales.
    """
    dims = list(results["diverged_at"].dims)
    taus = timescales(results, thresholds)

    def flat(array: xr.DataArray) -> np.ndarray:
        return array.transpose(*dims, ...).values.reshape(results["diverged_at"].size, *array.shape[len(dims) :])

    axes = run_axes(results)
    columns = {name: flat(results[name].broadcast_like(results["diverged_at"])) for name in axes}
    return Summary(
        axes=axes,
        points=[
            {name: column[run].item() for name, column in columns.items()}
            for run in range(results["diverged_at"].size)
        ],
        final={name: _last(flat(results[name])) for name in FINAL if name in results},
        times={
            f"tau_{phase}": Times(*(flat(taus[f"{part}{phase}{kind}"]) for part, kind in _PARTS))
            for phase in PHASES
            if f"tau_{phase}" in taus
        },
        diverged_at=flat(results["diverged_at"]),
        reached=flat(reached_steps(results)),
        taus=taus,
    )


_PARTS = (("tau_", ""), ("", "_censored"), ("", "_bracket"))


def run_axes(results: xr.Dataset) -> list[str]:
    """Name the coordinates along the grid's dimensions; those of `TRACED` come last, in their order."""
    dims = set(results["diverged_at"].dims)
    names = [str(name) for name in results["diverged_at"].dims if name in results.coords]
    names += [str(name) for name, c in results.coords.items() if c.dims and set(c.dims) <= dims]
    unique = [name for name in dict.fromkeys(names) if name != "run"]
    return sorted(unique, key=lambda name: TRACED.index(name) if name in TRACED else -1)


def reached_steps(results: xr.Dataset) -> xr.DataArray:
    """Find the last step at which any variable of a run has a value; -1 for none."""
    dims = results["diverged_at"].dims
    seen = xr.zeros_like(results["diverged_at"]) - 1
    for variable in results.data_vars.values():
        if {*dims, "step"} <= set(variable.dims):
            values = variable.notnull().any([d for d in variable.dims if d not in (*dims, "step")])
            last = values["step"].where(values, -1).max("step")
            seen = xr.where(last > seen, last, seen)
    return seen


def value_text(value: Any) -> str:
    """Show a hyperparameter: floats by their significant digits, whole numbers and words as they are."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def point_text(point: Mapping[str, Any]) -> str:
    """Name a run or a setting: "weight decay 0.1, seed 42"."""
    return ", ".join(f"{name.replace('_', ' ')} {value_text(value)}" for name, value in point.items())


def _last(values: np.ndarray) -> np.ndarray:
    """[R, T] -> [R], the last value that is not nan."""
    known = ~np.isnan(values)
    last = values.shape[-1] - 1 - known[:, ::-1].argmax(axis=-1)
    return np.where(known.any(axis=-1), values[np.arange(len(values)), last], np.nan)


def _slopes(taus: xr.Dataset) -> list[Slope]:
    if "weight_decay" not in taus.coords or not any(f"tau_{phase}" in taus for phase in PHASES):
        return []
    fits = slopes(taus)
    names = ("slope", "low", "high", "theory", "runs", "censored")
    return [
        Slope(tau=tau, point=point, **{name: fit.sel(tau=tau)[name].item() for name in names})
        for tau in fits["tau"].values.tolist()
        for point, _, fit in fits_of(taus, fits)
        if math.isfinite(fit["slope"].sel(tau=tau))
    ]
