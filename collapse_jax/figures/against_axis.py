"""A number of every run against an axis of the grid."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from collapse_jax.analysis import EVENTS, Thresholds, thresholds_of
from collapse_jax.analysis.groups import DEFAULT_AXIS, points_of, varying
from collapse_jax.analysis.quantities import mean, quantity
from collapse_jax.experiment.points import axis_text, value_text
from collapse_jax.figures import marks, notes, style
from collapse_jax.figures import series as lines
from collapse_jax.figures.heatmap import ordered

# Of a panel's width, which is 3.4 inches with its labels: a character of a tick, and what parts two ticks.
CHARACTER, GAP = 0.03, 0.02


@style.styled
def against_axis(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    *,
    x: str | None = None,
    colour: str | None = None,
    values: Sequence[str] | None = None,
) -> Figure:
    """Numbers of every run against an axis of the grid, one colour per value of another.

    Args:
      results: of any grid with an axis beside the seed.
      thresholds: of the events; None: the results' own.
      x: the axis; None: weight decay where it varies, else the first axis that does.
      colour: axis that gives the colour; None: the first other that varies.
      values: one panel each: variables, of which the last value is shown, or times of events, such as "tau_grok";
        None: the variables of the events.
    """
    thresholds = thresholds_of(results, thresholds)
    left = sorted((name for name in varying(points_of(results)) if name != "seed"), key=lambda n: n != DEFAULT_AXIS)
    x = x or next((name for name in left if name != colour), "")
    if x not in left:
        raise style.NotDrawableError("no axis varies beside the seed: there is nothing to show a number against")
    # Not the training accuracy, which all reach.
    seen = dict.fromkeys(event.variable for event in EVENTS.values() if event.name != "fit")
    names = [name for name in seen if name in results] if values is None else list(values)
    if not names:
        raise style.NotDrawableError("the results hold no variable of an event")
    colour = colour or next((name for name in left if name != x), "")
    groups = lines.split(results, colour, apart_from=("seed", x))
    figure = style.new_figure(1.4 + 3.4 * len(names), 3.9)
    panels = list(figure.subplots(1, len(names), squeeze=False)[0])
    bounded = False
    for axes, name in zip(panels, names, strict=True):
        try:
            shown = quantity(results, name, thresholds)
        except KeyError:
            raise style.NotDrawableError(f"{name} is not in the results") from None
        bounded |= bool(shown.bound.any())
        place = axis_of(axes, results[x].values.ravel().tolist(), x)
        for number, group in enumerate(groups):
            draw(axes, group, x, name, place, thresholds, log=shown.log, order=number / len(groups))
        marks.thresholds_on(axes, name, thresholds)
        if shown.log:
            style.log_values(axes, plain=name not in results)
        axes.set_title(shown.title)
        axes.set_ylabel(shown.label)
    lines.legend(figure, panels, groups)
    style.heading(figure, f"The end of training against {axis_text(x)}", _note(results, bounded))
    return figure


def draw(
    axes: Axes,
    group: lines.Series,
    x: str,
    name: str,
    place: dict[Any, float],
    thresholds: Thresholds,
    *,
    log: bool = False,
    order: float = 0.0,
) -> None:
    """One series: the runs as dots, their mean as a line, from lowest to highest run as a bar.

    Args:
      axes: to draw on.
      group: the runs.
      x: axis of the grid.
      name: of the number, see `quantity`.
      place: where the values of the axis lie, see `axis_of`.
      thresholds: of the events.
      log: whether the mean is geometric.
      order: how far in front of other series it lies.
    """
    shown, at = quantity(group.runs, name, thresholds), group.runs[x].values.tolist()
    look: dict[str, Any] = {"color": group.colour, "linestyle": "none"}
    line = []
    for value in ordered(at):
        runs = [run for run, other in enumerate(at) if other == value]
        found, bound = shown.values[runs], bool(shown.bound[runs].any())
        found = found[np.isfinite(found) & ((found > 0) | (not log))]
        if not found.size:
            continue
        here = np.full(found.size, place[value])
        axes.plot(here, found, marker="o", markersize=3.4, alpha=0.5, markeredgewidth=0, gid=f"runs_{name}", **look)
        axes.plot(here, found, color=group.colour, linewidth=1.0)
        line.append((place[value], mean(found, log)))
        fill: Any = "none" if bound else "full"
        axes.plot(*line[-1], marker="^" if bound else "o", fillstyle=fill, markersize=5, zorder=3 + order, **look)
    axes.plot(*np.reshape(line, (-1, 2)).T, color=group.colour, gid=name, zorder=2 + order)


def axis_of(axes: Axes, values: Sequence[Any], x: str) -> dict[Any, float]:
    """Lays out the values of an axis of the grid, and returns where each lies.

    Words side by side; numbers over a decade or more on a logarithmic scale, with 0 left of the smallest; else as
    they are.
    """
    found = ordered(values)
    axes.set_xlabel(lines.axis_label(x))
    numbers = not any(isinstance(value, str) for value in found)
    positive = [float(value) for value in found if numbers and value > 0]
    place = {value: float(value) if numbers else float(i) for i, value in enumerate(found)}
    if len(positive) > 1 and positive[-1] >= 10 * positive[0] and min(found) >= 0:
        axes.set_xscale("log")
        if found[0] == 0:
            place[found[0]] = positive[0] ** 2 / positive[1]
    if len(found) <= 10:
        places = [place[value] for value in found]
        axes.set_xticks(
            places, _legible(places, [value_text(value) for value in found], axes.get_xscale() == "log")
        )
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    return place


def _legible(places: Sequence[float], texts: Sequence[str], log: bool) -> list[str]:
    """Blank the texts of ticks that would run into the one to their left."""
    at = np.log(places) if log else np.asarray(places, float)
    shares = (at - at[0]) / max(at[-1] - at[0], 1e-12)
    shown: list[str] = []
    before = 0
    for i, (share, text) in enumerate(zip(shares, texts, strict=True)):
        needed = CHARACTER * (len(text) + len(texts[before])) / 2 + GAP
        fits = i == 0 or share - shares[before] >= needed
        before = i if fits else before
        shown.append(text if fits else "")
    return shown


def _note(results: xr.Dataset, bounded: bool) -> str:
    parts = ["Line: mean of the runs (geometric on logarithmic axes); bar: lowest to highest; dots: runs."]
    if bounded:
        parts.append("Triangles: lower bounds, since a run had not come so far by its last step.")
    diverged = int((results["diverged_at"] >= 0).sum()) if "diverged_at" in results else 0
    if diverged:
        parts.append(f"{diverged} of {results['diverged_at'].size} runs diverged and have no last value.")
    retired = int((results["retired_at"] >= 0).sum()) if "retired_at" in results else 0
    if retired:
        parts.append(f"Of {retired} runs that the stop rule ended the values are those of that step.")
    return " ".join([*parts, "Dotted: thresholds.", notes.progress_note(results)]).strip()
