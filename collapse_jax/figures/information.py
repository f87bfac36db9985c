"""What the representation keeps of the input beyond the label: over time, and in the information plane."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS
from collapse_jax.analysis.nulls import null_name
from collapse_jax.figures import series as lines
from collapse_jax.figures import style
from collapse_jax.figures.series import Series

NULL = "#8c8c8c"
MAX_COLUMNS = 6

# Estimators of the superfluous information: variable, null, title.
SUPERFLUOUS = (
    ("superfluous_information", "superfluous_information_null", "Mutual information of codes"),
    ("noisy_zx_given_y_sigma010", "noisy_zx_given_y_null_sigma010", "Noisy channel, σ = 0.1"),
    ("superfluous_nhsic", "superfluous_nhsic_null", "nHSIC"),
)
# What is shown beside them, on a logarithmic axis and without null.
BESIDE = (("rnc1", "", "Within-class variance"),)
# Estimators of both coordinates of the plane: of X, of Y, nulls, name.
PLANES = (
    ("mi_zx", "mi_zy", "codes"),
    ("noisy_zx_sigma010", "noisy_zy_sigma010", "noise σ = 0.1"),
    ("nhsic_zx", "nhsic_zy", "nHSIC"),
)


@style.styled
def superfluous(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """Superfluous information by each estimator that was measured, and the within-class variance beside it.

    Panels over the log step, one colour per weight decay (or value of `colour`): I(Z;X) - I(Z;Y) by each estimator
    that was measured, with its permutation null in grey (dashed: mean of all runs; band: lowest to highest run),
    and RNC1. Where a curve lies in the band, the estimator sees nothing. `thresholds` is not used. Source: arXiv
    2509.20829, Figure 4.
    """
    found = [row for row in SUPERFLUOUS if row[0] in results]
    if not found:
        raise style.NotDrawableError(f"none of {', '.join(row[0] for row in SUPERFLUOUS)} is in the results")
    panels = [*found, *(row for row in BESIDE if row[0] in results)]
    figure = style.new_figure(1.3 + 3.4 * len(panels), 3.9)
    grid = list(figure.subplots(1, len(panels), squeeze=False)[0])
    groups: list[Series] = []
    for axes, (name, null, title) in zip(grid, panels, strict=True):
        measured = measured_steps(results, [name])
        groups = lines.split(measured, colour)
        noisy = name.startswith("noisy")
        if null in results and not noisy:
            _null_band(axes, measured, null)
        for group in groups:
            lines.draw(axes, group, name, log=not null)
            if null in results and noisy:
                # Not around 0, but what a random partition into classes leaves: it differs from run to run.
                lines.draw(axes, group, null, linestyle="--", alpha=0.4)
        if not null:
            style.log_values(axes)
        else:
            axes.axhline(0, color="#444444", linewidth=0.7)
        axes.set_title(title)
        axes.set_ylabel(style.label(results, name))
        style.step_axis(axes, results["step"].values)
    if any(null in results for _, null, _ in found):
        handle = (Line2D([], [], color=NULL, linestyle="--"), Patch(color=NULL, alpha=style.BAND_ALPHA))
        grid[0].legend([handle], ["null: pairing broken"], loc="best", handlelength=2.4)
    lines.legend(figure, grid, groups)
    note = lines.reading_note(results, groups, log=False)
    note += "\nGrey: the same estimate after a permutation of the rows (dashed: mean, band: range of all runs)."
    note += " A curve that follows its null says nothing."
    if any(name.startswith("noisy") for name, _, _ in found):
        note += " Through noise, dashed: labels permuted."
    style.heading(figure, "Superfluous information and within-class variance", note)
    return figure


@style.styled
def information_plane(
    results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS
) -> Figure:
    """The way of training through the plane of I(Z;X) and I(Z;Y).

    One row per estimator that was measured, one column per weight decay (at most six, evenly chosen), the step as
    colour. Dots: mean over seeds; thin lines: single seeds; crosses: the mean null, which shows where the plane has
    its origin for this estimator. `thresholds` is not used.
    """
    planes = [row for row in PLANES if row[0] in results and row[1] in results]
    if not planes:
        raise style.NotDrawableError(
            "no pair of variables of an information plane is in the results: "
            + "; ".join(f"{x} and {y}" for x, y, _ in PLANES)
        )
    steps = results["step"].values
    if not np.any(steps > 0):
        raise style.NotDrawableError("no step after 0 is logged")
    norm = LogNorm(max(1.0, float(steps[steps > 0].min())), float(steps.max()) + 1e-9)
    columns = lines.evenly(lines.split(measured_steps(results, planes[0][:2]), colour), MAX_COLUMNS)
    figure = style.new_figure(1.6 + 2.05 * len(columns), 1.3 + 2.2 * len(planes))
    grid = figure.subplots(len(planes), len(columns), squeeze=False, sharex="row", sharey="row")
    for number, (row, (x, y, name)) in enumerate(zip(grid, planes, strict=True)):
        chosen = lines.evenly(lines.split(measured_steps(results, [x, y]), colour), MAX_COLUMNS)
        for axes, group in zip(row, chosen, strict=True):
            _trajectory(axes, group, x, y, norm)
            if number == 0:
                axes.set_title(group.title, fontsize=9.5)
            axes.set_xlabel(style.label(results, x))
        row[0].set_ylabel(f"{name}\n{style.label(results, y)}")
    bar = figure.colorbar(ScalarMappable(norm, _time_colours()), ax=list(grid.flat), pad=0.015, aspect=30)
    bar.set_label("training step")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(style.short_number))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.outline.set_visible(False)
    note = "Dots: mean over seeds; thin lines: single seeds. Crosses: the same with the pairing broken (null)."
    note += " " + lines.progress_note(results)
    if any(x.startswith("noisy") for x, _, _ in planes):
        note += (
            "\nI(Z;X) through noise has no null: it does not depend on the pairing; its cross lies at the value."
        )
    style.heading(figure, "Information plane", note.strip())
    return figure


def _trajectory(axes: Axes, group: Series, x: str, y: str, norm: LogNorm) -> None:
    steps = group.runs["step"].values
    first, second = (np.atleast_2d(group.runs[name].values).astype(np.float64) for name in (x, y))
    for a, b in zip(first, second, strict=True):
        axes.plot(a, b, color="#555555", linewidth=0.5, alpha=0.35, zorder=1)
    null_x, null_y = (null_name(group.runs[name]) for name in (x, y))
    null_x = null_x if null_x in group.runs else x
    colours: dict[str, Any] = {"c": np.maximum(steps, norm.vmin or 1), "norm": norm, "cmap": _time_colours()}
    if null_y in group.runs:
        a, b = (lines.mean_and_range(np.atleast_2d(group.runs[n].values), False)[0] for n in (null_x, null_y))
        axes.scatter(a, b, marker="x", s=11, linewidths=0.8, alpha=0.75, zorder=2, gid=f"{y}_null", **colours)
    a, b = (lines.mean_and_range(values, False)[0] for values in (first, second))
    axes.plot(a, b, color="#555555", linewidth=0.8, zorder=3)
    axes.scatter(a, b, s=17, edgecolors="white", linewidths=0.35, zorder=4, gid=y, **colours)


def _null_band(axes: Axes, results: xr.Dataset, null: str) -> None:
    """The nulls of all runs as one grey band: they differ by chance only, where the estimator is sound."""
    values = results[null].transpose(..., "step").values
    mean, low, high = lines.mean_and_range(values.reshape(-1, values.shape[-1]), False)
    steps = results["step"].values.astype(np.float64)
    shown = steps > 0
    axes.fill_between(steps[shown], low[shown], high[shown], color=NULL, alpha=style.BAND_ALPHA, linewidth=0)
    axes.plot(steps[shown], mean[shown], color=NULL, linestyle="--", linewidth=1.2, gid=null)


def measured_steps(results: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """The results at the steps at which one of the variables has a value: snapshots are rarer than log steps."""
    seen = np.zeros(results.sizes["step"], bool)
    for name in names:
        values = results[name]
        seen |= values.notnull().any([d for d in values.dims if d != "step"]).values
    if not seen.any():
        raise style.NotDrawableError(f"{names[0]} has no value at any step")
    return results.isel(step=np.flatnonzero(seen))


def _time_colours() -> Colormap:
    """From light early to dark late: another ramp than that of the weight decays."""
    return LinearSegmentedColormap.from_list("time", ["#fde0a6", "#f59a51", "#cc4c5a", "#7a2a78", "#1f1147"])
