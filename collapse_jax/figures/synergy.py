"""Synergy and redundancy of neurons over the steps, in bits beside their nulls, and their phases."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds, thresholds_of
from collapse_jax.analysis.change_points import change_points
from collapse_jax.analysis.groups import DEFAULT_AXIS, carried
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines

EXTREMES = ("synergy", "redundancy")
NULLS: dict[str, Any] = {"_null": (0, (1, 1.5)), "_spectrum_null": (0, (5, 2))}
CURVES = {"synergy": "#d55e00", "redundancy": "#0072b2", "synergy_size": "#009e73", "test_loss": "#8c8c8c"}
MOST = 5  # settings of which phases are drawn


@style.styled
def synergy(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """Accuracy, synergy and redundancy over the log step, one colour per weight decay (or value of `colour`).

    Bits as they are, with the means of both nulls: dotted, neurons that share nothing; dashed, the same spectrum
    along random directions. A setting whose runs do not fit the training set at the end (`thresholds`) is drawn
    thin, and named. Source: arXiv 2408.08944, Figures 1 and 5.
    """
    _measured(results)  # accuracies are known at more steps
    thresholds = thresholds_of(results, thresholds)
    figure = style.new_figure(10.4, 3.9)
    panels = figure.subplots(1, 3, sharex=True)
    groups = lines.split(results, colour)
    faint = {group.name: 1.0 if _fitted(group, thresholds) else 0.35 for group in groups}
    for group in groups:
        alpha = faint[group.name]
        for name, look in (("test_accuracy", "-"), ("train_accuracy", "--")):
            if name in results:
                lines.draw(panels[0], group, name, linestyle=look, alpha=alpha * (1 if look == "-" else 0.6))
        for axes, name in zip(panels[1:], EXTREMES, strict=True):
            lines.draw(axes, group, name, alpha=alpha)
            for suffix in NULLS:
                if name + suffix in results:
                    _null(axes, group, name + suffix, NULLS[suffix], alpha)
    for axes, title in zip(panels, ("Accuracy: test, train dashed", "Synergy", "Redundancy"), strict=True):
        axes.set_title(title, fontsize=9.5)
        style.step_axis(axes, results["step"].values)
    panels[0].set_ylim(-0.03, 1.05)
    for axes, name in zip(panels[1:], EXTREMES, strict=True):
        axes.set_ylabel("bit")
        axes.set_yscale("symlog", linthresh=1.0, linscale=1.0)
        axes.set_ylim(bottom=min(0.0, float(results[name].min())))
    lines.legend(figure, list(panels), groups)
    thin = [group.title for group in groups if faint[group.name] < 1]
    note = "Nulls: dotted, neurons permuted; dashed, same spectrum, random directions. "
    note += f"Faint, does not fit: {'; '.join(thin)}. " if thin else ""
    style.heading(figure, "Do neurons act together?", note + notes.reading_note(results, groups, False))
    return figure


@style.styled
def synergy_phases(
    results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS
) -> Figure:
    """Phases of each setting by common change points of synergy and redundancy, and its way through their plane.

    Left: means over seeds, each scaled to [0, 1] (bits are in the figure `synergy`); lines: change points of the
    raw curves at the measured steps but 0, with the interval over resampled seeds. Right: synergy against
    redundancy in bits, coloured by the phase. `thresholds` is not used. Source: arXiv 2408.08944, Figures 2 to 4,
    where phases are assigned by eye.
    """
    measured = _measured(results)
    logged, results = (r.isel(step=np.flatnonzero(r["step"].values > 0)) for r in (results, measured))
    groups = [group for group in lines.split(results, colour) if _complete(group)][:MOST]
    if not groups or results.sizes["step"] < 4:
        raise style.NotDrawableError("synergy was measured at fewer than four steps of any setting")
    figure = style.new_figure(9.6, 1.2 + 2.5 * len(groups))
    rows = figure.subplots(len(groups), 2, squeeze=False, gridspec_kw={"width_ratios": [2.2, 1]})
    whole = {group.title: group.runs for group in lines.split(logged, colour)}
    for (left, right), group in zip(rows, groups, strict=True):
        _curves(left, whole[group.title])
        _phases(left, right, group)
    figure.legend(*rows[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize=7.5)
    note = (
        "Change points: common cuts of synergy and redundancy, number by BIC; shaded, 95 % over resampled seeds. "
    )
    style.heading(figure, "Phases", note + "Curves: mean over seeds, scaled to [0, 1]; step 0 is left out.")
    return figure


def _measured(results: xr.Dataset) -> xr.Dataset:
    if "synergy" not in results or "redundancy" not in results:
        raise style.NotDrawableError("the measure synergy is not in the results")
    return lines.measured_steps(results, ["synergy"])


def _fitted(group: lines.Series, thresholds: Thresholds) -> bool:
    if "train_accuracy" not in group.runs:
        return True
    last = group.runs["train_accuracy"].transpose("run", "step").values[:, -1]
    return bool(np.all(last >= thresholds.train_accuracy))


def _null(axes: Axes, group: lines.Series, name: str, look: Any, alpha: float) -> None:
    """The mean over runs of a null, without a band."""
    steps = group.runs["step"].values.astype(float)
    mean = lines.mean_and_range(carried(group.runs, name).transpose("run", "step").values, False)[0]
    shown = (steps > 0) & np.isfinite(mean)
    axes.plot(
        steps[shown], mean[shown], linestyle=look, linewidth=1.0, color=group.colour, alpha=0.8 * alpha, gid=name
    )


def _complete(group: lines.Series) -> bool:
    return all(bool(group.runs[name].notnull().all()) for name in EXTREMES)


def _curves(axes: Axes, runs: xr.Dataset) -> None:
    """Means over runs, scaled to [0, 1], each at the steps where it is known: the loss is logged at more."""
    runs = runs.transpose("run", ..., "step")
    steps = runs["step"].values.astype(float)
    for name, colour in CURVES.items():
        mean = runs[name].values.astype(float).mean(axis=0) if name in runs else np.full(len(steps), np.nan)
        known = np.isfinite(mean)
        if known.any():
            mean, span = mean[known], np.ptp(mean[known])
            scaled = (mean - mean.min()) / (span if span > 0 else 1)
            look = "--" if name == "test_loss" else "-"
            axes.plot(steps[known], scaled, look, color=colour, label=name.replace("_", " "), gid=name)


def _phases(left: Axes, right: Axes, group: lines.Series) -> None:
    runs = group.runs.transpose("run", ..., "step")
    steps = runs["step"].values.astype(float)
    changes = change_points(np.stack([runs[name].values for name in EXTREMES], axis=1))
    edges = [np.sqrt(steps[at - 1] * steps[at]) for at in changes.at]
    for edge, low, high in zip(edges, changes.low, changes.high, strict=True):
        left.axvspan(steps[low - 1], steps[high], color=style.GREY, alpha=0.18, linewidth=0)
        left.axvline(edge, color=style.GREY, linewidth=1.0, gid="change")
    style.step_axis(left, steps)
    left.set_ylabel("scaled to [0, 1]")
    left.set_title(group.title if group.point else "all runs", fontsize=9.5)
    bounds = [0, *changes.at, len(steps)]
    shades = style.colormap()(np.linspace(0, 1, len(bounds) - 1))
    means = {name: runs[name].values.astype(float).mean(axis=0) for name in EXTREMES}
    right.plot(means["synergy"], means["redundancy"], color=style.GREY, linewidth=0.7, zorder=1)
    for shade, begin, end in zip(shades, bounds[:-1], bounds[1:], strict=True):
        x, y = (means[name][begin:end] for name in EXTREMES)
        ends = dict.fromkeys(f"{step:,.0f}" for step in (steps[begin], steps[end - 1]))  # one, of a single step
        right.scatter(x, y, s=14, color=shade, zorder=2, label=" to ".join(ends))
    right.set_xlabel("synergy (bit)")
    right.set_ylabel("redundancy (bit)")
    right.legend(title="steps", fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
