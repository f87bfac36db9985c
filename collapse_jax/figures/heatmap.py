"""A number of every run over two axes of the grid."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds, thresholds_of
from collapse_jax.analysis.groups import DEFAULT_AXIS, groups_of, points_of, varying
from collapse_jax.analysis.quantities import Quantity, mean, quantity
from collapse_jax.experiment.points import axis_text, symbols_text, value_text
from collapse_jax.figures import style
from collapse_jax.figures.notes import progress_note
from collapse_jax.figures.series import axis_label, evenly

MAX_PANELS = 6
MAX_TICKS, FEWER_TICKS = 16, 10  # of an axis; the second, evenly, where there are more values
MAX_WRITTEN = 80  # cells, up to which each has its number
NOTHING = "#e3e3e3"


@style.styled
def heatmap(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    value: str = "test_accuracy",
    log: bool | None = None,
) -> Figure:
    """A number of every run as colour, over two axes of the grid; one panel per combination of the others.

    Args:
      results: of any grid with two axes beside the seed.
      thresholds: of the events; None: the results' own.
      x: axis from left to right; None: weight decay where it varies, else the first axis that does.
      y: axis upwards; None: the first other that varies.
      value: variable, of which the last value is shown, or time of an event, such as "tau_grok".
      log: whether colours are logarithmic; None: those of times, and of values over more than a factor of 30.
    """
    points = points_of(results)
    axes_left = [name for name in varying(points) if name != "seed"]
    axes_left.sort(key=lambda name: name != DEFAULT_AXIS)
    across = x or next((name for name in axes_left if name != y), "")
    up = y or next((name for name in axes_left if name != across), "")
    if not {across, up} <= set(axes_left) or across == up:
        raise style.NotDrawableError("fewer than two axes vary: there is no plane to show")
    try:
        shown = quantity(results, value, thresholds_of(results, thresholds))
    except KeyError:
        raise style.NotDrawableError(f"{value} is not in the results") from None
    norm = colour_norm(shown, log)
    groups = groups_of(points, apart_from=("seed", across, up))
    width, height = _size(points, across, up, min(len(groups), MAX_PANELS))
    figure = style.new_figure(width, height)
    panels = figure.subplots(1, min(len(groups), MAX_PANELS), squeeze=False, sharey=True)[0]
    for axes, (point, runs) in zip(panels, groups, strict=False):
        draw(axes, [points[run] for run in runs], across, up, shown.of(runs), norm)
        differing = {name: point[name] for name in varying([p for p, _ in groups])}
        axes.set_title(symbols_text(differing))
        axes.set_ylabel(axis_label(up) if axes is panels[0] else "")
    bar = figure.colorbar(ScalarMappable(norm, colours()), ax=list(panels), pad=0.02, aspect=30)
    bar.set_label(shown.label)
    bar.outline.set_visible(False)
    title = f"{shown.title} over {axis_text(across)} and {axis_text(up)}"
    style.heading(figure, title, _note(results, shown, norm, len(groups) - len(panels)))
    return figure


def draw(
    axes: Axes,
    points: Sequence[dict[str, Any]],
    x: str,
    y: str,
    shown: Quantity,
    norm: Normalize,
    most: int = MAX_TICKS,
) -> np.ndarray:
    """Draws one plane: the mean of the runs of each cell, grey where there is none.

    Args:
      axes: to draw on.
      points: hyperparameters of each run.
      x: axis of the grid from left to right.
      y: axis of the grid upwards.
      shown: the number of each run.
      norm: of the colours; a logarithmic one makes geometric means.
      most: columns of a plane whose cells have their numbers written.

    Returns:
      the means, [values of y, values of x].
    """
    across, up = (ordered([point[name] for point in points]) for name in (x, y))
    table = np.full((len(up), len(across)), np.nan)
    bound = np.zeros(table.shape, bool)
    cells = groups_of([{"y": point[y], "x": point[x]} for point in points], apart_from=())
    for cell, runs in cells:
        place = up.index(cell["y"]), across.index(cell["x"])
        table[place] = mean(shown.values[runs], isinstance(norm, LogNorm))
        bound[place] = shown.bound[runs].any()
    width = 0.8 if max(table.shape) <= MAX_TICKS else 0.0
    axes.pcolormesh(np.ma.masked_invalid(table), cmap=colours(), norm=norm, edgecolors="white", linewidth=width)
    axes.set_facecolor(NOTHING)
    axes.grid(visible=False)
    for values, axis in ((across, axes.xaxis), (up, axes.yaxis)):
        named = evenly(range(len(values)), MAX_TICKS if len(values) <= MAX_TICKS else FEWER_TICKS)
        axis.set_ticks([i + 0.5 for i in named], [value_text(values[i]) for i in named])
    axes.set_xlabel(axis_label(x))
    axes.set_ylabel(axis_label(y))
    if table.size <= MAX_WRITTEN and len(across) <= most:
        for (i, j), value in np.ndenumerate(table):
            text = (
                "–"
                if np.isnan(value)
                else f"{'> ' if bound[i, j] else ''}{style.short_number(float(f'{value:.3g}'))}"
            )
            dark = np.isfinite(value) and sum(colours()(norm(value))[:3]) < 1.5
            axes.text(
                j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=8, color="w" if dark else "#222222"
            )
    return table


def ordered(values: Sequence[Any]) -> list[Any]:
    """The different values: numbers by size, words as they come."""
    found = list(dict.fromkeys(values))
    return found if any(isinstance(value, str) for value in found) else sorted(found)


def colour_norm(shown: Quantity, log: bool | None = None) -> Normalize:
    """The colour scale of a number, over all runs; [0, 1] where none is finite."""
    known = shown.values[np.isfinite(shown.values)]
    if shown.log if log is None else log:
        known = known[known > 0]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.1, 1.0)
        return LogNorm(low, high if high > low else 2 * low)
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0)


def colours() -> mpl.colors.Colormap:
    """Ordered in lightness, dark for small values, and grey where there is no value."""
    return mpl.colormaps["viridis"].with_extremes(bad=NOTHING)


def _size(points: Sequence[dict[str, Any]], x: str, y: str, panels: int) -> tuple[float, float]:
    across, up = (len({str(point[name]) for point in points}) for name in (x, y))
    return 2.4 + panels * max(2.6, 0.4 + 0.62 * min(across, 16)), 1.9 + max(1.6, 0.42 * min(up, 16))


def _note(results: xr.Dataset, shown: Quantity, norm: Normalize, hidden: int) -> str:
    kind = "Geometric mean" if isinstance(norm, LogNorm) else "Mean"
    parts = [f"{kind} over the runs of a cell, its seeds; grey (–): no value."]
    if shown.bound.any():
        parts.append("After >, a lower bound: a run had not come so far by its last step.")
    if hidden:
        parts.append(f"{hidden} more combinations of the other hyperparameters are not shown.")
    return " ".join([*parts, progress_note(results)]).strip()
