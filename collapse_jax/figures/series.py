"""The lines of a figure: runs that differ only in their seed, their colour, their mean and their band."""

import dataclasses
import textwrap
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from collapse_jax.analysis.groups import DEFAULT_AXIS, carried, groups_of, points_of, take, varying
from collapse_jax.experiment.axes import AXES, symbol
from collapse_jax.experiment.points import axis_text, point_text, symbols_text, value_text
from collapse_jax.figures import style
from collapse_jax.figures.source import Source, keep
from collapse_jax.workdir.join import retired_at

T = TypeVar("T")
MAX_NAMED = 8
LEGEND = 1.3  # inches that figures leave for a legend beside their panels
# By the marker of their last value: what has become of runs, and how lines show it, with the marker and without.
ENDS = {
    "x": (
        "diverged",
        "a cross marks their last value, the mean goes on without",
        "they have no further values, the mean goes on without",
    ),
    "|": (
        "retired by the stop rule",
        "a bar marks their last value, which they keep in the mean",
        "they have no further values",
    ),
}


@dataclasses.dataclass(frozen=True)
class Series:
    """Runs that share every hyperparameter.

    Attributes:
      point: the hyperparameters that vary over the results; first that which gives the colour, if they hold it.
      runs: dims ("run", ..., "step"), seed by seed.
      colour: of its lines.
    """

    point: dict[str, Any]
    runs: xr.Dataset
    colour: Any = None

    @property
    def name(self) -> str:
        """Its entry in the legend."""
        if len(self.point) == 1:
            (value,) = self.point.values()
            return "0 (none)" if value == 0 else value_text(value)
        return symbols_text(self.point)

    @property
    def run_names(self) -> list[str]:
        """What tells its runs apart: "seed 43"."""
        if "run" not in self.runs.dims:
            return [""]
        points = points_of(self.runs)
        names = varying(points) or ["seed"]
        return [point_text({name: point[name] for name in names if name in point}) for point in points]

    @property
    def title(self) -> str:
        """Its point as the title of a panel."""
        return f"{symbol(next(iter(self.point)))} = {self.name}" if len(self.point) == 1 else self.name


def split(results: xr.Dataset, colour: str = DEFAULT_AXIS, apart_from: Collection[str] = ("seed",)) -> list[Series]:
    """All series of a product or zip grid, coloured, by increasing value of the axis that gives the colour.

    Results without that axis, or with one value of it, are coloured by the first that varies. The runs of a series
    differ in the axes `apart_from`.
    """
    points = points_of(results)
    names = [name for name in varying(points) if name not in apart_from]
    same = bool(names) and colour in points[0] and colour not in names
    if colour not in results.coords or same:
        colour = names[0] if names else ""
    names = [name for name in names if name != colour]
    fixed = {colour: results[colour].item()} if colour in results.coords and not results[colour].dims else {}
    found = []
    for point, runs in groups_of(points, apart_from):
        whole = fixed | point
        shown = {name: whole[name] for name in (colour, *names) if name in whole}
        found.append(Series(shown, take(results, runs)))
    found.sort(key=lambda s: [(_order(value), str(value)) for value in s.point.values()])
    return coloured(found, colour)


def coloured(series: list[Series], colour: str) -> list[Series]:
    """Return the series with colours by an axis of their points; without it there, one after the other."""
    return [dataclasses.replace(s, colour=c) for s, c in zip(series, _colours(series, colour), strict=True)]


def _order(value: Any) -> float:
    return value if isinstance(value, (int, float)) else 0.0


def _colours(series: list[Series], colour: str) -> list[Any]:
    """By the colour axis where it tells them apart or where they are too many to name, else one after the other.

    So are those of an axis with negative values, which have no logarithm.
    """
    values = [s.point.get(colour) for s in series]
    key, norm = colour, style.log_norm(values)
    if len(series) > MAX_NAMED:
        key, norm = colour_scale(series)
    elif len(set(values)) < len(values) or isinstance(values[0], str) or any(_order(value) < 0 for value in values):
        key = ""
    if not key:
        places = np.linspace(0.0, 1.0, len(series)) if len(series) > 1 else [0.75]
        return [tuple(colour) for colour in style.colormap()(places)]
    return [style.value_colour(s.point.get(key), norm) for s in series]


def colour_scale(series: list[Series]) -> tuple[str, LogNorm | None]:
    """What colours too many series to name: the first hyperparameter with two positive values; or ("", None)."""
    for key in series[0].point:
        if norm := style.log_norm([s.point[key] for s in series]):
            return key, norm
    return "", None


def measured_steps(results: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """The results at the steps at which one of the variables has a value: snapshots are rarer than log steps."""
    seen = np.zeros(results.sizes["step"], bool)
    for name in names:
        values = results[name]
        seen |= values.notnull().any([d for d in values.dims if d != "step"]).values
    if not seen.any():
        raise style.NotDrawableError(f"{names[0]} has no value at any step")
    return results.isel(step=np.flatnonzero(seen))


def mean_and_range(values: np.ndarray, log: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (geometric if `log`), lowest and highest over the runs of [runs, T]; nan where no run has a value.

    Infinite values, and those without a logarithm if `log`, do not take part.
    """
    values = values.astype(np.float64)
    valid = np.isfinite(values) & ((values > 0) | (not log))
    count = valid.sum(axis=0)
    safe = np.where(valid, values, 1.0)
    total = np.where(valid, np.log(safe) if log else safe, 0.0).sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    low = np.where(count > 0, np.where(valid, values, np.inf).min(axis=0), np.nan)
    high = np.where(count > 0, np.where(valid, values, -np.inf).max(axis=0), np.nan)
    return (np.exp(mean) if log else mean), low, high


def draw(
    axes: Axes,
    series: Series,
    variable: str,
    *,
    x: np.ndarray | None = None,
    log: bool = False,
    linestyle: str = "-",
    alpha: float = 1.0,
) -> None:
    """One mean line with its seed band; a cross where a diverged run ends, a bar where a retired one does.

    `x` defaults to the steps.
    """
    x = np.asarray(series.runs["step"].values if x is None else x, np.float64)
    values = np.atleast_2d(carried(series.runs, variable).values)
    mean, low, high = mean_and_range(values, log)
    # The axis is logarithmic; steps at which only other variables were measured are no gaps of this one.
    shown = (x > 0) & ~np.isnan(values).all(axis=0)
    common = {"color": series.colour, "gid": variable}
    look: dict[str, Any] = {"linestyle": linestyle, "alpha": alpha, "label": "_" + series.name}
    drawn = style.line(axes, x[shown], mean[shown], **look, **common)
    if len(values) > 1:
        axes.fill_between(x[shown], low[shown], high[shown], alpha=style.BAND_ALPHA * alpha, linewidth=0, **common)
        keep(drawn, Source(runs=dict(zip(series.run_names, values[:, shown], strict=True)), log=log))
    own = np.atleast_2d(series.runs[variable].values)
    for marker, ends in ends_of(series.runs).items() if "step" in series.runs[variable].dims else ():
        for name, run, at in zip(series.run_names, own, np.atleast_1d(ends), strict=True):
            last = np.flatnonzero(np.isfinite(run))
            if at >= 0 and len(last) and x[last[-1]] > 0:
                (end,) = axes.plot(x[last[-1]], run[last[-1]], marker=marker, markersize=5, ls="none", **common)
                if len(own) > 1:
                    keep(end, Source(runs={name: run[last[-1:]]}))


def ends_of(results: xr.Dataset) -> dict[str, np.ndarray]:
    """Steps at which runs diverged and retired, -1 for others, by the marker of their last value."""
    if "diverged_at" not in results:
        return {}
    return {"x": results["diverged_at"].values, "|": retired_at(results).values}


def legend(figure: Figure, panels: list[Axes], series: list[Series]) -> None:
    """Names the series once for all panels: by a list, or by a colour bar when there are too many.

    Nothing varies: nothing is named. Too many without a hyperparameter that makes a colour bar, such as optimizers:
    a list of some of them. A legend that is broader than `LEGEND` makes the figure as much broader, not its panels
    narrower.
    """
    if not series[0].point:
        return
    key, norm = colour_scale(series) if len(series) > MAX_NAMED else ("", None)
    if norm is None:
        keys = list(series[0].point)
        title = axis_label(keys[0]) if len(keys) == 1 else "hyperparameters"
        named = evenly(series, MAX_NAMED)
        if len(named) < len(series):
            title += f"\n({len(named)} of {len(series)} lines)"
        handles = [Line2D([], [], color=s.colour, linewidth=2.4, label=textwrap.fill(s.name, 40)) for s in named]
        beside(figure, figure.legend(handles=handles, title=title, loc="outside right upper", alignment="left"))
        return
    values = {name: {s.point[name] for s in series} for name in series[0].point}
    text = axis_label(key)
    if 0 in values[key]:
        text += " (grey: 0)"
    if sum(len(found) > 1 for found in values.values()) > 1:
        text += "\n(other hyperparameters not told apart)"
    bar = figure.colorbar(ScalarMappable(norm, style.colormap()), ax=panels, pad=0.02, aspect=30)
    bar.set_label(text)
    bar.outline.set_visible(False)


def beside(figure: Figure, key: Legend) -> None:
    """Make room for a legend to the right of the panels that is broader than what figures leave for it."""
    width = key.get_window_extent().width / figure.dpi
    figure.set_figwidth(figure.get_figwidth() + max(width - LEGEND, 0.0))


def kind(series: list[Series]) -> str:
    """What the series are, in the plural: "weight decays" where they differ in nothing else."""
    names = list(series[0].point)
    return f"{axis_text(names[0])}s" if len(names) == 1 else "settings"


def axis_label(name: str) -> str:
    """The title of an axis of the grid: "weight decay λ"."""
    return AXES[name].label if name in AXES else axis_text(name)


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, from the first to the last."""
    picked = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [items[i] for i in picked]
