"""Accuracy on both sets against the step: settings, or the programs of the static axes, laid over each other."""

import dataclasses
from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds, thresholds_of
from collapse_jax.analysis.groups import DEFAULT_AXIS
from collapse_jax.experiment.points import symbols_text
from collapse_jax.figures import marks, notes, style
from collapse_jax.figures import series as lines
from collapse_jax.workdir.join import all_points, select_part

TITLES = {"train_accuracy": "Training set", "test_accuracy": "Test set"}
MAX_ROWS = 6


@style.styled
def accuracy(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """Training and test accuracy over the log step: mean over seeds, and band from the lowest to the highest.

    One colour per weight decay (or value of `colour`). Of results with static axes one colour per program, and one
    row for each of the first `MAX_ROWS` settings of the other axes. Dotted: the `thresholds` of the events.
    Source: arXiv 2408.08944, Figures 1 and 6 to 9.
    """
    thresholds = thresholds_of(results, thresholds)
    names = [name for name in TITLES if name in results]
    if not names:
        raise style.NotDrawableError(f"none of {', '.join(TITLES)} is in the results")
    rows = _programs(results, colour) or {"": lines.split(results, colour)}
    shown = dict(list(rows.items())[:MAX_ROWS])
    figure = style.new_figure(1.6 + 3.7 * len(names), 1.4 + 2.5 * len(shown))
    grid = figure.subplots(len(shown), len(names), squeeze=False, sharex=True, sharey=True)
    for row, (label, groups) in zip(grid, shown.items(), strict=True):
        for axes, name in zip(row, names, strict=True):
            for group in groups:
                lines.draw(axes, group, name)
            marks.thresholds_on(axes, name, thresholds)
            style.step_axis(axes, results["step"].values)
            axes.set_xlabel(axes.get_xlabel() if axes in grid[-1] else "")
            axes.set_title(TITLES[name] if axes in grid[0] else "")
        row[0].set_ylabel(f"{label}\naccuracy" if label else "accuracy")
    grid[0][0].set_ylim(-0.02, 1.03)
    every = [group for groups in shown.values() for group in groups]
    lines.legend(figure, list(grid.ravel()), max(shown.values(), key=len))
    note = notes.reading_note(results, every, False)
    left_out = len(rows) - len(shown)
    style.heading(figure, "Accuracy", f"{note} {left_out} further settings are not shown." if left_out else note)
    return figure


def _programs(results: xr.Dataset, colour: str) -> Mapping[str, list[lines.Series]]:
    """Series of every setting of the traced axes, one for each program of the static axes that has begun."""
    rows: dict[str, list[lines.Series]] = {}
    for point in all_points(results):
        part = select_part(results, point)
        if len(part.data_vars) > 1:
            for group in lines.split(part.drop_vars(point), colour):
                rows.setdefault(symbols_text(group.point), []).append(dataclasses.replace(group, point=point))
    return {label: lines.coloured(groups, colour) for label, groups in rows.items()}
