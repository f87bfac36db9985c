"""The share of runs to which an event has not happened yet, against the step."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from collapse_jax.analysis import EVENTS, Thresholds, tables, thresholds_of, timescales
from collapse_jax.analysis import survival as estimate
from collapse_jax.analysis.events import events_of
from collapse_jax.analysis.groups import DEFAULT_AXIS
from collapse_jax.analysis.turnbull import Curve
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines


@style.styled
def survival(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """Turnbull's curve of each event, one colour per weight decay (or value of `colour`).

    Below, where an event does not last in some run, the same of the step from which on it does. Runs to which an
    event has not happened count as later, none is left out for it. Source: Turnbull, JRSS B 1976.
    """
    thresholds = thresholds_of(results, thresholds)
    taus = timescales(results, thresholds)
    events = events_of(taus)
    if not events:
        needed = ", ".join(dict.fromkeys(event.variable for event in EVENTS.values()))
        raise style.NotDrawableError(f"none of {needed} is in the results")
    groups = lines.split(results, colour)
    if max(group.runs.sizes["run"] for group in groups) < 2:
        raise style.NotDrawableError("one run per setting: there is no share of runs to show")
    passing = any(bool((taus[event.held] < 1).any()) for event in events if event.held in taus)
    kinds = [estimate.survival(taus, lasting=lasting) for lasting in ((False, True) if passing else (False,))]
    figure = style.new_figure(1.4 + 3.4 * len(events), 1.2 + 2.7 * len(kinds))
    grid = figure.subplots(len(kinds), len(events), squeeze=False, sharey=True, sharex=True)
    left_out = 0
    for axes, found in zip(grid.flat, [one for kind in kinds for one in kind], strict=True):
        for group in groups:
            runs = _of_series(found, group)
            left_out += (group.runs.sizes["run"] - runs.runs) * (not found.event.for_good)
            if runs.curve is not None:
                _draw(axes, runs.curve, group, found.event.tau, float(results["step"].max()))
        axes.set_title(found.event.condition(thresholds), fontsize=9.5)
        axes.text(0.03, 0.06, _test_text(found.p), transform=axes.transAxes, fontsize=8.5, color="#555555")
        axes.set_ylim(-0.03, 1.06)
        style.step_axis(axes, results["step"].values, _first(taus))
        if axes not in grid[-1]:
            axes.set_xlabel("")
    for row in grid:
        row[0].set_ylabel("share of runs before it")
    lines.legend(figure, list(grid.flat), groups)
    style.heading(figure, "To how many runs has it not happened yet?", _note(results, left_out))
    return figure


def _of_series(found: estimate.Survival, series: lines.Series) -> estimate.Group:
    """The estimate of the runs of a series."""
    points = [
        {name: group.point.get(name, value) for name, value in series.point.items()} for group in found.groups
    ]
    return found.groups[points.index(series.point)]


def _first(taus: xr.Dataset) -> float:
    """Where the axis begins: a little before the first event."""
    lower = np.concatenate([taus[event.lower].values.ravel() for event in events_of(taus)])
    return max(float(np.nanmin(lower, initial=np.inf)) / 3, 1.0) if np.isfinite(lower).any() else 1.0


def _draw(axes: Axes, curve: Curve, group: lines.Series, name: str, end: float) -> None:
    """The curve: level between the steps that are known, falling somewhere in the shaded ones."""
    fall = np.isfinite(curve.right)
    end = end if fall[-1] else max(float(curve.left[-1]), 1.0)  # until which a run was looked at
    left, right = np.maximum(curve.left[fall], 1.0), np.maximum(curve.right[fall], 1.0)
    after = np.maximum(1 - np.cumsum(curve.mass)[fall], 0.0)
    before = after + curve.mass[fall]
    steps = np.concatenate([[1.0], np.stack([left, right], axis=1).ravel(), [end]])
    share = np.concatenate([[1.0], np.stack([before, after], axis=1).ravel(), after[-1:] if fall.any() else [1.0]])
    axes.plot(steps, share, color=group.colour, gid=name)
    for low, high, top, bottom in zip(left, right, before, after, strict=True):
        axes.fill_between([low, high], bottom, top, color=group.colour, alpha=0.25, linewidth=0)


def _test_text(p: float) -> str:
    if not np.isfinite(p):
        return ""
    return f"settings differ:\np {tables.p_text(p)}"


def _note(results: xr.Dataset, left_out: int) -> str:
    parts = [
        "Turnbull's estimate: shaded, the log steps between which a curve falls.",
        "p: log-rank-type test for interval-censored times, permuted within seeds.",
    ]
    if left_out:
        parts.append(f"Left out: {left_out} times of runs without values, or past the level from the start.")
    return " ".join([*parts, notes.progress_note(results)]).strip()
