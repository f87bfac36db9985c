"""What every hidden layer keeps of inputs and labels: its way through the nHSIC plane, its depth, the last one."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS, at_the_end, carried, points_of, varying
from collapse_jax.analysis.nulls import null_name
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines
from collapse_jax.figures.series import Series

ZX, ZY = "layer_nhsic_zx", "layer_nhsic_zy"
MISSING = f"nHSIC of the layers ({ZX} and {ZY}, of the measure layerwise) is not in the results"
# Further variables over the depth, and their titles.
ALONG = {
    "layer_probe_accuracy_test": "Linear probe, test accuracy",
    "layer_centre_accuracy_test": "Nearest class mean, test accuracy",
    "layer_rnc1": "RNC1, train",
}
LOGARITHMIC = ("layer_rnc1",)
MAX_PANELS = 6
NULLS = "Dashed: mean of the null, rows permuted."


@style.styled
def layer_planes(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str | None = None) -> Figure:
    """The way of every hidden layer through the plane of nHSIC(Z;X) and nHSIC(Z;Y).

    One panel per training scheme (or value of `colour`, at most six), side by side on common axes, one row per
    kernel that was measured; one colour per layer, mean over seeds. Circle: first step measured; dot: last one;
    cross: null at the last step. `thresholds` is not used. Source: arXiv 2402.09050.
    """
    results = lines.measured_steps(results, [name + suffix for suffix in _kernels(results) for name in (ZX, ZY)])
    groups = lines.evenly(lines.split(results, colour or _axis(results)), MAX_PANELS)
    kernels = _kernels(results)
    figure = style.new_figure(1.6 + 3.2 * len(groups), 1.3 + 2.9 * len(kernels))
    grid = figure.subplots(len(kernels), len(groups), squeeze=False, sharex="row", sharey="row")
    depth = results.sizes["layer"]
    shades = style.colormap()(np.linspace(0, 1, depth))
    for row, (suffix, kernel) in zip(grid, kernels.items(), strict=True):
        for axes, group in zip(row, groups, strict=True):
            for layer, shade in enumerate(shades):
                _trajectory(axes, group.runs.isel(layer=layer), suffix, shade)
            axes.set_title(group.title, fontsize=9.5)
            axes.set_xlabel("nHSIC(Z;X)")
        row[0].set_ylabel(f"{kernel}\nnHSIC(Z;Y)")
    handles = [Line2D([], [], color=shade, linewidth=2.4, label=str(i + 1)) for i, shade in enumerate(shades)]
    figure.legend(handles=handles, title="hidden layer", loc="outside right upper", alignment="left")
    note = f"Mean over seeds. Circle: step {int(results['step'].values[0]):,}; dot: the last step; cross: its null."
    style.heading(figure, "Layers in the nHSIC plane", f"{note} {notes.progress_note(results)}".strip())
    return figure


@style.styled
def layer_profile(
    results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str | None = None
) -> Figure:
    """Draw nHSIC with labels and inputs, and accuracies, against the depth of the layer, at the last step measured.

    One colour per training scheme (or value of `colour`); one panel for each of what was measured. `thresholds` is
    not used. Source: arXiv 2402.09050.
    """
    kernels = _kernels(results, required=False)
    titles = {f"{name}{suffix}": kernel for name in (ZY, ZX) for suffix, kernel in kernels.items()}
    titles |= {name: title for name, title in ALONG.items() if name in results}
    if not titles:
        raise style.NotDrawableError(MISSING)
    results = lines.measured_steps(results, list(titles))
    groups = lines.split(results, colour or _axis(results))
    columns = max(len(kernels), 3) if len(titles) > 3 else len(titles)
    rows = -(-len(titles) // columns)
    figure = style.new_figure(1.4 + 3.0 * columns, 1.2 + 2.5 * rows)
    grid = style.panels(figure, len(titles), columns)
    last = results.isel(step=-1)
    for axes, (name, title) in zip(grid, titles.items(), strict=True):
        for group in groups:
            end = dataclasses.replace(group, runs=at_the_end(group.runs).transpose("run", ..., "layer"))
            lines.draw(axes, end, name, x=_depths(last), log=name in LOGARITHMIC)
            if name not in ALONG:  # what chance gives is far below the accuracies
                _null(axes, end, name, _depths(last))
        if name in LOGARITHMIC:
            style.log_values(axes)
        axes.set_title(title, fontsize=9.5)
        axes.set_xlabel("hidden layer")
        axes.set_xticks(_depths(last))
        axes.set_ylabel(style.label(results, name).replace(", by layer", ""))
    lines.legend(figure, grid, groups)
    note = f"Step {int(last['step']):,}. {notes.reading_note(results, groups, False)} {NULLS}"
    style.heading(figure, "What layers keep, by depth", note)
    return figure


@style.styled
def last_layer(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str | None = None) -> Figure:
    """Draw nHSIC of the last hidden layer with inputs and labels over the log step.

    One row per kernel that was measured, one colour per training scheme (or value of `colour`). `thresholds` is not
    used. Source: arXiv 2402.09050.
    """
    kernels = _kernels(results)
    results = lines.measured_steps(results, [name + suffix for suffix in kernels for name in (ZX, ZY)])
    groups = [_of_last_layer(group) for group in lines.split(results, colour or _axis(results))]
    figure = style.new_figure(8.6, 1.3 + 2.6 * len(kernels))
    grid = figure.subplots(len(kernels), 2, squeeze=False, sharex=True)
    for row, (suffix, kernel) in zip(grid, kernels.items(), strict=True):
        for axes, name, title in zip(row, (ZX, ZY), ("with the inputs", "with the labels"), strict=True):
            for group in groups:
                lines.draw(axes, group, name + suffix)
                _null(axes, group, name + suffix, results["step"].values)
            if axes in grid[0]:
                axes.set_title(f"nHSIC {title}", fontsize=9.5)
            style.step_axis(axes, results["step"].values)
        row[0].set_ylabel(kernel)
    lines.legend(figure, list(grid.ravel()), groups)
    note = f"{notes.reading_note(results, groups, False)} {NULLS}"
    style.heading(figure, "The last hidden layer forgets the input, or not", note)
    return figure


def _axis(results: xr.Dataset) -> str:
    """The axis that is compared: the training scheme where it varies, else the first that does."""
    names = [name for name in varying(points_of(results)) if name != "seed"]
    return "scheme" if "scheme" in names else next(iter(names), DEFAULT_AXIS)


def _kernels(results: xr.Dataset, required: bool = True) -> dict[str, str]:
    """The suffix of the names of each nHSIC of layers in the results, and what is said of its kernel."""
    found = {}
    for name in results.data_vars:
        record: Mapping[str, Any] = json.loads(results[name].attrs.get("measured", "{}"))
        suffix, options = record.get("suffix", ""), record.get("options", {})
        if name == ZY + suffix and ZX + suffix in results:
            found[suffix] = _words(options)
    if required and not found:
        raise style.NotDrawableError(MISSING)
    return found


def _words(options: Mapping[str, Any]) -> str:
    mode = options.get("mode", "centred")
    width = f", {options['bandwidth']} bandwidth" if mode == "centred" and "bandwidth" in options else ""
    size = f", m = {options['batch_size']}" if "batch_size" in options else ""
    return f"{mode}{', rms features' if options.get('rms') else ''}{width.replace('_', '-')}{size}"


def _depths(results: xr.Dataset) -> np.ndarray:
    return np.arange(1, results.sizes["layer"] + 1)


def _of_last_layer(group: Series) -> Series:
    """The runs at the last layer that they have: in a grid over depths the shallow ones have fewer."""
    known = group.runs[ZY] if ZY in group.runs else next(v for v in group.runs.values() if "layer" in v.dims)
    held = np.flatnonzero(known.notnull().any([d for d in known.dims if d != "layer"]).values)
    return dataclasses.replace(group, runs=group.runs.isel(layer=int(held[-1]) if held.size else -1))


def _trajectory(axes: Axes, runs: xr.Dataset, suffix: str, shade: Any) -> None:
    across, up = (_mean(runs, name + suffix) for name in (ZX, ZY))
    known = np.flatnonzero(np.isfinite(across) & np.isfinite(up))
    axes.plot(across[known], up[known], color=shade, linewidth=1.1, gid=ZY + suffix)
    if not known.size:
        return
    first, last = known[0], known[-1]
    axes.plot(across[first], up[first], "o", color=shade, fillstyle="none", markersize=5)
    axes.plot(across[last], up[last], "o", color=shade, markersize=5)
    nulls = [null_name(runs[name + suffix]) for name in (ZX, ZY)]
    if all(name in runs for name in nulls):
        x, y = (_mean(runs, name)[last] for name in nulls)
        axes.plot(x, y, "x", color=shade, markersize=5, gid=f"{ZY}_null{suffix}")


def _mean(runs: xr.Dataset, name: str) -> np.ndarray:
    return lines.mean_and_range(np.atleast_2d(carried(runs, name).values), False)[0]


def _null(axes: Axes, group: Series, name: str, x: np.ndarray) -> None:
    """Draw the mean of the null of a variable, where there is one."""
    null = null_name(group.runs[name])
    if null in group.runs:
        mean = _mean(group.runs, null)
        shown = (x > 0) & np.isfinite(mean)  # the axis of steps is logarithmic
        axes.plot(x[shown], mean[shown], color=group.colour, linestyle=style.DASHED, linewidth=0.9, gid=null)
