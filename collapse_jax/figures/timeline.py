"""One run from the first step to the last, with the moments of fitting, grokking and collapse."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis import timescales as measure
from collapse_jax.analysis.summary import point_text
from collapse_jax.analysis.timescales import PHASES, condition
from collapse_jax.figures import style
from collapse_jax.figures.series import progress_note, run_dimensions

INK = "#222222"
WORDS = {"fit": "fitted", "grok": "grokked", "collapse": "collapsed"}


@style.styled
def timeline(
    results: xr.Dataset, thresholds: Thresholds | None = None, run: dict[str, Any] | None = None
) -> Figure:
    """What happens when, in one run: accuracy, collapse and weight norm over one log-step axis.

    Args:
      results: of a product or zip grid.
      thresholds: the levels that mark the three moments.
      run: hyperparameters that select the run, such as {"weight_decay": 0.01, "seed": 0}. Of all runs
        selected, the one with the widest separation tau_grok / tau_fit that was observed to its end is
        drawn; if none was, the one with the longest lower bound, else the first.
    """
    thresholds = thresholds or Thresholds()
    one = pick(results, thresholds, run or {})
    panels = [
        (names, log)
        for names, log in (
            (("train_accuracy", "test_accuracy"), False),
            (("rnc1",), True),
            (("nc2_condition",), True),
            (("weight_norm",), True),
        )
        if any(name in one for name in names)
    ]
    if not panels:
        raise style.NotDrawableError("no accuracy, rnc1, nc2_condition or weight_norm is in the results")
    taus = measure(one, thresholds)
    steps = one["step"].values
    figure = style.new_figure(7.6, 1.9 + 1.65 * len(panels))
    ratios = [0.62] + [1.5 if "test_accuracy" in names else 1.0 for names, _ in panels]
    rows = figure.subplots(len(ratios), 1, sharex=True, gridspec_kw={"height_ratios": ratios})
    for axes, (names, log) in zip(rows[1:], panels, strict=True):
        _panel(axes, one, [n for n in names if n in one], log, thresholds)
    style.step_axis(rows[-1], steps)
    _marks(rows[0], list(rows[1:]), taus, thresholds, float(steps.max()))
    point = {k: one[k].item() for k in ("weight_decay", "learning_rate", "init_scale", "seed") if k in one.coords}
    style.heading(figure, f"One run: {point_text(point)}", _note(one, taus))
    return figure


def pick(results: xr.Dataset, thresholds: Thresholds, run: dict[str, Any]) -> xr.Dataset:
    """The selected run, with dims ("step",); see `timeline` for which one is taken of several."""
    dims = run_dimensions(results)
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
    if "separation" in taus:
        width = taus["separation"].transpose(*dims).values
        ended = allowed & ~taus["separation_censored"].transpose(*dims).values & np.isfinite(width)
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
        axes.plot(steps[shown], values[shown], color=INK, label=name.split("_")[0], gid=name, **style_of)
        if hasattr(thresholds, name):
            axes.axhline(getattr(thresholds, name), color=style.GREY, linewidth=0.8, linestyle=":")
    if log:
        style.log_values(axes)
        axes.set_title(style.label(run, names[0]), fontsize=9.5, weight="normal")
    else:
        axes.set_ylim(-0.03, 1.06)
        axes.set_title("accuracy", fontsize=9.5, weight="normal")
        axes.legend(loc="center left", handlelength=2.6)


def _marks(strip: Axes, panels: list[Axes], taus: xr.Dataset, thresholds: Thresholds, end: float) -> None:
    """Vertical lines through all panels; their names in a strip above, one row each, so that none collide."""
    strip.set_axis_off()
    strip.set_ylim(-2.7, 0.5)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    found = [(p, float(taus[f"tau_{p}"]), bool(taus[f"{p}_censored"])) for p in PHASES if f"tau_{p}" in taus]
    # Top to bottom: what was not reached, what is written to the right of its mark, then to the left from the
    # latest to the earliest: so hardly any text lies across the mark of another row.
    middle = end**0.5
    found.sort(key=lambda f: (not f[2], f[1] > middle, -f[1] if f[1] > middle else f[1]))
    for row, (phase, tau, censored) in enumerate(found):
        colour, height = style.PHASE_COLOURS[phase], -float(row)
        words = condition(phase, thresholds)
        if censored or not tau > 0:
            bound = f" within {tau:,.0f} steps" if np.isfinite(tau) else ""
            text = (
                f"not {WORDS[phase]}{bound} ({words})" if censored else f"{WORDS[phase]} from the start ({words})"
            )
            strip.text(end, height, text, color=colour, ha="right", va="center", bbox=box)
            continue
        for axes in panels:
            axes.axvline(tau, color=colour, linewidth=1.1, gid=f"tau_{phase}")
        strip.add_artist(
            ConnectionPatch(
                (tau, height),
                (tau, 1.0),
                strip.transData,
                panels[0].get_xaxis_transform(),
                color=colour,
                linewidth=1.1,
                zorder=1,
                in_layout=False,
            )
        )
        strip.plot(tau, height, marker=style.PHASE_MARKERS[phase], color=colour, markersize=5.5, zorder=4)
        left = tau > middle
        strip.annotate(
            f"{WORDS[phase]} at step {tau:,.0f} ({words})",
            (tau, height),
            xytext=(-8 if left else 8, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            color=colour,
            bbox=box,
        )


def _note(run: xr.Dataset, taus: xr.Dataset) -> str:
    parts = []
    if "separation" in taus and np.isfinite(taus["separation"]):
        more = "more than " if bool(taus["separation_censored"]) else ""
        parts.append(f"Grokking came {more}{float(taus['separation']):,.3g} times later than fitting.")
    if "diverged_at" in run and int(run["diverged_at"]) >= 0:
        parts.append(f"The run diverged at step {int(run['diverged_at']):,}.")
    elif unfinished := progress_note(run):
        parts.append(unfinished)
    return " ".join([*parts, "Dotted: thresholds."])
