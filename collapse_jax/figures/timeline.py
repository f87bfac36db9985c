"""One run from the first step to the last, with the moments of its events."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from collapse_jax.analysis import EVENTS, Thresholds, thresholds_of
from collapse_jax.analysis import timescales as measure
from collapse_jax.analysis.events import DELAY
from collapse_jax.analysis.groups import run_dims
from collapse_jax.experiment.axes import TRACED
from collapse_jax.experiment.points import point_text
from collapse_jax.figures import marks, style
from collapse_jax.figures.notes import progress_note

INK = "#222222"
# Variables that share a panel, and whether it is logarithmic; those of further events follow.
PANELS = (
    (("train_accuracy", "test_accuracy"), False),
    (("rnc1",), True),
    (("nc2_condition",), True),
    (("weight_norm",), True),
)


@style.styled
def timeline(
    results: xr.Dataset, thresholds: Thresholds | None = None, run: dict[str, Any] | None = None
) -> Figure:
    """What happens when, in one run: accuracy, collapse and weight norm over one log-step axis.

    Args:
      results: of a product or zip grid.
      thresholds: of its events; None: the results' own.
      run: hyperparameters that select the run, such as {"weight_decay": 0.01, "seed": 0}. Of all runs
        selected, the one with the widest separation tau_grok / tau_fit that was observed to its end is
        drawn; if none was, the one with the longest lower bound, else the first.
    """
    thresholds = thresholds_of(results, thresholds)
    one = pick(results, thresholds, run or {})
    known = {name for names, _ in PANELS for name in names}
    further = {e.variable: ((e.variable,), e.log) for e in EVENTS.values() if e.variable not in known}
    panels = [(names, log) for names, log in (*PANELS, *further.values()) if any(name in one for name in names)]
    if not panels:
        raise style.NotDrawableError("no accuracy, rnc1, nc2_condition or weight_norm is in the results")
    taus = measure(one, thresholds)
    steps = one["step"].values
    figure = style.new_figure(7.6, 1.9 + 1.65 * len(panels))
    ratios = [0.62 * marks.strip_rows(taus) / 3] + [1.5 if "test_accuracy" in names else 1.0 for names, _ in panels]
    rows = figure.subplots(len(ratios), 1, sharex=True, gridspec_kw={"height_ratios": ratios})
    for axes, (names, log) in zip(rows[1:], panels, strict=True):
        _panel(axes, one, [n for n in names if n in one], log, thresholds)
    style.step_axis(rows[-1], steps)
    marks.name_moments(rows[0], list(rows[1:]), taus, thresholds, float(steps.max()))
    point = {name: one[name].item() for name in TRACED if name in one.coords}
    style.heading(figure, f"One run: {point_text(point)}", _note(one, taus))
    return figure


def pick(results: xr.Dataset, thresholds: Thresholds, run: dict[str, Any]) -> xr.Dataset:
    """The selected run, with dims ("step",); see `timeline` for which one is taken of several."""
    dims = run_dims(results)
    shape = tuple(results.sizes[d] for d in dims)
    allowed = np.ones(shape, bool)
    frame = xr.DataArray(allowed, dims=dims)
    for name, value in run.items():
        if name not in results.coords:
            raise style.NotDrawableError(f"run selection: {name!r} is not a coordinate of the results")
        # Stored as float32 or float64: equal up to rounding.
        match = np.isclose(results[name], value, rtol=1e-5, atol=0)
        allowed &= xr.DataArray(match, dims=results[name].dims).broadcast_like(frame).transpose(*dims).values
    if not allowed.any():
        raise style.NotDrawableError(f"run selection: no run has {run}")
    taus = measure(results, thresholds)
    if DELAY.name in taus:
        width = taus[DELAY.name].transpose(*dims).values
        ended = allowed & ~taus[f"{DELAY.name}_censored"].transpose(*dims).values & np.isfinite(width)
        candidates = ended if ended.any() else allowed & np.isfinite(width)
        if candidates.any():
            allowed = candidates
            index = np.unravel_index(np.where(allowed, width, -np.inf).argmax(), shape)
            return results.isel({d: int(i) for d, i in zip(dims, index, strict=True)})
    index = np.unravel_index(allowed.argmax(), shape)
    return results.isel({d: int(i) for d, i in zip(dims, index, strict=True)})


def _panel(axes: Axes, run: xr.Dataset, names: list[str], log: bool, thresholds: Thresholds) -> None:
    steps = run["step"].values
    for name in names:
        values = run[name].values.astype(np.float64)
        shown = (steps > 0) & np.isfinite(values) & ((values > 0) | (not log))
        train = name == "train_accuracy"
        style_of: dict[str, Any] = {"linestyle": "--" if train else "-", "alpha": 0.75 if train else 1.0}
        style.line(axes, steps[shown], values[shown], color=INK, label=name.split("_")[0], gid=name, **style_of)
        marks.thresholds_on(axes, name, thresholds, 0.8)
    if log:
        style.log_values(axes)
        axes.set_title(style.label(run, names[0]), fontsize=9.5, weight="normal")
    elif not names[0].endswith("accuracy"):
        axes.set_title(style.label(run, names[0]), fontsize=9.5, weight="normal")
    else:
        axes.set_ylim(-0.03, 1.06)
        axes.set_title("accuracy", fontsize=9.5, weight="normal")
        axes.legend(loc="center left", handlelength=2.6)


def _note(run: xr.Dataset, taus: xr.Dataset) -> str:
    parts = []
    if DELAY.name in taus and np.isfinite(taus[DELAY.name]):
        parts.append(f"{DELAY.text(float(taus[DELAY.name]), bool(taus[f'{DELAY.name}_censored']))}.")
    if "diverged_at" in run and int(run["diverged_at"]) >= 0:
        parts.append(f"The run diverged at step {int(run['diverged_at']):,}.")
    elif "retired_at" in run and int(run["retired_at"]) >= 0:
        parts.append(f"The stop rule ended the run at step {int(run['retired_at']):,}.")
    elif unfinished := progress_note(run):
        parts.append(unfinished)
    return " ".join([*parts, "Dotted: thresholds."])
