"""The superfluous information between the bounds of Theorem 3.4."""

import re
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS, carried
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines

MAX_ROWS = 3
# Okabe-Ito colours; from the loosest bound to the estimate.
LOOKS: dict[str, tuple[str, dict[str, Any]]] = {
    "trace_bound": ("trace bound", {"color": "#d55e00"}),
    "log_det_bound": ("log-det bound", {"color": "#0072b2"}),
    "kde_upper_zx_given_y": ("pairwise bounds", {"color": "#009e73", "linewidth": 0.9, "linestyle": "-."}),
    "kde_lower_zx_given_y": ("", {"color": "#009e73", "linewidth": 0.9, "linestyle": "-."}),
    "noisy_zx_given_y": ("I(Z;X|Y), Monte Carlo", {"color": "#111111", "linewidth": 2.0}),
    "noisy_zx_given_y_null": ("null: labels permuted", {"color": style.GREY, "linestyle": "--"}),
}
# What is below is rounding of float32.
FLOOR = 1e-6


@style.styled
def sandwich(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """The superfluous information between the bounds of Theorem 3.4, over the log step.

    Columns: noise sigma, relative to the largest feature norm; rows: weight decays (at most three, evenly chosen).
    Monte-Carlo I(Z;X|Y) of Z = g(X) + B_g sigma E, below the log-det bound, below the trace bound; the pairwise
    bounds on both sides; mean and range over seeds. `thresholds` is not used.
    Source: arXiv 2509.20829, Theorem 3.4.
    """
    pattern = re.compile(r"noisy_zx_given_y_sigma(\d+)$")
    sigmas = sorted(match[1] for name in results.data_vars if (match := pattern.match(str(name))))
    if not sigmas:
        raise style.NotDrawableError("no noisy_zx_given_y_sigma... is in the results; measure noisy_channel")
    measured = lines.measured_steps(results, [f"noisy_zx_given_y_sigma{sigma}" for sigma in sigmas])
    if not np.any(measured["step"].values > 0):
        raise style.NotDrawableError("the noisy channel was measured at no step after 0")
    every = lines.split(measured, colour)
    groups = lines.evenly(every, MAX_ROWS)
    figure = style.new_figure(2.2 + 2.9 * len(sigmas), 1.2 + 2.3 * len(groups))
    grid = figure.subplots(len(groups), len(sigmas), squeeze=False, sharex=True, sharey=True)
    for number, (row, group) in enumerate(zip(grid, groups, strict=True)):
        for axes, sigma in zip(row, sigmas, strict=True):
            for name, (_, look) in LOOKS.items():
                variable = f"{name}_sigma{sigma}"
                if variable in group.runs:
                    _line(axes, group.runs, variable, look)
            if number == 0:
                axes.set_title(f"σ = {int(sigma) / 100:g}")
            style.step_axis(axes, results["step"].values)
            if number < len(groups) - 1:
                axes.set_xlabel("")
        row[0].set_ylabel(f"{group.title}\nnat")
    style.log_values(grid[0, 0])
    handles = [Line2D([], [], label=text, **look) for text, look in LOOKS.values() if text]
    place: dict[str, Any] = {"loc": "outside right upper", "alignment": "left", "handlelength": 2.4}
    lines.beside(figure, figure.legend(handles=handles, **place))
    note = notes.reading_note(results, groups) + "\nσ: noise relative to the largest feature norm. The estimate"
    note += " saturates at the log of the number of examples of a class; bounds do not."
    if len(groups) < len(every):
        note += f" {len(groups)} of {len(every)} {lines.kind(every)} shown."
    style.heading(figure, "Superfluous information between the bounds of Theorem 3.4", note)
    return figure


def _line(axes: Axes, runs: xr.Dataset, variable: str, look: dict[str, Any]) -> None:
    steps = runs["step"].values.astype(np.float64)
    values = np.maximum(np.atleast_2d(carried(runs, variable).values), FLOOR)
    mean, low, high = lines.mean_and_range(values, log=True)
    shown = steps > 0
    style.line(axes, steps[shown], mean[shown], gid=variable, **look)
    if len(values) > 1:
        axes.fill_between(
            steps[shown], low[shown], high[shown], color=look["color"], alpha=style.BAND_ALPHA, linewidth=0
        )
