"""Collapse and nearest-centre accuracy of every hidden layer against the step."""

import xarray as xr
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines

# Variable -> label, and whether its axis is logarithmic.
ROWS = {
    "layer_rnc1": ("RNC1, train", True),
    "layer_centre_accuracy_test": ("nearest-centre accuracy, test", False),
    "layer_nhsic_zy": ("nHSIC(Z;Y)", False),
}
MAX_LAYERS = 6


@style.styled
def layers(results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS) -> Figure:
    """Collapse and nearest-centre accuracy, layer by layer, over the log step.

    One column per hidden layer (some of them, evenly, if there are many), one colour per weight decay (or value of
    `colour`): RNC1, the share of test examples whose nearest class centre is that of their class, and nHSIC(Z;Y),
    as far as the measure `layerwise` took them. `thresholds` is not used. Source: arXiv 2202.09028.
    """
    names = [name for name in ROWS if name in results]
    if not names:
        raise style.NotDrawableError("the measure layerwise (layer_rnc1) is not in the results")
    results = lines.measured_steps(results, names)
    shown = lines.evenly(list(range(results.sizes["layer"])), MAX_LAYERS)
    figure = style.new_figure(1.6 + 2.6 * len(shown), 1.2 + 2.2 * len(names))
    grid = figure.subplots(len(names), len(shown), squeeze=False, sharex=True, sharey="row")
    for layer, column in zip(shown, grid.T, strict=True):
        groups = lines.split(results.isel(layer=layer), colour)
        column[0].set_title(f"Hidden layer {layer + 1}")
        for axes, name in zip(column, names, strict=True):
            log = ROWS[name][1]
            for group in groups:
                lines.draw(axes, group, name, log=log)
            if log:
                style.log_values(axes)
            style.step_axis(axes, results["step"].values)
            axes.set_xlabel("training step" if axes is column[-1] else "")
    for row, name in zip(grid, names, strict=True):
        row[0].set_ylabel(ROWS[name][0])
    lines.legend(figure, list(grid.ravel()), groups)
    note = notes.reading_note(results, groups) + " The last hidden layer holds the features."
    style.heading(figure, "Collapse, layer by layer", note)
    return figure
