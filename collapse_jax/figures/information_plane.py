"""The way of training through the plane of the information about inputs and labels, of features and of layers."""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS, carried
from collapse_jax.analysis.nulls import null_name
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines
from collapse_jax.figures.nulls import null_of
from collapse_jax.figures.series import Series

MAX_COLUMNS, MAX_LAYERS = 6, 6
# Estimators of both coordinates of the plane: of X, of Y, name.
PLANES = (
    ("mi_zx", "mi_zy", "codes"),
    ("noisy_zx_sigma010", "noisy_zy_sigma010", "noise σ = 0.1"),
    ("noisy_zx", "noisy_zy", "noise"),
    ("nhsic_zx", "nhsic_zy", "nHSIC"),
    ("binned_zx", "binned_zy", "bins"),
)


@dataclasses.dataclass(frozen=True)
class Plane:
    """One row of the figure.

    Attributes:
      x: variable of I(Z;X).
      y: variable of I(Z;Y).
      name: of the estimator, and of the layer.
      layer: whose values, where the variables have several; None: of the features.
    """

    x: str
    y: str
    name: str
    layer: int | None = None

    def of(self, results: xr.Dataset) -> xr.Dataset:
        """The results of its layer, at the steps at which it was measured."""
        own = results if self.layer is None else results.isel(layer=self.layer)
        return lines.measured_steps(own, [self.x, self.y])


@style.styled
def information_plane(
    results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS
) -> Figure:
    """The way of training through the plane of I(Z;X) and I(Z;Y), Z the features.

    One row per estimator that was measured; one column per weight decay (at most six), the step as colour. Dots:
    mean over seeds; thin lines: single seeds; crosses: mean and standard deviation of the permutation null, which
    shows where the plane has its origin for this estimator. `thresholds` is not used. Source: arXiv 1703.00810.
    """
    planes = [Plane(x, y, name) for x, y, name in PLANES if x in results and y in results]
    return _drawn(results, planes, colour, "Information plane", "")


@style.styled
def information_plane_of_layers(
    results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS
) -> Figure:
    """The same of every hidden layer.

    One row per estimator whose layers were measured, and layer (at most six, evenly chosen); the layers of an
    estimator share their axes. `thresholds` is not used. Source: arXiv 1703.00810.
    """
    planes = [
        Plane(f"layer_{x}", f"layer_{y}", f"{name}, layer {layer + 1} of {results.sizes['layer']}", layer)
        for x, y, name in PLANES
        if f"layer_{x}" in results and f"layer_{y}" in results
        for layer in lines.evenly(range(results.sizes["layer"]), MAX_LAYERS)
    ]
    return _drawn(results, planes, colour, "Information plane, layer by layer", "layer_")


def _drawn(results: xr.Dataset, planes: list[Plane], colour: str, title: str, prefix: str) -> Figure:
    if not planes:
        raise style.NotDrawableError(
            "no pair of variables of an information plane is in the results: "
            + "; ".join(f"{prefix}{x} and {prefix}{y}" for x, y, _ in PLANES)
        )
    steps = results["step"].values
    if not np.any(steps > 0):
        raise style.NotDrawableError("no step after 0 is logged")
    norm = LogNorm(max(1.0, float(steps[steps > 0].min())), float(steps.max()) + 1e-9)
    rows = [lines.evenly(lines.split(plane.of(results), colour), MAX_COLUMNS) for plane in planes]
    figure = style.new_figure(1.6 + 2.05 * len(rows[0]), 1.3 + 2.2 * len(planes))
    grid = figure.subplots(len(planes), len(rows[0]), squeeze=False)
    first: dict[str, Axes] = {}
    for number, (row, plane, groups) in enumerate(zip(grid, planes, rows, strict=True)):
        for axes, group in zip(row, groups, strict=True):
            together = first.setdefault(plane.x, axes)
            if axes is not together:
                axes.sharex(together)
                axes.sharey(together)
            _trajectory(axes, group, plane, norm)
            if number == 0:
                axes.set_title(group.title, fontsize=9.5)
            axes.set_xlabel(_label(results, plane.x))
            axes.tick_params(labelleft=axes is row[0])
        row[0].set_ylabel(f"{plane.name}\n{_label(results, plane.y)}")
    aspect = max(30, 10 * len(planes))  # as broad in a tall figure
    bar = figure.colorbar(ScalarMappable(norm, _time_colours()), ax=list(grid.flat), pad=0.015, aspect=aspect)
    bar.set_label("training step")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(style.short_number))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.outline.set_visible(False)
    style.heading(figure, title, _note(results, planes))
    return figure


def _label(results: xr.Dataset, variable: str) -> str:
    """An axis title without "by layer", which the row says and a narrow panel has no room for."""
    return style.label(results, variable).replace(", by layer", "")


def _note(results: xr.Dataset, planes: list[Plane]) -> str:
    note = "Dots: mean over seeds; thin lines: single seeds."
    if any(null_name(results[plane.y]) in results for plane in planes):
        note += "\nCrosses and bars: mean and standard deviation of the null, rows permuted"
        note += "\n(labels, for noise and bins)."
    note += f" {notes.progress_note(results)}"
    if any("noisy" in plane.x or "binned" in plane.x for plane in planes):
        note += "\nI(Z;X) through noise or bins depends on no pairing: its cross is at the value."
    return note.strip()


def _trajectory(axes: Axes, group: Series, plane: Plane, norm: LogNorm) -> None:
    steps = group.runs["step"].values
    first, second = (np.atleast_2d(group.runs[name].values).astype(np.float64) for name in (plane.x, plane.y))
    for a, b in zip(first, second, strict=True):
        axes.plot(a, b, color="#555555", linewidth=0.5, alpha=0.35, zorder=1)
    kept = (np.atleast_2d(carried(group.runs, name).values) for name in (plane.x, plane.y))
    a, b = (lines.mean_and_range(values, False)[0] for values in kept)
    colours: dict[str, Any] = {"c": np.maximum(steps, norm.vmin or 1), "norm": norm, "cmap": _time_colours()}
    across, up = null_of(group, plane.x), null_of(group, plane.y)
    if up is not None:
        (x, width), (y, height) = across or (a, np.zeros_like(a)), up
        name = f"{plane.y}_null"
        # No bar where the spread is not known.
        bars: dict[str, Any] = {"colors": style.GREY, "linewidth": 0.7, "alpha": 0.5, "zorder": 2}
        axes.hlines(y, x - width, x + width, gid=f"{name}_sd", **bars)
        axes.vlines(x, y - height, y + height, gid=f"{name}_sd", **bars)
        axes.scatter(x, y, marker="x", s=11, linewidths=0.8, alpha=0.75, zorder=2, gid=name, **colours)
    axes.plot(a, b, color="#555555", linewidth=0.8, zorder=3)
    axes.scatter(a, b, s=17, edgecolors="white", linewidths=0.35, zorder=4, gid=plane.y, **colours)


def _time_colours() -> Colormap:
    """From light early to dark late: another ramp than that of the weight decays."""
    return LinearSegmentedColormap.from_list("time", ["#fde0a6", "#f59a51", "#cc4c5a", "#7a2a78", "#1f1147"])
