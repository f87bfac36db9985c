"""Bounds of theory beside what they bound, against the step."""

import dataclasses
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines


class Panel(NamedTuple):
    """What one panel shows.

    Attributes:
      title: of the panel.
      ylabel: of its axis.
      shown: (variable, its name in the legend): the truth first, then what bounds it.
      needs: without one of these there is no panel.
      legend: the corner that is kept free for it.
    """

    title: str
    ylabel: str
    shown: tuple[tuple[str, str], ...]
    needs: tuple[str, ...]
    legend: Literal["upper left", "lower left", "lower right"] = "upper left"


LINESTYLES = ("-", "--", ":")
PANELS = (
    Panel(
        "Test error: Theorem 3.2",
        "error, or bound on it",
        (
            ("test_error", "test error"),
            ("test_error_bound_directional", "bound, directional variance"),
            ("test_error_bound", "bound of the theorem"),
        ),
        ("test_error_bound", "test_error_bound_directional"),
        "lower left",
    ),
    Panel(
        "Variance of unseen features: Theorem 4.1",
        "within-class variance / B_g²",
        (
            ("variance_gap", "gap |test − train|"),
            ("variance_test", "test features"),
            ("variance_train", "train features"),
        ),
        ("variance_gap",),
        "lower right",
    ),
    Panel(
        "Collapse: trace bounds",
        "Tr(Σ_W), or bound on it",
        (
            ("within_class_variance", "Tr(Σ_W)"),
            ("within_class_variance_bound", "bound, spectrum of W_L"),
            ("within_class_variance_bound_jacot", "bound, sizes r (Jacot)"),
        ),
        ("within_class_variance_bound", "within_class_variance_bound_jacot"),
    ),
    Panel(
        "Collapse: NC1 bounds",
        "NC1, or bound on it",
        (("nc1", "NC1"), ("nc1_bound", "bound, spectrum of W_L"), ("nc1_bound_jacot", "bound, sizes r (Jacot)")),
        ("nc1_bound", "nc1_bound_jacot"),
    ),
)


@style.styled
def bounds(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """Bounds of theory and what they bound over the log step: truth solid, bounds dashed or dotted.

    One colour per weight decay (or value of `colour`), panels as far as the results hold them: test error
    with the two forms of Theorem 3.2, the variances of Theorem 4.1, and Tr(Sigma_W) and NC1 with Jacot's bounds.
    `thresholds` is not used.
    Source: arXiv 2509.20829 (Theorems 3.2, 4.1), arXiv 2410.04887 (Theorem 3.1).
    """
    panels = [panel for panel in PANELS if any(name in results for name in panel.needs)]
    if not panels:
        raise style.NotDrawableError(
            "none of the measures generalisation and collapse_bounds is in the results "
            "(test_error_bound, variance_gap, within_class_variance_bound, nc1_bound)"
        )
    groups = lines.split(results, colour)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = style.new_figure(1.4 + 4.4 * columns, 0.9 + 3.1 * rows)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    infinite = [_panel(axes, results, groups, panel) for axes, panel in zip(grid, panels, strict=False)]
    for axes in grid[: max(0, len(panels) - columns)]:
        axes.set_xlabel("")
    lines.legend(figure, grid, groups)
    note = notes.reading_note(results, groups)
    if PANELS[0] in panels:
        note += " Grey line: 1, above which a bound on an error says nothing."
    if any(infinite):
        note += "\nA bound begins where the condition of its theorem (a fit that is good enough) is met."
    if e3 := _nonlinearity(results):
        note += f"\n{e3}"
    style.heading(figure, "Bounds against truth", note)
    return figure


def _panel(axes: Axes, results: xr.Dataset, groups: list[lines.Series], panel: Panel) -> bool:
    """Draws one panel; returns whether a bound is infinite somewhere."""
    axes.set_title(panel.title)
    handles, infinite = [], False
    for (name, text), linestyle in zip(panel.shown, LINESTYLES, strict=False):
        if name not in results:
            continue
        look: dict[str, Any] = {"linestyle": linestyle, "alpha": 1.0 if linestyle == "-" else 0.85}
        for group in groups:
            lines.draw(axes, logged(group, name), name, log=True, **look)
        infinite |= bool(np.isinf(results[name]).any())
        handles.append(Line2D([], [], color="#333333", label=text, **look))
    if panel is PANELS[0]:
        axes.axhline(1.0, color=style.GREY, linewidth=0.9)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    room = (high / low) ** 0.35
    axes.set_ylim(*((low, high * room) if panel.legend.startswith("upper") else (low / room, high)))
    style.log_values(axes)
    axes.set_ylabel(panel.ylabel)
    style.step_axis(axes, results["step"].values)
    axes.legend(handles=handles, loc=panel.legend, handlelength=2.6)
    return infinite


def logged(group: lines.Series, name: str) -> lines.Series:
    """The series at the steps at which the variable was measured: stored snapshots are fewer than log steps."""
    values = group.runs[name]
    seen = values.notnull().any([d for d in values.dims if d != "step"])
    return dataclasses.replace(group, runs=group.runs.isel(step=seen.values))


def _nonlinearity(results: xr.Dataset) -> str:
    """What the last hidden layer means for the collapse bounds."""
    if "jacot_e3" not in results or "jacot_psi" not in results:
        return ""
    share = (results["jacot_e3"] / results["jacot_psi"]).where(np.isfinite(results["jacot_psi"]))
    if not share.notnull().any() or float(share.max()) < 1e-3:
        return "The last two layers are linear, as the collapse bounds of Jacot et al. require."
    return "The last hidden layer is not linear: the collapse bounds contain what its activation adds (e3)."
