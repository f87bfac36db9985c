"""How compressible the weights are: over the steps, and against the distortion that is allowed."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS, at_the_end, carried
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines

MEASURE = "the measure complexity"


class Panel(NamedTuple):
    """What one panel shows: variables, solid, dashed and dotted, under a title."""

    title: str
    ylabel: str
    shown: tuple[str, ...]


PANELS = (
    Panel("Accuracy: test, train dashed", "accuracy", ("test_accuracy", "train_accuracy")),
    Panel("Complexity; by quantisation alone dashed", "complexity [byte]", ("complexity", "quantised_complexity")),
    Panel("Description length", "description length [byte]", ("description_length",)),
    Panel("Generalisation bound", "bound on the gap", ("complexity_gap",)),
    Panel("Effective rank, mean over matrices", "effective rank", ("weight_effective_rank_mean",)),
    Panel("Naive size: bzip2, not quantised", "size [byte]", ("naive_size",)),
)
LINESTYLES = ("-", "--")


@style.styled
def complexity(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    *,
    colour: str = DEFAULT_AXIS,
    distortion: float = 1.0,
) -> Figure:
    """Accuracy, complexity and what follows from it over the log step, at one distortion.

    One colour per weight decay (or value of `colour`); panels as far as the results hold them. `distortion`: of
    those that were measured the nearest on a logarithmic axis. `thresholds` is not used. Source: arXiv 2412.09810,
    Figures 1 to 3 and 6 to 11.
    """
    _measured(results)  # accuracies are known at more steps
    nearest = int(np.abs(np.log(results["distortion"].values / distortion)).argmin())
    allowed = results["distortion"].values[nearest]
    results = results.isel(distortion=nearest)
    panels = [panel for panel in PANELS if any(name in results for name in panel.shown)]
    columns = min(3, len(panels))
    figure = style.new_figure(1.2 + 3.6 * columns, 1.3 + 2.6 * -(-len(panels) // columns))
    grid = style.panels(figure, len(panels), columns, sharex=True)
    groups = lines.split(results, colour)
    for axes, panel in zip(grid, panels, strict=True):
        for name, look in zip(panel.shown, LINESTYLES, strict=False):
            for group in groups if name in results else ():
                lines.draw(axes, group, name, linestyle=look, alpha=1.0 if look == "-" else 0.6)
        axes.set_title(panel.title, fontsize=9.5)
        axes.set_ylabel(panel.ylabel)
        style.from_zero(axes)
        style.step_axis(axes, results["step"].values)
    lines.legend(figure, grid, groups)
    note = f"Smallest description found whose train loss differs by less than {allowed:g}. "
    style.heading(figure, "Complexity of the weights", note + notes.reading_note(results, groups, False))
    return figure


@style.styled
def rate_distortion(
    results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS
) -> Figure:
    """Complexity against the allowed distortion at the last measured step, and over the steps for each distortion.

    Left: mean over seeds with a fit y = a ln d + b by least squares per series, and its R^2. Right: one panel's
    lines per distortion, of the first series. `thresholds` is not used. Source: arXiv 2412.09810, Figures 4 and 5.
    """
    results = _measured(results)
    if results.sizes["distortion"] < 3:
        raise style.NotDrawableError("complexity was measured at fewer than three distortions")
    figure = style.new_figure(9.4, 4.2)
    left, right = figure.subplots(1, 2)
    groups = lines.split(results, colour)
    for group in groups:
        _rates(left, group)
    left.set_xscale("log")
    left.set_xlabel("allowed distortion of the train loss")
    left.set_ylabel(style.label(results, "complexity"))
    style.from_zero(left)
    left.set_title(f"Rate and distortion at step {int(results['step'].values[-1]):,}", fontsize=9.5)
    left.legend(fontsize=7.5)
    first, distortions = groups[-1], results["distortion"].values
    shades = style.colormap()(np.linspace(0, 1, len(distortions)))
    steps = results["step"].values
    for number in np.argsort(distortions):
        rate = carried(first.runs, "complexity").isel(distortion=number).transpose("run", "step").values
        mean = lines.mean_and_range(rate, False)[0]
        look = {"color": shades[number], "label": f"{distortions[number]:g}"}
        style.line(right, steps, mean, gid="complexity_over_steps", **look)
    style.step_axis(right, steps)
    style.from_zero(right)
    right.set_ylabel(style.label(results, "complexity"))
    right.set_title(f"Over the steps{', ' + first.title if first.point else ''}", fontsize=9.5)
    right.legend(title="distortion", fontsize=7.5)
    style.heading(figure, "Rate and distortion", notes.reading_note(results, groups, False))
    return figure


def _measured(results: xr.Dataset) -> xr.Dataset:
    """The results at the steps of which the complexity is known."""
    if "complexity" not in results:
        raise style.NotDrawableError(f"{MEASURE} is not in the results")
    return lines.measured_steps(results, ["complexity"])


def _rates(axes: Axes, group: lines.Series) -> None:
    last = at_the_end(group.runs)["complexity"].transpose("run", "distortion")
    distortions = last["distortion"].values.astype(np.float64)
    mean, low, high = lines.mean_and_range(last.values, False)
    axes.errorbar(
        distortions,
        mean,
        (mean - low, high - mean),
        marker="o",
        markersize=4,
        linestyle="none",
        color=group.colour,
        gid="complexity",
    )
    a, b, share = log_fit(distortions, mean)
    where = np.geomspace(distortions.min(), distortions.max(), 50)
    text = f"{group.title + ': ' if group.point else ''}{a:.3g} ln d + {b:.3g}, R² {share:.3f}"
    axes.plot(where, a * np.log(where) + b, color=group.colour, linewidth=1, alpha=0.7, label=text)


def log_fit(distortions: np.ndarray, rates: np.ndarray) -> tuple[float, float, float]:
    """Fit y = a ln d + b by least squares: a, b and R^2 (nan where all rates are equal)."""
    a, b = np.polyfit(np.log(distortions), rates, 1)
    rest, spread = np.sum((rates - a * np.log(distortions) - b) ** 2), np.sum((rates - rates.mean()) ** 2)
    return float(a), float(b), float(1 - rest / spread) if spread > 0 else float("nan")
