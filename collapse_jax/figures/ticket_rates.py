"""Tickets against the learning rate: accuracy beside the control, distance and flatness, a line per level."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import points_of, varying
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines
from collapse_jax.figures.against_axis import axis_of
from collapse_jax.figures.heatmap import ordered
from collapse_jax.figures.tickets import CONTROL, PANELS, RATE, Panel, ends_of_levels, with_controls

CHOSEN = (
    "test_accuracy",
    "advantage",
    "distance_from_initial",
    "expected_sharpness",
    "hessian_trace",
    "tolerated_sigma",
)
MOST_LEVELS = 6


@style.styled
def ticket_rates(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    *,
    controls: Mapping[int, xr.Dataset] | None = None,
) -> Figure:
    """What a network is at the end of a level, against the learning rate; a line per level, a row per setting.

    Mean over seeds; the bar goes from the lowest to the highest. `controls`, as in the figure `tickets`, add their
    accuracy, dashed in the colour of the level. `thresholds` is not used. Source: arXiv 2205.07320.
    """
    ends = with_controls(ends_of_levels(results), controls or {})
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
    for row, group in zip(grid, groups, strict=True):
        for axes, panel in zip(row, panels, strict=True):
            place = axis_of(axes, group.runs[RATE].values.ravel().tolist(), RATE)
            for level, shade in zip(levels, shades, strict=True):
                _line(axes, group.runs.isel(step=level), panel, place, shade)
                if panel.variable == "test_accuracy" and CONTROL in ends:
                    _line(axes, group.runs.isel(step=level), panel._replace(variable=CONTROL), place, shade, "--")
            axes.set_title(panel.title, fontsize=9.5)
            if panel.log:
                style.log_values(axes)
        if len(groups) > 1:
            row[0].set_ylabel(group.title)
    _legend(figure, ends, levels, shades)
    note = "At the end of a level. " + notes.reading_note(ends, lines.split(ends), spread="bar", crosses=False)
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
    if not shown:  # a level without control
        return
    x, y = np.transpose(shown)
    axes.plot(x, y, color=colour, linestyle=linestyle, marker="o", markersize=3, gid=panel.variable)


def _legend(figure: Figure, ends: xr.Dataset, levels: list[int], shades: list) -> None:
    density = ends["density"].mean([name for name in ends["density"].dims if name != "step"]).values
    handles = [
        Line2D([], [], color=shade, linewidth=2.4, label=f"{density[level]:.3f}")
        for level, shade in zip(levels, shades, strict=True)
    ]
    if CONTROL in ends:
        handles.append(Line2D([], [], color="black", linestyle="--", label="its mask,\nother weights"))
    figure.legend(handles=handles, title="density", loc="outside right upper", alignment="left")
