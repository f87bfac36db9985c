"""The numbers behind every table of a sweep: last values and time scales of each run, runs of each setting."""

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.analysis.crossings import Times
from collapse_jax.analysis.events import EVENTS, Event, Levels, events_of
from collapse_jax.analysis.groups import Groups, default_axis, flat, groups_of, points_of, run_axes
from collapse_jax.analysis.linearity import REJECTED
from collapse_jax.analysis.slopes import fits_of, slopes
from collapse_jax.analysis.survival import Survival, survival
from collapse_jax.analysis.timescales import times_of, timescales
from collapse_jax.workdir.join import reached_steps, retired_at

FURTHER = ("nc2_condition",)  # variables whose last values are shown beside those of the events


@dataclasses.dataclass(frozen=True)
class Slope:
    """How one time scale depends on an axis, as `slopes` fits it.

    Attributes:
      tau: name of the time scale.
      axis: against which it is fitted.
      point: the other axes' values; empty where one fit holds all runs.
      slope: of log tau against the logarithm of the axis.
      low: lower end of its interval, nan where there is none.
      high: upper end.
      why: there is no interval.
      f: of lack of fit, nan where it cannot be tested.
      p: the same.
      local: slopes from one value of the axis to the next, from its smallest on.
      theory: the slope by theory.
      runs: fitted.
      censored: of these.
    """

    tau: str
    axis: str
    point: dict[str, Any]
    slope: float
    low: float
    high: float
    why: str
    f: float
    p: float
    local: list[float]
    theory: float
    runs: int
    censored: int

    @property
    def rejected(self) -> bool:
        """Whether lack of fit rejects the line, so that no interval of its slope answers a question."""
        return self.p < REJECTED


@dataclasses.dataclass(frozen=True)
class Summary:
    """What tables say of a sweep. Runs are counted in the order of the results' dimensions, the last one fastest.

    Attributes:
      axes: names of the hyperparameters that tell the runs apart.
      points: their values, run by run.
      final: variable -> [R] last value that is not nan: of a run that retired, that of its last step.
      times: event -> [R] times, as `timescales` defines them: the first.
      lasting: event -> [R] the same from which on it holds, of the events that do not last in some run.
      diverged_at: [R] first bad step, -1 for healthy runs.
      retired_at: [R] last step of the runs that a stop rule ended, -1 for others.
      reached: [R] last step with any value, -1 for none.
      taus: the time scales as `timescales` returns them.
    """

    axes: list[str]
    points: list[dict[str, Any]]
    final: dict[str, np.ndarray]
    times: dict[str, Times]
    lasting: dict[str, Times]
    diverged_at: np.ndarray
    retired_at: np.ndarray
    reached: np.ndarray
    taus: xr.Dataset

    @functools.cached_property
    def slopes(self) -> list[Slope]:
        """Slopes of the time scales that can be fitted; on demand."""
        return _slopes(self.taus, default_axis(self.taus))

    @functools.cached_property
    def survival(self) -> list[Survival]:
        """Rates and curves of the events, and of those that do not last also for good; permutations, on demand."""
        for_good = [one for one in survival(self.taus, lasting=True) if one.event.name in self._passing]
        return [*survival(self.taus), *for_good]

    @property
    def _passing(self) -> list[str]:
        return [EVENTS[name].lasting.name for name in self.lasting]

    def columns(self) -> list[tuple[Event, Times]]:
        """Pair each event with its times: the first, then those from which on it holds."""
        first = [(EVENTS[name], times) for name, times in self.times.items()]
        return first + [(EVENTS[name].lasting, times) for name, times in self.lasting.items()]

    def settings(self) -> Groups:
        """Group the runs that differ in their seed only: [(hyperparameters without the seed, runs)]."""
        return groups_of(self.points)


def summarise(results: xr.Dataset, thresholds: Levels = None) -> Summary:
    """Summarise a sweep, finished or not.

    Args:
      results: with `diverged_at`, whose dimensions are those of the grid.
      thresholds: of the time scales; see `timescales`.
    """
    taus = timescales(results, thresholds)
    times = {event.name: times_of(taus, event, results) for event in events_of(taus)}
    for_good = {e.name: times_of(taus, e.lasting, results) for e in events_of(taus) if e.threshold is not None}
    shown = dict.fromkeys([*(event.variable for event in EVENTS.values()), *FURTHER])
    return Summary(
        axes=run_axes(results),
        points=points_of(results),
        final={name: last_values(results, name) for name in shown if name in results},
        times=times,
        lasting={name: lasting for name, lasting in for_good.items() if np.any(times[name].held < 1)},
        diverged_at=flat(results["diverged_at"], results),
        retired_at=flat(retired_at(results), results),
        reached=flat(reached_steps(results), results),
        taus=taus,
    )


def last_values(results: xr.Dataset, name: str) -> np.ndarray:
    """[R] the last value of a variable that is not nan."""
    values = flat(results[name], results)
    known = ~np.isnan(values)
    last = values.shape[-1] - 1 - known[:, ::-1].argmax(axis=-1)
    return np.where(known.any(axis=-1), values[np.arange(len(values)), last], np.nan)


def _slopes(taus: xr.Dataset, axis: str) -> list[Slope]:
    if axis not in taus.coords or not events_of(taus):
        return []
    fits = slopes(taus, axis)
    names = ("slope", "low", "high", "why", "f", "p", "theory", "runs", "censored")
    return [
        Slope(
            tau=tau,
            axis=axis,
            point=point,
            local=[value for value in fit["local_slope"].sel(tau=tau).values.tolist() if math.isfinite(value)],
            **{name: fit.sel(tau=tau)[name].item() for name in names},
        )
        for tau in fits["tau"].values.tolist()
        for point, _, fit in fits_of(taus, fits)
        if math.isfinite(fit["slope"].sel(tau=tau))
    ]
