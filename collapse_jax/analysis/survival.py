"""How many runs an event happens to, and when, without leaving out those to which it does not."""

import dataclasses
import math
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import ndtri

from collapse_jax.analysis.crossings import Times
from collapse_jax.analysis.events import Event, events_of
from collapse_jax.analysis.groups import flat, groups_of, points_of
from collapse_jax.analysis.timescales import times_of
from collapse_jax.analysis.turnbull import Curve, group_test, turnbull


@dataclasses.dataclass(frozen=True)
class Group:
    """The runs of one setting and one event.

    Attributes:
      point: its hyperparameters but the seed.
      runs: how many have a value; those to which the event could never happen are not among them.
      seen: to how many of these it happened by their last step.
      low: lower end of the interval of the rate, Wilson's at 95 %.
      high: upper end.
      curve: distribution of the times; None without runs.
    """

    point: dict[str, Any]
    runs: int
    seen: int
    low: float
    high: float
    curve: Curve | None

    @property
    def rate(self) -> float:
        """Share of the runs to which it happened; nan without runs."""
        return self.seen / self.runs if self.runs else math.nan


@dataclasses.dataclass(frozen=True)
class Survival:
    """An event in all settings.

    Attributes:
      event: the event.
      groups: the settings.
      p: of the log-rank-type test between them, see `group_test`; nan where there is nothing to compare.
    """

    event: Event
    groups: list[Group]
    p: float


def survival(taus: xr.Dataset, *, lasting: bool = False) -> list[Survival]:
    """Rates, curves and a test between settings for each event.

    A run that an event has not happened to by its last step counts as one whose time is later, also where what must
    come first has not happened. Runs that meet the level from their start are left out: nothing could happen.

    Args:
      taus: as returned by `timescales`.
      lasting: whether the event must last, see `timescales`.
    """
    points = points_of(taus)
    seeds = flat(taus["seed"], taus) if "seed" in taus.coords else np.arange(len(points))
    found = []
    for event in events_of(taus):
        shown = event.lasting if lasting and event.threshold is not None else event
        found.append(_survival(shown, times_of(taus, shown, taus), points, seeds))
    return found


def known(times: Times) -> np.ndarray:
    """True for runs of which something is known: the last step at which it had not happened."""
    return np.isfinite(times.lower) & ~np.isnan(times.upper)


def _survival(event: Event, times: Times, points: list[dict[str, Any]], seeds: np.ndarray) -> Survival:
    kept, member = known(times), np.zeros(len(points), int)
    groups = []
    for number, (point, runs) in enumerate(groups_of(points)):
        member[runs] = number
        mine = np.array(runs)[kept[runs]]
        groups.append(_group(point, times.lower[mine], times.upper[mine]))
    p = group_test(times.lower[kept], times.upper[kept], member[kept], seeds[kept]) if kept.any() else math.nan
    return Survival(event, groups, p)


def _group(point: dict[str, Any], lower: np.ndarray, upper: np.ndarray) -> Group:
    runs, seen = len(lower), int(np.isfinite(upper).sum())
    if not runs:
        return Group(point, 0, 0, math.nan, math.nan, None)
    low, high = wilson(seen, runs)
    return Group(point, runs, seen, low, high, turnbull(lower, upper))


def wilson(seen: int, runs: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a rate: all p with |seen / runs - p| <= z sqrt(p (1 - p) / runs). Wilson, JASA 1927."""
    squared = float(ndtri((1 + confidence) / 2)) ** 2
    middle = (seen + squared / 2) / (runs + squared)
    half = math.sqrt(squared * (seen * (runs - seen) / runs + squared / 4)) / (runs + squared)
    return 0.0 if seen == 0 else middle - half, 1.0 if seen == runs else middle + half
