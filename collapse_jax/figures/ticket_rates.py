"""Tickets against the learning rate: accuracy beside the control, distance and flatness, a line per level."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import points_of, varying
from collapse_jax.figures import series as lines
from collapse_jax.figures import style
from collapse_jax.figures.against_axis import axis_of
from collapse_jax.figures.heatmap import ordered
from collapse_jax.figures.tickets import PANELS, RATE, Panel, ends_of_levels

CHOSEN = ("test_accuracy", "distance_from_initial", "expected_sharpness", "hessian_trace", "tolerated_sigma")
MOST_LEVELS = 6


@style.styled
def ticket_rates(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    *,
    control: xr.Dataset | None = None,
    control_level: int = -1,
) -> Figure:
    """What a network is at the end of a level, against the learning rate; a line per level, a row per setting.

    Mean over seeds; the bar goes from the lowest to the highest. `control`, results of runs that began with the
    masks of level `control_level` (-1: the last that was measured) and other weights, adds their accuracy, dashed.
    `thresholds` is not used. Source: arXiv 2205.07320.
    """
    ends = ends_of_levels(results)
    if RATE not in ends.dims:
        raise style.NotDrawableError("the learning rate does not vary")
    panels = [panel for panel in PANELS if panel.variable in CHOSEN and panel.variable in ends]
    names = [name for name in varying(points_of(ends)) if name not in ("seed", RATE)]
    colour = names[0] if names else RATE
    groups = lines.split(ends.drop_vars("diverged_at", errors="ignore"), colour, ("seed", RATE))
    figure = style.new_figure(1.6 + 2.9 * len(panels), 1.2 + 2.5 * len(groups))
    grid = figure.subplots(len(groups), len(panels), squeeze=False)
    levels = lines.evenly(list(range(ends.sizes["step"])), MOST_LEVELS)
    shades = [tuple(shade) for shade in style.colormap()(np.linspace(0, 1, len(levels)))]
    shown = ends["level"].values[levels].tolist()
    dashed = shades[shown.index(control_level)] if control_level in shown else shades[-1]
    for row, group in zip(grid, groups, strict=True):
        for axes, panel in zip(row, panels, strict=True):
            place = axis_of(axes, group.runs[RATE].values.ravel().tolist(), RATE)
            for level, shade in zip(levels, shades, strict=True):
                _line(axes, group.runs.isel(step=level), panel, place, shade)
            if control is not None and panel.variable == "test_accuracy":
                _line(axes, _of_group(control, group).isel(step=-1), panel, place, dashed, "--")
            axes.set_title(panel.title, fontsize=9.5)
            if panel.log:
                axes.set_yscale("log")
        if len(groups) > 1:
            row[0].set_ylabel(group.title)
    _legend(figure, ends, levels, shades, None if control is None else dashed)
    note = "At the end of a level. " + lines.reading_note(ends, lines.split(ends), spread="bar", crosses=False)
    style.heading(figure, "Tickets by learning rate", note)
    return figure


def _line(axes: Axes, runs: xr.Dataset, panel: Panel, place: dict, colour: tuple, linestyle: str = "-") -> None:
    values, at = np.atleast_1d(runs[panel.variable].values), np.atleast_1d(runs[RATE].values).tolist()
    shown = []
    for rate in ordered(at):
        found = values[[i for i, other in enumerate(at) if other == rate]]
        mean, low, high = (float(part[0]) for part in lines.mean_and_range(found[:, None], panel.log))
        if np.isfinite(mean):
            axes.plot([place[rate]] * 2, [low, high], color=colour, linewidth=0.8)
            shown.append((place[rate], mean))
    x, y = np.reshape(shown, (-1, 2)).T
    axes.plot(x, y, color=colour, linestyle=linestyle, marker="o", markersize=3, gid=panel.variable)


def _of_group(control: xr.Dataset, group: lines.Series) -> xr.Dataset:
    """The runs of the control with the numbers of a group, one after the other."""
    chosen = control.drop_vars("diverged_at", errors="ignore")
    for name, value in group.point.items():
        if name in chosen.dims:
            chosen = chosen.sel({name: value})
    names = [name for name in chosen["test_accuracy"].dims if name != "step"]
    return chosen.stack(run=names).transpose("run", ...)


def _legend(figure: Figure, ends: xr.Dataset, levels: list[int], shades: list, control: tuple | None) -> None:
    density = ends["density"].mean([name for name in ends["density"].dims if name != "step"]).values
    handles = [
        Line2D([], [], color=shade, linewidth=2.4, label=f"{density[level]:.3f}")
        for level, shade in zip(levels, shades, strict=True)
    ]
    if control is not None:
        handles.append(Line2D([], [], color=control, linestyle="--", label="its mask,\nother weights"))
    figure.legend(handles=handles, title="density", loc="outside right upper", alignment="left")
