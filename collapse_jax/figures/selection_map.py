"""Where attention overfits, harmfully or not, over the norm of the signal and what stands against it."""

import json
from collections.abc import Sequence
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
from collapse_jax.figures.notes import progress_note

ACROSS, DIMENSION = "signal_norm", "dimension"
UPWARDS = (DIMENSION, "weight_decay", "flip_rate")
SHOWN = ("train_loss", "test_loss", "noisy_accuracy", "test_accuracy")
MOST_WRITTEN = 8  # columns whose numbers fit the width of a panel
ORDERS = ("harmful", "no_overfitting")
TITLES = ("Train loss", "Test loss", "Train accuracy, wrong labels", "Test accuracy")
LOOKS: tuple[dict[str, Any], ...] = ({"color": "#d1495b"}, {"color": "#d1495b", "linestyle": "--"})


@style.styled
def selection_map(results: xr.Dataset, thresholds: Thresholds | None = None) -> Figure:
    """Losses and accuracies at the end over norm of the signal and dimension, weight decay or flip rate.

    Over the dimension with the orders of the theory: with the signal-to-noise ratio SNR = |mu| / sqrt(d),
    overfitting is harmful below the order d^(-1/4), and there is none above the order n^(-1/2) (arXiv 2409.17625;
    the theory leaves the constants open, the lines have 1). Of the seeds, and of whatever else varies, a cell has
    the mean. `thresholds` is not used.
    """
    points = points_of(results)
    names, axes_left = [name for name in SHOWN if name in results], varying(points)
    upwards = [name for name in UPWARDS if name in axes_left]
    if ACROSS not in axes_left or not upwards or "train_loss" not in names:
        known = f"the losses are not known over {ACROSS} and any of {', '.join(UPWARDS)}"
        raise style.NotDrawableError(f"{known}, each with more than one value")
    up, *_ = upwards
    figure = style.new_figure(10.4, 2.0 + 3.3 * -(-len(names) // 2))
    panels = style.panels(figure, len(names), 2)
    for axes, name in zip(panels, names, strict=True):
        shown = quantity(results, name)
        norm = heatmap.colour_norm(shown, log=False)
        heatmap.draw(axes, points, ACROSS, up, shown, norm, MOST_WRITTEN)
        axes.set_title(TITLES[SHOWN.index(name)])
        bar = figure.colorbar(axes.collections[0], ax=axes, pad=0.02, aspect=25)
        bar.outline.set_visible(False)
    note = "Mean of the runs of a cell. "
    if up == DIMENSION:
        note += _orders(figure, panels, points, int(json.loads(results.attrs["experiment"])["task"]["train_size"]))
    style.heading(figure, "Harmful, benign and no overfitting", (note + progress_note(results)).strip())
    return figure


def _orders(figure: Figure, panels: Sequence[Axes], points: list[dict], size: int) -> str:
    """Draw the orders of the theory over all panels, name them, and return what the note says of them."""
    for axes in panels:
        draw_orders(axes, points, size)
    labels = ("SNR = d$^{-1/4}$: below, harmful", f"SNR = n$^{{-1/2}}$, n = {size}: above, no overfitting")
    handles = [Line2D([], [], label=text, **look) for look, text in zip(LOOKS, labels, strict=True)]
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    return "SNR = ‖μ‖ / √d; the lines are orders of the theory, whose constants are open. "


def draw_orders(axes: Axes, points: list[dict], size: int) -> None:
    """Draw |mu| = d^(1/4) and |mu| = sqrt(d / n) over the cells of a plane, whose axes count cells."""
    across, up = (
        np.array(heatmap.ordered([point[name] for point in points]), float) for name in (ACROSS, DIMENSION)
    )
    rows = np.arange(len(up)) + 0.5
    for name, norms, look in zip(ORDERS, (up**0.25, np.sqrt(up / size)), LOOKS, strict=True):
        columns = np.interp(norms, across, np.arange(len(across)) + 0.5, left=np.nan, right=np.nan)
        axes.plot(columns, rows, gid=name, **look)
