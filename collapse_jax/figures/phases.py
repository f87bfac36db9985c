"""Accuracy and measures of collapse against the step: one row of panels per sweep, or per program of one."""

from collections.abc import Sequence
from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS
from collapse_jax.experiment.points import axis_text, describe_point
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines
from collapse_jax.workdir.join import all_points, axes_of, select_part

ACCURACY = ("train_accuracy", "test_accuracy")
TITLES = {
    "accuracy": "Accuracy: training set, then test set",
    "rnc1": "Within-class variance: collapse to 0",
    "nc1": "NC1: within over between classes",
    "nc2_condition": "Class means: orthogonal at 1",
}
MAX_ROWS = 8


@style.styled
def phases(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """Accuracy (test solid, train dashed), RNC1 and the condition number of the class means over the log step.

    One colour per weight decay (or value of `colour`); panels as far as the results hold them. `thresholds` is not
    used. Source: arXiv 2509.20829, Figure 3.
    """
    return _rows({"": results}, ("rnc1", "nc2_condition"), "Phases of training", colour)


@style.styled
def variances(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """As `phases`, with NC1 beside RNC1.

    Both are the same within-class variance, relative to the between-class variance or to the largest feature.
    `thresholds` is not used. Source: arXiv 2509.20829, Figure 9.
    """
    if "nc1" not in results:
        raise style.NotDrawableError("nc1 is not in the results")
    return _rows({"": results}, ("rnc1", "nc1"), "Two normalisations of the within-class variance", colour)


@style.styled
def programs(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """One row per program of the static axes: accuracy, RNC1 and NC1 as in `variances`, on common axes.

    The first `MAX_ROWS` programs are shown.
    `thresholds` is not used. Source: arXiv 2509.20829, Figures 6 and 9.
    """
    points = list(all_points(results))
    if not points:
        raise style.NotDrawableError("the grid has no static axes")
    parts = {describe_point(point): select_part(results, point).drop_vars(point) for point in points}
    parts = {name: part for name, part in parts.items() if len(part.data_vars) > 1}
    title = f"Programs: {', '.join(map(axis_text, axes_of(results)))}"
    return _rows(dict(list(parts.items())[:MAX_ROWS]), ("rnc1", "nc1"), title, colour, len(parts) - MAX_ROWS)


def _rows(
    parts: dict[str, xr.Dataset], variables: Sequence[str], title: str, colour: str, left_out: int = 0
) -> Figure:
    held = {str(name) for part in parts.values() for name in part.data_vars}
    names = (["accuracy"] if held & set(ACCURACY) else []) + [name for name in variables if name in held]
    if not names:
        raise style.NotDrawableError(f"none of {', '.join((*ACCURACY, *variables))} is in the results")
    figure = style.new_figure(1.2 + 3.6 * len(names), 3.9 if len(parts) == 1 else 1.3 + 2.3 * len(parts))
    grid = figure.subplots(len(parts), len(names), squeeze=False, sharex=True, sharey="col")
    every = []
    for row, (label, part) in zip(grid, parts.items(), strict=True):
        groups = lines.split(part, colour)
        every += groups
        for axes, name in zip(row, names, strict=True):
            if axes in grid[0]:
                axes.set_title(TITLES[name])
            _panel(axes, part, groups, name)
            if axes not in grid[-1]:
                axes.set_xlabel("")
        if label:
            row[0].set_ylabel(f"{label}\n{row[0].get_ylabel()}")
    lines.legend(figure, list(grid.ravel()), groups)
    first, *further = parts.values()
    note = notes.reading_note(first, every, True, *further)
    if left_out > 0:
        note += f" {left_out} further programs are not shown."
    style.heading(figure, title, note)
    return figure


def _panel(axes: Axes, results: xr.Dataset, groups: list[lines.Series], name: str) -> None:
    if name == "accuracy":
        _accuracy(axes, results, groups)
    elif name in results:
        for group in groups:
            lines.draw(axes, group, name, log=True)
        if name == "nc2_condition":
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.94)
            axes.axhline(1.0, color=style.GREY, linewidth=0.9, linestyle=":")
        style.log_values(axes)
        axes.set_ylabel(style.label(results, name))
    style.step_axis(axes, results["step"].values)


def _accuracy(axes: Axes, results: xr.Dataset, groups: list[lines.Series]) -> None:
    held = [name for name in ACCURACY if name in results]
    for group in groups:
        if "train_accuracy" in held:
            lines.draw(axes, group, "train_accuracy", linestyle="--", alpha=0.55)
        if "test_accuracy" in held:
            lines.draw(axes, group, "test_accuracy")
    axes.set_ylim(-0.02, 1.03)
    axes.set_ylabel("accuracy")
    looks: dict[str, dict[str, Any]] = {
        "test_accuracy": {"linestyle": "-", "label": "test"},
        "train_accuracy": {"linestyle": "--", "label": "train", "alpha": 0.55},
    }
    handles = [Line2D([], [], color="#333333", **looks[name]) for name in looks if name in held]
    axes.legend(handles=handles, loc="upper left", handlelength=2.6)
