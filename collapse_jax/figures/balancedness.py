"""Balancedness of neighbouring layers against its decay in theory."""

import dataclasses
import json
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.groups import DEFAULT_AXIS, until_the_first_retires
from collapse_jax.figures import notes, style
from collapse_jax.figures import series as lines
from collapse_jax.figures.bounds import logged

MAX_PAIRS = 4
# Deviations are reported while theory is above this: later, the terms of order eta^2 and rounding take over.
COMPARED = 0.1
NAMES = {"relu": "ReLU", "gelu": "GELU", "smooth_leaky_relu": "smooth leaky ReLU"}


class Law(NamedTuple):
    """What theory says of one pair of layers.

    Attributes:
      variable: the form of balancedness that decays.
      exact: whether it must follow (1 - eta lambda)^(2t) up to order eta^2.
      why: the form, or why there is no law, in words.
    """

    variable: str
    exact: bool
    why: str


def law(experiment: dict[str, Any], pair: int, pairs: int) -> Law:
    """The law for the layers `pair` and `pair + 1`, from the config as JSON has it ({} if it is not known)."""
    model, optimizer = experiment.get("model", {}), experiment.get("optimizer", {})
    linear = pair == pairs - 1 and model.get("last_layer_act") is False
    activation = "linear" if linear else str(model.get("activation", "unknown activation"))
    variable = "imbalance" if linear else "imbalance_neurons"
    form = "matrix, linear" if linear else f"per neuron, {NAMES.get(activation, activation)}"
    name = optimizer.get("name", "unknown optimizer")
    if name not in ("sgd", "gd") or optimizer.get("momentum", 0):
        return Law(variable, False, f"{form}, {name}{' with momentum' if optimizer.get('momentum') else ''}")
    return Law(variable, activation in ("linear", "relu"), form)


@style.styled
def balancedness(
    results: xr.Dataset, thresholds: Thresholds | None = None, *, colour: str = DEFAULT_AXIS
) -> Figure:
    """The imbalance of neighbouring layers over the step, and against its decay in theory.

    One column per pair of layers: the imbalance relative to its start over the step with the theory
    (1 - eta lambda)^(2t) dashed, and below it measured against theory, where the law is the diagonal. With a linear
    layer in between the whole matrix obeys the law, with ReLU its diagonal, under SGD and GD; in all other cases
    (AdamW, momentum, other activations) the figure says that it only describes. `thresholds` is not used.
    Source: arXiv 2410.04887; arXiv 2509.20829, Theorem 4.3.
    """
    if not {"imbalance", "imbalance_neurons"} <= results.keys() or "learning_rate" not in results.coords:
        raise style.NotDrawableError(
            "the measure balancedness (imbalance, imbalance_neurons) is not in the results"
        )
    if not np.any(results["step"].values > 0):
        raise style.NotDrawableError("no step after 0 is logged")
    experiment = json.loads(results.attrs.get("experiment", "{}"))
    pairs = results.sizes["layer_pair"]
    shown = list(range(pairs))[-MAX_PAIRS:]  # the last ones decide the collapse
    laws = {pair: law(experiment, pair, pairs) for pair in shown}
    groups = [
        dataclasses.replace(group, runs=group.runs.drop_vars("layer_pair", errors="ignore"))
        for group in lines.split(results, colour)
    ]
    figure = style.new_figure(1.6 + 3.5 * len(shown), 6.4)
    grid = figure.subplots(2, len(shown), squeeze=False, sharey=True)
    deviations = []
    for (upper, lower), pair in zip(grid.T, shown, strict=True):
        deviation = _column(upper, lower, groups, pair, laws[pair], results["step"].values)
        upper.set_title(f"Layers {pair + 1} and {pair + 2} ({laws[pair].why})", fontsize=9.5)
        if laws[pair].exact:
            deviations.append(deviation)
    grid[0, 0].set_ylabel("imbalance / imbalance at the start")
    grid[1, 0].set_ylabel("measured: imbalance / its start")
    handles = [
        Line2D([], [], color="#333333", label="measured"),
        Line2D([], [], color="#333333", linestyle=style.DASHED, linewidth=1.0, label="theory (1 − ηλ)²ᵗ"),
    ]
    grid[0, 0].legend(handles=handles, loc="lower left", handlelength=2.6)
    lines.legend(figure, list(grid.flat), groups)
    note = f"{notes.reading_note(results, groups, crosses=False)}{notes.shortened_note(results)}"
    note += "\nBelow: measured against theory, time runs to the right; on the grey diagonal they agree."
    style.heading(figure, "Balancedness of layers against theory", f"{note}\n{_verdict(laws, deviations)}")
    return figure


def relative(runs: xr.Dataset, variable: str, pair: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Imbalance of a series relative to its first logged step, and theory.

    Args:
      runs: dims ("run", ..., "step") of runs that share their hyperparameters.
      variable: name of the form.
      pair: the layer pair.

    Returns:
      steps [T], measured [runs, T] and theory [T] = (1 - eta lambda)^(2 (t - t_0)).
    """
    values = np.atleast_2d(runs[variable].isel(layer_pair=pair).values).astype(np.float64)
    steps = runs["step"].values
    eta, decay = (float(np.atleast_1d(runs[k].values)[0]) for k in ("learning_rate", "weight_decay"))
    with np.errstate(divide="ignore"):
        theory = np.exp(2.0 * (steps - steps[0]) * np.log(np.abs(1.0 - eta * decay)))
    return steps, values / np.where(values[:, :1] > 0, values[:, :1], np.nan), theory


def deviation(measured: np.ndarray, theory: np.ndarray, least: float = COMPARED) -> float:
    """Largest |measured / theory - 1| where theory is at least `least`; nan if nothing is measured there."""
    ratios = np.abs(measured[:, theory >= least] / theory[None, theory >= least] - 1)
    return float(np.nanmax(ratios)) if np.isfinite(ratios).any() else np.nan


def _column(
    upper: Axes, lower: Axes, groups: list[lines.Series], pair: int, rule: Law, schedule: np.ndarray
) -> float:
    """Draws one pair of layers; returns its largest deviation from theory."""
    largest, least, theory_least = 0.0, 1.0, 1.0
    # Where the law holds all weight decays share one line: the shortest is drawn last.
    for order, group in enumerate(groups):
        group = logged(dataclasses.replace(group, runs=until_the_first_retires(group.runs)), rule.variable)
        if not group.runs.sizes["step"]:
            continue
        steps, measured, theory = relative(group.runs, rule.variable, pair)
        drawn = dataclasses.replace(
            group, runs=group.runs.drop_dims("layer_pair").assign(relative=(("run", "step"), measured))
        )
        lines.draw(upper, drawn, "relative", log=True)
        after = steps > 0
        upper.plot(
            steps[after], theory[after], color=group.colour, linestyle=style.DASHED, linewidth=1.0, gid="theory"
        )
        mean, low, high = lines.mean_and_range(measured, log=True)
        style.line(lower, theory, mean, color=group.colour, gid="measured", zorder=3 - order / len(groups))
        lower.fill_between(theory, low, high, color=group.colour, alpha=style.BAND_ALPHA, linewidth=0)
        found = deviation(measured, theory)
        largest = max(largest, found if np.isfinite(found) else 0.0)
        finite = mean[np.isfinite(mean)]
        least = min(least, finite.min(initial=1.0))
        theory_least = min(theory_least, theory[theory > 0].min(initial=1.0))
    style.step_axis(upper, schedule)
    floor = max(min(least, theory_least), least / 30, 1e-12)
    for axes in (upper, lower):
        axes.set_yscale("log")
        axes.set_ylim(floor / 2, 3)
    lower.plot([floor / 2, 3], [floor / 2, 3], color=style.GREY, linewidth=0.9, zorder=1)
    lower.set_xscale("log")
    lower.set_xlim(3, max(floor, theory_least) / 2)
    lower.set_xlabel("theory: (1 − ηλ)²ᵗ")
    return largest


def _verdict(laws: dict[int, Law], deviations: list[float]) -> str:
    if not any(rule.exact for rule in laws.values()):
        return (
            "Descriptive: no conservation law holds for this optimizer or activation; "
            "the dashed lines are what decay alone would do to balanced layers under SGD."
        )
    found = ", ".join(f"{100 * value:.2g} %" for value in deviations)
    text = (
        f"Largest relative deviation of a run while theory is above {COMPARED:g}, left to right: {found}. "
        "Theory leaves out terms of order η², which take over in the end."
    )
    if not all(rule.exact for rule in laws.values()):
        text += " Other activations: descriptive."
    return text
