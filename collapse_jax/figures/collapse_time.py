"""Within-class variance and test accuracy against the step and against scaled time."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds, scaled_time, thresholds_of
from collapse_jax.analysis.groups import DEFAULT_AXIS
from collapse_jax.figures import marks, notes, style
from collapse_jax.figures import series as lines

# Variable -> title, and whether its axis is logarithmic.
PANELS = {"rnc1": ("Within-class variance", True), "test_accuracy": ("Test accuracy", False)}


@style.styled
def collapse_time(
    results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS
) -> Figure:
    """RNC1 and test accuracy over the step, and over the scaled time, on which weight decays share one curve.

    Left column over the step t, right column over the scaled time η·λ·t, in units of the weight-decay time
    (arXiv 2509.20829, Theorem 4.3 has tau_collapse proportional to 1/(η·λ)). Runs without weight decay have
    no scaled time and are left out.
    """
    thresholds = thresholds_of(results, thresholds)
    names = [v for v in PANELS if v in results]
    if not names:
        raise style.NotDrawableError(f"none of {', '.join(PANELS)} is in the results")
    try:
        results = scaled_time(results)
    except ValueError as error:
        raise style.NotDrawableError(str(error)) from None
    every = lines.split(results, colour)
    groups = [g for g in every if np.max(_clock(g)) > 0]
    if not groups:
        raise style.NotDrawableError("no run with weight decay has a logged step after 0")
    figure = style.new_figure(9.4, 1.2 + 2.7 * len(names))
    grid = figure.subplots(len(names), 2, squeeze=False, sharey="row", sharex="col")
    steps = results["step"].values
    first = steps[steps > 0].min()
    for row, name in zip(grid, names, strict=True):
        title, log = PANELS[name]
        for group in groups:
            lines.draw(row[0], group, name, log=log)
            lines.draw(row[1], group, name, log=log, x=_clock(group))
        for axes in row:
            marks.thresholds_on(axes, name, thresholds)
            if log:
                style.log_values(axes)
            else:
                axes.set_ylim(-0.02, 1.03)
        row[0].set_ylabel(style.label(results, name))
        row[0].set_title(f"{title} against the step t")
        row[1].set_title(f"{title} against η·λ·t")
        row[1].axvline(1.0, color=style.GREY, linewidth=0.9, linestyle=style.DASHED)
    ends = [_clock(group) for group in groups]
    style.step_axis(grid[0, 0], steps, min(float(first), 1.0))
    grid[0, 0].set_xlabel("")
    grid[-1, 0].set_xlabel("training step t")
    grid[0, 1].set_xscale("log")
    # From where the fastest clock has ticked once: further left only the slow ones have points.
    left = max(float(e[e > 0].min()) for e in ends)
    grid[0, 1].set_xlim(min(left, 0.1), max(float(e.max()) for e in ends))
    grid[-1, 1].set_xlabel("scaled time η·λ·t (learning rate · weight decay · step)")
    lines.legend(figure, list(grid.flat), groups)
    note = notes.reading_note(results, groups)
    note += (
        "\nIf weight decay sets the clock, the curves on the right coincide. Dotted: threshold. "
        "Dashed: η·λ·t = 1, in which decay alone shrinks a weight by the factor e."
    )
    if len(groups) < len(every):
        note += " Runs without weight decay have no scaled time and are left out."
    style.heading(figure, "Collapse in steps (left) and in weight-decay time (right)", note)
    return figure


def _clock(group: lines.Series) -> np.ndarray:
    """[T] the scaled time, which is the same for all seeds."""
    return group.runs["scaled_time"].transpose("run", "step").values[0]
