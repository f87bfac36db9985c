"""Tables as text: one row per run, and one row per setting with the spread over its seeds."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from tabulate import tabulate

from collapse_jax.analysis.events import EVENTS, Levels, thresholds_of
from collapse_jax.analysis.summary import Slope, Summary, Times, summarise
from collapse_jax.experiment.points import axis_text, point_text, value_text

NOTHING = "-"


def runs_table(results: xr.Dataset, thresholds: Levels = None) -> str:
    """Tabulate each run (last values, time scales, divergence) and the slopes of the time scales.

    Args:
      results: of a sweep, finished or not.
      thresholds: of the time scales; see `timescales`.

    Returns:
      Lines of text; "> 1000" marks a run that had not crossed by step 1000.
    """
    summary, thresholds = summarise(results, thresholds), thresholds_of(results, thresholds)
    events = [f"{event.tau}: steps until {event.condition(thresholds)}" for event in EVENTS.values()]
    fits = [_slope_line(fit) for fit in summary.slopes]
    table = tabulate(run_rows(summary), tablefmt="plain", stralign="right", disable_numparse=True)
    return "\n".join([table, "", *events, *(["", *fits] if fits else [])])


def seeds_table(results: xr.Dataset, thresholds: Levels = None) -> str:
    """Summarise the seeds of each setting as a Markdown table: mean and range from lowest to highest seed.

    Diverged runs have no last values and are counted. Means of time scales are geometric; ">" marks a lower bound,
    because some seeds had not crossed (their last step enters in place of the crossing).

    Args:
      results: of a sweep in which a setting has several seeds, else the table is empty.
      thresholds: of the time scales; see `timescales`.
    """
    summary = summarise(results, thresholds)
    if all(len(runs) == 1 for _, runs in summary.settings()):
        return ""
    rows = setting_rows(summary)
    return "\n" + tabulate(rows, headers="firstrow", tablefmt="github", disable_numparse=True)


def run_rows(summary: Summary) -> list[list[str]]:
    """Return the table of runs, its header first; the first columns are the hyperparameters."""
    rows = [[*summary.axes, *summary.final, *_taus(summary), "diverged"]]
    for run, point in enumerate(summary.points):
        row = [value_text(value) for value in point.values()]
        row += [_number(values[run]) for values in summary.final.values()]
        row += [_time(times, run) for times in summary.times.values()]
        bad = int(summary.diverged_at[run])
        rows.append([*row, f"at {bad}" if bad >= 0 else NOTHING])
    return rows


def setting_rows(summary: Summary) -> list[list[str]]:
    """Return the table of settings, its header first; the first columns are the hyperparameters but the seed."""
    axes = [name for name in summary.axes if name != "seed"]
    quantities = setting_quantities(summary)
    rows = [[*map(axis_text, axes), *quantities]]
    for point, runs in summary.settings():
        cells = [setting_text(summary, name, runs) for name in quantities]
        rows.append([*(value_text(value) for value in point.values()), *cells])
    return rows


def setting_quantities(summary: Summary) -> list[str]:
    """Name what the table of settings shows: all but the training accuracy, which all settings reach."""
    return [name for name in summary.final if name != EVENTS["fit"].variable] + list(_taus(summary))


def _taus(summary: Summary) -> dict[str, Times]:
    return {EVENTS[name].tau: times for name, times in summary.times.items()}


def setting_text(summary: Summary, quantity: str, runs: list[int]) -> str:
    """Show a last value or time scale of the runs of one setting: mean and range.

    The last value of a diverged run is that of a healthy step long before the others': it is left out and counted.
    """
    if quantity in summary.final:
        diverged = summary.diverged_at[runs] >= 0
        text = _spread(summary.final[quantity][runs][~diverged])
        return f"{text} ({diverged.sum()} diverged)" if diverged.any() else text
    times = _taus(summary)[quantity]
    bounded = times.censored[runs] & np.isfinite(times.steps[runs])
    return ("> " if bounded.any() else "") + _spread(times.steps[runs], geometric=True)


def slope_text(fit: Slope) -> str:
    """Show a slope and its interval."""
    interval = f"[{fit.low:.2f}, {fit.high:.2f}]" if math.isfinite(fit.low) else "(one seed)"
    return f"{fit.slope:.2f} {interval}"


def _slope_line(fit: Slope) -> str:
    at = f" at {point_text(fit.point)}" if fit.point else ""
    return f"slope of {fit.tau} against {axis_text(fit.axis)}{at}: {slope_text(fit)}, theory {fit.theory:g}"


def _spread(found: Sequence[float] | np.ndarray, geometric: bool = False) -> str:
    values = np.asarray(found, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return NOTHING
    mean = np.exp(np.log(values).mean()) if geometric and values.min() > 0 else values.mean()
    form = (lambda v: f"{v:,.0f}") if geometric else _number
    if len(found) == 1:
        return form(mean)
    return f"{form(mean)} [{form(values.min())}, {form(values.max())}]"


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.4g}"


def _time(times: Times, run: int) -> str:
    value = times.steps[run]
    return NOTHING if math.isnan(value) else f"{'> ' if times.censored[run] else ''}{value:.0f}"
