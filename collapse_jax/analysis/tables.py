"""Tables as text: one row per run, and one row per setting with the spread over its seeds."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from tabulate import tabulate

from collapse_jax.analysis.events import EVENTS, Levels, thresholds_of
from collapse_jax.analysis.summary import Slope, Summary, Times, summarise
from collapse_jax.analysis.survival import Group
from collapse_jax.experiment.config import Thresholds
from collapse_jax.experiment.points import axis_text, point_text, value_text

NOTHING = "-"
NOT_APPLICABLE = "n/a"


def both_tables(results: xr.Dataset, thresholds: Levels = None) -> str:
    """Tabulate the runs and the settings of a sweep, as `runs_table` and `seeds_table` do."""
    summary, thresholds = summarise(results, thresholds), thresholds_of(results, thresholds)
    return f"{_runs_table(summary, thresholds)}\n{_seeds_table(summary)}"


def runs_table(results: xr.Dataset, thresholds: Levels = None) -> str:
    """Tabulate each run (last values, time scales, divergence) and the slopes of the time scales.

    Args:
      results: of a sweep, finished or not.
      thresholds: of the time scales; see `timescales`.

    Returns:
      Lines of text; "> 1000" marks a run that had not crossed by step 1000, "n/a" one to which an event could not
      happen. In brackets the log steps between which a time lies.
    """
    return _runs_table(summarise(results, thresholds), thresholds_of(results, thresholds))


def _runs_table(summary: Summary, thresholds: Thresholds) -> str:
    events = definitions(summary, thresholds)
    fits = [_slope_line(fit) for fit in summary.slopes]
    table = tabulate(run_rows(summary), tablefmt="plain", stralign="right", disable_numparse=True)
    return "\n".join([table, "", *events, *(["", *fits] if fits else [])])


def seeds_table(results: xr.Dataset, thresholds: Levels = None) -> str:
    """Summarise the seeds of each setting as a Markdown table: mean and range from lowest to highest seed.

    Diverged runs have no last values and are counted. Means of time scales are geometric, their range goes from the
    last log step before the earliest to the first log step after the latest; ">" marks a lower bound, because some
    seeds had not crossed (their last step enters in place of the crossing). Runs to which an event could not happen
    are counted.

    Args:
      results: of a sweep in which a setting has several seeds, else the table is empty.
      thresholds: of the time scales; see `timescales`.
    """
    return _seeds_table(summarise(results, thresholds))


def _seeds_table(summary: Summary) -> str:
    if all(len(runs) == 1 for _, runs in summary.settings()):
        return ""
    rows = setting_rows(summary)
    return "\n" + tabulate(rows, headers="firstrow", tablefmt="github", disable_numparse=True)


def definitions(summary: Summary, thresholds: Thresholds) -> list[str]:
    """Say what ends each time scale of a table, and what stands beside it."""
    lines = [f"{event.tau}: steps until {event.condition(thresholds)}" for event, _ in summary.columns()]
    for name, times in summary.times.items():
        if not times.applicable.all():
            lines.append(f"{EVENTS[name].tau} n/a: {EVENTS[name].why_not(thresholds)}")
    if (summary.retired_at >= 0).any():
        lines.append(
            "retired: ended by the stop rule; last values are those of that step, and > is a bound from it"
        )
    if summary.lasting:
        lines.append("held: share of the log steps from then on that still meet the level, where it is not all")
    return lines


def run_rows(summary: Summary) -> list[list[str]]:
    """Return the table of runs, its header first; the first columns are the hyperparameters."""
    ends = {"diverged": summary.diverged_at}
    if (summary.retired_at >= 0).any():
        ends["retired"] = summary.retired_at
    rows = [[*summary.axes, *summary.final, *_taus(summary), *ends]]
    for run, point in enumerate(summary.points):
        row = [value_text(value) for value in point.values()]
        row += [_number(values[run]) for values in summary.final.values()]
        row += [_time(times, run) for times in _taus(summary).values()]
        rows.append([*row, *(f"at {at[run]}" if at[run] >= 0 else NOTHING for at in ends.values())])
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
    return {event.tau: times for event, times in summary.columns()}


def setting_text(summary: Summary, quantity: str, runs: list[int]) -> str:
    """Show a last value or time scale of the runs of one setting: mean and range.

    The last value of a diverged run is that of a healthy step long before the others': it is left out and counted.
    """
    if quantity in summary.final:
        diverged = summary.diverged_at[runs] >= 0
        text = _spread(summary.final[quantity][runs][~diverged])
        return f"{text} ({diverged.sum()} diverged)" if diverged.any() else text
    return _times_text(Times(*(values[runs] for values in _taus(summary)[quantity])))


def _times_text(times: Times) -> str:
    """Show the geometric mean of some times, and between which log steps all of them lie."""
    out = f" ({(~times.applicable).sum()} of {len(times.steps)} n/a)" if not times.applicable.all() else ""
    kept = Times(*(values[times.applicable & np.isfinite(times.steps)] for values in times))
    if not len(kept.steps):
        return f"{NOTHING if times.applicable.any() else NOT_APPLICABLE}{out}"
    positive = kept.steps.min() > 0
    mean = np.exp(np.log(kept.steps).mean()) if positive else kept.steps.mean()
    bound = "> " if kept.censored.any() else ""
    upper = kept.upper.max()
    end = "∞)" if math.isinf(upper) else f"{upper:,.0f}]"
    return f"{bound}{mean:,.0f} [{kept.lower.min():,.0f}, {end}{out}"


def survival_rows(summary: Summary) -> list[list[str]]:
    """Return the table of rates and medians, its header first: a row for each event and setting."""
    axes = [name for name in summary.axes if name != "seed"]
    rows = [["event", *map(axis_text, axes), "seen", "rate and 95 % interval", "median between"]]
    for found in summary.survival:
        for group in found.groups:
            seen = f"{group.seen} of {group.runs}" if group.runs else NOT_APPLICABLE
            rate = f"{group.rate:.2f} [{group.low:.2f}, {group.high:.2f}]" if group.runs else NOT_APPLICABLE
            values = [value_text(value) for value in group.point.values()]
            rows.append([found.event.tau, *values, seen, rate, _median(group)])
    return rows


def tests_of(summary: Summary) -> list[str]:
    """Say of each event whether its times differ between the settings."""
    return [
        f"{found.event.tau}: settings differ with p {p_text(found.p)} (log-rank-type test)"
        for found in summary.survival
        if math.isfinite(found.p)
    ]


def p_text(p: float) -> str:
    """Show a probability with its sign: "= 0.012", "< 0.001"."""
    return f"= {p:.2g}" if p >= 1e-3 else "< 0.001"


def _median(group: Group) -> str:
    if group.curve is None:
        return NOT_APPLICABLE
    low, high = group.curve.median
    return f"> {low:,.0f}" if math.isinf(high) else f"{low:,.0f} and {high:,.0f}"


def slope_text(fit: Slope) -> str:
    """Show a slope and its interval, or why there is none: of a line that is rejected it would mean nothing."""
    if fit.rejected:
        return f"{_two(fit.slope)} (no line: {lack_text(fit.f, fit.p)}; {local_text(fit.local)})"
    if not math.isfinite(fit.low):
        return f"{_two(fit.slope)} (no interval: {fit.why})"
    fits = f", {lack_text(fit.f, fit.p)}" if math.isfinite(fit.f) else ""
    return f"{_two(fit.slope)} [{_two(fit.low)}, {_two(fit.high)}]{fits}"


def lack_text(f: float, p: float) -> str:
    """Show the test of lack of fit: "lack of fit F = 6.3, p = 0.001"."""
    return f"lack of fit F = {f:.3g}, p {p_text(p)}"


def local_text(local: Sequence[float]) -> str:
    """Show the range of the slopes between neighbouring values."""
    return f"local slopes {_two(min(local))} to {_two(max(local))}"


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def _slope_line(fit: Slope) -> str:
    at = f" at {point_text(fit.point)}" if fit.point else ""
    return f"slope of {fit.tau} against {axis_text(fit.axis)}{at}: {slope_text(fit)}, theory {fit.theory:g}"


def _spread(found: np.ndarray) -> str:
    values = np.asarray(found, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return NOTHING
    if len(found) == 1:
        return _number(values[0])
    return f"{_number(values.mean())} [{_number(values.min())}, {_number(values.max())}]"


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.4g}"


def _time(times: Times, run: int) -> str:
    one = Times(*(values[run] for values in times))
    if not one.applicable:
        return NOT_APPLICABLE
    if math.isnan(one.steps) or one.censored:
        return NOTHING if math.isnan(one.steps) else f"> {one.steps:.0f}"
    held = f" held {one.held:.0%}" if one.held < 1 else ""
    return f"{one.steps:.0f} [{one.lower:.0f}, {one.upper:.0f}]{held}"
