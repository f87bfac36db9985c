"""Where attention overfits, harmfully or not, over the dimension and the norm of the signal."""

import json
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import points_of, varying
from collapse_jax.analysis.quantities import quantity
from collapse_jax.figures import heatmap, style
from collapse_jax.figures.series import progress_note

ACROSS, UP = "signal_norm", "dimension"
SHOWN = ("train_loss", "test_loss", "noisy_accuracy", "test_accuracy")
ORDERS = ("harmful", "no_overfitting")
TITLES = ("Train loss", "Test loss", "Train accuracy, wrong labels", "Test accuracy")
LOOKS: tuple[dict[str, Any], ...] = ({"color": "#d1495b"}, {"color": "#d1495b", "linestyle": "--"})


@style.styled
def selection_map(results: xr.Dataset, thresholds: Thresholds | None = None) -> Figure:
    """Losses and accuracies at the end over norm of the signal and dimension, with the orders of the theory.

    With the signal-to-noise ratio SNR = |mu| / sqrt(d), overfitting is harmful below the order d^(-1/4), and there
    is none above the order n^(-1/2) (arXiv 2409.17625; the theory leaves the constants open, the lines have 1). Of
    the seeds, and of whatever else varies, a cell has the mean. `thresholds` is not used.
    """
    points = points_of(results)
    names = [name for name in SHOWN if name in results]
    if not {ACROSS, UP} <= set(varying(points)) or "train_loss" not in names:
        raise style.NotDrawableError("the losses are not known over more than one dimension and norm of the signal")
    size = int(json.loads(results.attrs["experiment"])["task"]["train_size"])
    figure = style.new_figure(10.4, 2.0 + 3.3 * -(-len(names) // 2))
    for axes, name in zip(style.panels(figure, len(names), 2), names, strict=True):
        shown = quantity(results, name)
        norm = heatmap.colour_norm(shown, log=False)
        heatmap.draw(axes, points, ACROSS, UP, shown, norm)
        axes.set_title(TITLES[SHOWN.index(name)])
        draw_orders(axes, points, size)
        bar = figure.colorbar(axes.collections[0], ax=axes, pad=0.02, aspect=25)
        bar.outline.set_visible(False)
    labels = ("SNR = d$^{-1/4}$: below, harmful", f"SNR = n$^{{-1/2}}$, n = {size}: above, no overfitting")
    handles = [Line2D([], [], label=text, **look) for look, text in zip(LOOKS, labels, strict=True)]
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    note = (
        "Mean of the runs of a cell. SNR = ‖μ‖ / √d; the lines are orders of the theory, whose constants are open. "
    )
    style.heading(figure, "Harmful, benign and no overfitting", (note + progress_note(results)).strip())
    return figure


def draw_orders(axes: Axes, points: list[dict], size: int) -> None:
    """Draw |mu| = d^(1/4) and |mu| = sqrt(d / n) over the cells of a plane, whose axes count cells."""
    across, up = (np.array(heatmap.ordered([point[name] for point in points]), float) for name in (ACROSS, UP))
    rows = np.arange(len(up)) + 0.5
    for name, norms, look in zip(ORDERS, (up**0.25, np.sqrt(up / size)), LOOKS, strict=True):
        columns = np.interp(norms, across, np.arange(len(across)) + 0.5, left=np.nan, right=np.nan)
        axes.plot(columns, rows, gid=name, **look)
