"""Levels of pruning: what the tickets reach, how far they moved, how flat their minima are, and what they cost."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import points_of, until_the_first_retires
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines

RATE = "learning_rate"
CONTROL = "control_accuracy"  # test accuracy of the masks with other initial weights


class Panel(NamedTuple):
    """A variable under a title; on a logarithmic axis where it spans decades."""

    title: str
    variable: str
    log: bool = False


PANELS = (
    Panel("Test accuracy", "test_accuracy"),
    Panel("Advantage over other weights", "advantage"),
    Panel("Distance from initial weights", "distance_from_initial", log=True),
    Panel("Distance per weight", "distance_per_weight", log=True),
    Panel("Trace of the Hessian", "hessian_trace", log=True),
    Panel("Expected sharpness", "expected_sharpness", log=True),
    Panel("Sigma that the error tolerates", "tolerated_sigma"),
    Panel("PAC-Bayes bound", "pac_bound_slab"),
    Panel("The same, the mask for free", "pac_bound_without_mask"),
)


RISKS = {
    "pac_bound_slab": "bound",
    "pac_bound_without_mask": "the same, the mask for free",
    "posterior_risk": "train error with that noise",
}


@style.styled
def tickets(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    *,
    colour: str = RATE,
    controls: Mapping[int, xr.Dataset] | None = None,
) -> Figure:
    """What a network has become at the end of each level, against the share of weights that it kept.

    One colour per learning rate (or value of `colour`), mean and range over seeds. The density is (1 - p)^l at
    level l, of which p is pruned each time. `controls` are explained in `with_controls`; their accuracy is dashed,
    and a panel has the advantage of the tickets. `thresholds` is not used. Source: arXiv 2205.07320.
    """
    ends = with_controls(ends_of_levels(results), controls or {})
    panels = [panel for panel in PANELS if panel.variable in ends and _levels_with(ends[panel.variable]) > 1]
    columns = min(4, len(panels))
    figure = style.new_figure(1.2 + 3.1 * columns, 1.5 + 2.6 * -(-len(panels) // columns))
    grid = style.panels(figure, len(panels), columns)
    groups = [dataclasses.replace(group, runs=_unmarked(group.runs)) for group in _series(ends, colour)]
    edges = 0.9 * float(ends["density"].min()), 1.1 * float(ends["density"].max())
    for axes, panel in zip(grid, panels, strict=True):
        for group in groups:
            x = _mean(group, "density")
            lines.draw(axes, group, panel.variable, x=x, log=panel.log)
            if panel.variable == "test_accuracy" and CONTROL in ends:
                lines.draw(axes, group, CONTROL, x=x, linestyle="--")
        axes.set_title(panel.title, fontsize=9.5)
        units = ends[panel.variable].attrs.get("units", "1")
        axes.set_ylabel("" if units == "1" else units)  # the title says what it is
        axes.set_xlim(*edges)
        _density(axes)
        if panel.log:
            style.log_values(axes)
    lines.legend(figure, grid, groups)
    note = "At the end of each level; weights are pruned from right to left. "
    note += "Dashed: the same masks with other initial weights. " if controls else ""
    note += f"{notes.reading_note(ends, groups, False, crosses=False)}{notes.shortened_note(ends)}"
    style.heading(figure, "Tickets", note)
    return figure


@style.styled
def bound_parts(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = RATE) -> Figure:
    """The nats of the spike-and-slab divergence by density, mask and slab, and below the bound and the risk in it.

    One column per series; the slab at the sigma nearest to softplus(-4) = 0.01815, mean over seeds.
    `thresholds` is not used. Source: arXiv 2205.07320.
    """
    ends = ends_of_levels(results)
    if "mask_cost" not in ends:
        raise style.NotDrawableError("the measure pac_bayes is not in the results")
    sigmas = ends["posterior_sigma"].values
    nearest = int(np.abs(np.log(sigmas / 0.01815)).argmin())
    ends = ends.isel(posterior_sigma=nearest)
    groups = _series(ends, colour)
    figure = style.new_figure(1.2 + 2.9 * len(groups), 5.9)
    grid, below = figure.subplots(2, len(groups), squeeze=False, sharey="row")
    shades = style.colormap()((0.35, 0.75))
    for axes, lower, group in zip(grid, below, groups, strict=True):
        shown = [_mean(group, name) for name in ("mask_cost", "slab_divergence")]
        x = _mean(group, "density")
        labels = ("mask: N H(λ)", f"slab at σ = {sigmas[nearest]:.4f}")
        axes.stackplot(x, *shown, colors=list(shades), labels=labels)
        axes.set_title(group.title, fontsize=9.5)
        for (name, text), linestyle in zip(RISKS.items(), ("-", "--", ":"), strict=True):
            lower.plot(x, _mean(group, name), color="black", linestyle=linestyle, label=text, gid=name)
        _density(axes)
        _density(lower)
    grid[0].set_ylabel("divergence [nats]")
    below[0].set_ylabel("error")
    grid[0].legend(fontsize=7.5)
    below[-1].legend(fontsize=7.5)
    note = notes.reading_note(ends, groups, False, spread="", crosses=False)
    style.heading(figure, "What a ticket costs", f"{note}{notes.shortened_note(ends)}")
    return figure


def ends_of_levels(results: xr.Dataset) -> xr.Dataset:
    """Return the results at the ends of levels where the density was measured."""
    if "level" not in results.coords:
        raise style.NotDrawableError("the experiment has no levels")
    if "density" not in results:
        raise style.NotDrawableError("the measure flatness is not in the results")
    measured = lines.measured_steps(results, ["density"])
    last = measured["level_step"].values == measured["level_step"].values.max()
    if last.sum() < 2:
        raise style.NotDrawableError("flatness was measured at the end of one level alone")
    return measured.isel(step=np.flatnonzero(last))


def with_controls(ends: xr.Dataset, controls: Mapping[int, xr.Dataset]) -> xr.Dataset:
    """Add the accuracy of controls, and the advantage of the tickets over them, to what `ends_of_levels` returns.

    Args:
      ends: of the levels.
      controls: by level, results of runs that began with the masks of its end and other seeds, in the order of the
        runs of `ends`; of each the last step counts.

    Raises:
      NotDrawableError: a level was not measured, or its control has other runs.
    """
    if not controls:
        return ends
    last = ends["test_accuracy"].transpose(..., "step")
    accuracy = np.full(last.shape, np.nan)
    for level, control in controls.items():
        at = np.flatnonzero(ends["level"].values == level)
        if not at.size:
            raise style.NotDrawableError(f"level {level} has a control, and its end was not measured")
        if _but_for_seeds(control) != _but_for_seeds(ends):
            raise style.NotDrawableError(f"the control of level {level} has other runs")
        accuracy[..., at[0]] = control["test_accuracy"].isel(step=-1).transpose(*last.dims[:-1]).values
    again = (last.dims, accuracy)
    return ends.assign({CONTROL: again, "advantage": last - xr.DataArray(accuracy, dims=last.dims)})


def _levels_with(values: xr.DataArray) -> int:
    """At how many levels there is a value."""
    return int(values.notnull().any([name for name in values.dims if name != "step"]).sum())


def _but_for_seeds(results: xr.Dataset) -> list[dict]:
    return [{name: value for name, value in point.items() if name != "seed"} for point in points_of(results)]


def _series(ends: xr.Dataset, colour: str) -> list[lines.Series]:
    """The series, each up to the level at which its first run retires: what it keeps falls from level to level."""
    every = lines.split(ends, colour)
    return [dataclasses.replace(group, runs=until_the_first_retires(group.runs)) for group in every]


def _unmarked(runs: xr.Dataset) -> xr.Dataset:
    """Without the steps at which runs ended: these are no levels."""
    return runs.drop_vars(["diverged_at", "retired_at"], errors="ignore")


def _mean(group: lines.Series, name: str) -> np.ndarray:
    return lines.mean_and_range(group.runs[name].transpose("run", "step").values, False)[0]


def _density(axes: Axes) -> None:
    axes.set_xscale("log")
    style.log_ticks(axes.xaxis, plain=True)
    axes.set_xlabel("density")
