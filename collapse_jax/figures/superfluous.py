"""What the representation keeps of the input beyond the label, over time."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS, carried
from collapse_jax.analysis.nulls import LEVEL, null_name
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines
from collapse_jax.figures.nulls import explained_name, null_of, with_verdicts
from collapse_jax.figures.series import Series

# Estimators of the superfluous information: variable, title.
SUPERFLUOUS = {
    "superfluous_information": "Mutual information of codes",
    "noisy_zx_given_y_sigma010": "Noisy channel, σ = 0.1",
    "superfluous_nhsic": "nHSIC",
}
# What is shown beside them, on a logarithmic axis and without null.
BESIDE = {"rnc1": "Within-class variance"}


@style.styled
def superfluous(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """Superfluous information by each estimator that was measured, and the within-class variance beside it.

    Panels over the log step, one colour per weight decay (or value of `colour`): I(Z;X) - I(Z;Y) by each estimator
    that was measured, its permutation null (dashed: mean; band: standard deviation over permutations), and RNC1.
    Circles: a run's value is in the range of its null, by its p-value and Holm's correction for all values shown.
    `thresholds` is not used. Source: arXiv 2509.20829, Figure 4.
    """
    found = [name for name in SUPERFLUOUS if name in results]
    if not found:
        raise style.NotDrawableError(f"none of {', '.join(SUPERFLUOUS)} is in the results")
    results, tested = with_verdicts(results, found)
    panels = [*found, *(name for name in BESIDE if name in results)]
    figure = style.new_figure(1.3 + 3.4 * len(panels), 3.9)
    grid = list(figure.subplots(1, len(panels), squeeze=False)[0])
    groups: list[Series] = []
    for axes, name in zip(grid, panels, strict=True):
        groups = lines.split(lines.measured_steps(results, [name]), colour)
        for group in groups:
            lines.draw(axes, group, name, log=name in BESIDE)
            if name in found:
                _null(axes, group, name)
                _explained(axes, group, name)
        if name in BESIDE:
            style.log_values(axes)
        else:
            axes.axhline(0, color="#444444", linewidth=0.7)
        axes.set_title((SUPERFLUOUS | BESIDE)[name])
        axes.set_ylabel(style.label(results, name))
        style.step_axis(axes, results["step"].values)
    if any(null_name(results[name]) in results for name in found):
        handle = (Line2D([], [], color=style.GREY, linestyle="--"), Patch(color=style.GREY, alpha=style.BAND_ALPHA))
        grid[0].legend([handle], ["null of permutations"], loc="best", handlelength=2.4)
    lines.legend(figure, grid, groups)
    note = notes.reading_note(results, groups, log=False)
    style.heading(
        figure, "Superfluous information and within-class variance", f"{note}\n{_note(results, found, tested)}"
    )
    return figure


def _note(results: xr.Dataset, found: list[str], tested: int) -> str:
    if not any(null_name(results[name]) in results for name in found):
        return ""
    if not any(null_name(results[name], "null_sd") in results for name in found):
        return "Dashed: a null of one permutation, without spread and p-value; measure again."
    permuted = ["rows permuted within classes"] if any("noisy" not in name for name in found) else []
    permuted += ["labels permuted (noisy channel)"] if any("noisy" in name for name in found) else []
    note = f"Dashed, and band: mean of the null and standard deviation over permutations; {', '.join(permuted)}."
    if tested:
        note += f"\nCircles: some run is in the range of its null, p > {LEVEL:g} after Holm's correction for all"
        note += f" {tested:,} values shown."
    return note


def _null(axes: Axes, group: Series, name: str) -> None:
    """The mean of the null of a series, and the spread of permutations around it."""
    null = null_of(group, name)
    if null is None:
        return
    mean, spread = null
    steps = group.runs["step"].values.astype(np.float64)
    shown = (steps > 0) & np.isfinite(mean)
    look = {"color": group.colour, "gid": null_name(group.runs[name])}
    style.line(axes, steps[shown], mean[shown], linestyle="--", linewidth=1.2, alpha=0.6, **look)
    band = shown & np.isfinite(spread)
    axes.fill_between(
        steps[band], (mean - spread)[band], (mean + spread)[band], alpha=style.BAND_ALPHA, linewidth=0, **look
    )


def _explained(axes: Axes, group: Series, name: str) -> None:
    """Circles on the mean where the null explains the value of a run."""
    verdict = explained_name(name)
    if verdict not in group.runs:
        return
    mean, _, _ = lines.mean_and_range(np.atleast_2d(carried(group.runs, name).values), False)
    steps = group.runs["step"].values.astype(np.float64)
    shown = (steps > 0) & np.atleast_2d(group.runs[verdict].values).any(axis=0)
    look = {"color": group.colour, "linestyle": "none", "marker": "o", "markersize": 5, "fillstyle": "none"}
    axes.plot(steps[shown], mean[shown], gid=verdict, **look)
