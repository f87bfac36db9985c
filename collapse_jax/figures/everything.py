"""Every stored measure of one setting on one time axis, in the order in which they move."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds, thresholds_of, timescales
from collapse_jax.analysis.events import events_of
from collapse_jax.analysis.groups import DEFAULT_AXIS, carried
from collapse_jax.analysis.order import Move, order
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.points import point_text
from collapse_jax.figures import series as lines
from collapse_jax.figures import style

# What is drawn of a sweep, one or two of each family, and whether as its logarithm.
SHOWN = {
    "train_accuracy": False,
    "test_accuracy": False,
    "test_loss": True,
    "weight_norm": False,
    "rnc1": True,
    "nc1": True,
    "nc2_condition": True,
    "nc3_self_duality": False,
    "cdnv": True,
    "effective_rank": True,
    "mi_zx": False,
    "mi_zy": False,
    "superfluous_information": False,
    "superfluous_nhsic": False,
    "noisy_zx_given_y_sigma010": False,
    "complexity": False,
    "compressed_size": False,
    "weight_effective_rank_mean": False,
    "synergy": False,
    "redundancy": False,
    "synergy_size": False,
}
INK, UP, DOWN = "#222222", "#d55e00", "#0072b2"


@style.styled
def everything(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    *,
    run: dict[str, Any] | None = None,
    names: tuple[str, ...] = (),
) -> Figure:
    """Every stored measure of one setting over the log step, the earliest main change on top.

    Each row: mean and range over seeds, scaled to the row; bar and mark: range and median over seeds of the step of
    the main change (`analysis.order`), upwards or downwards; p: paired over seeds, that the next row moves at
    another time. Vertical lines: events of the thresholds, median over seeds. Variables with a distortion are shown
    at the one nearest to 1, others with axes of their own as the mean over these.

    Args:
      results: of a product or zip grid.
      thresholds: of the events; None: the results' own.
      run: hyperparameters that select the setting, such as {"weight_decay": 0.1}; of several, and without, the one
        in the middle of those whose runs grok, else the first.
      names: variables; (): those of `SHOWN` that there are.
    """
    thresholds = thresholds_of(results, thresholds)
    setting = pick_setting(results, thresholds, run or {})
    runs = reduced(setting.runs, names or tuple(SHOWN))
    try:
        moves = order(runs, {str(name): SHOWN.get(str(name), False) for name in runs.data_vars})
    except ConfigError as error:
        raise style.NotDrawableError(f"nothing moves: {error.allowed}") from None
    figure = style.new_figure(9.4, 1.9 + 0.52 * len(moves))
    rows = figure.subplots(len(moves), 1, sharex=True, squeeze=False)[:, 0]
    for axes, move in zip(rows, moves, strict=True):
        _row(axes, runs, move)
    steps = runs["step"].values
    style.step_axis(rows[-1], steps)
    rows[-1].tick_params(axis="x", which="major", length=3)
    _events(list(rows), setting.runs, thresholds)
    count = setting.runs.sizes["run"]
    text = f"Which moves first? {point_text(setting.point)}, {count} seed{'s' if count > 1 else ''}"
    smallest = f" (of {count} seeds none is below {2.0 ** (1 - count):.2g})" if count > 1 else ""
    note = "Mark: median step of the main change, bar: range over seeds. p: paired over seeds, against the next row"
    note += f"{smallest};\nin brackets by Holm's correction. Rows are scaled to their own range, on the right."
    style.heading(figure, text, note)
    return figure


def pick_setting(results: xr.Dataset, thresholds: Thresholds, run: dict[str, Any]) -> lines.Series:
    """Return the runs of one setting; see `everything`."""
    groups = lines.split(results, DEFAULT_AXIS)
    for name, value in run.items():
        if name not in results.coords:
            raise style.NotDrawableError(f"run selection: {name!r} is not a coordinate of the results")
        groups = [g for g in groups if np.all(np.isclose(g.runs[name].values, value, rtol=1e-5, atol=0))]
    if not groups:
        raise style.NotDrawableError(f"run selection: no run has {run}")
    grokked = []
    for group in groups:
        taus = timescales(group.runs, thresholds)
        if "tau_grok" in taus and bool((~taus["grok_censored"] & (taus["tau_grok"] > 0)).all()):
            grokked.append(group)
    return grokked[len(grokked) // 2] if grokked else groups[0]


def reduced(runs: xr.Dataset, names: tuple[str, ...]) -> xr.Dataset:
    """Return the variables that there are, with dims ("run", "step")."""
    found = {}
    for name in names:
        if name in runs and "step" in runs[name].dims:
            values = carried(runs, name)
            if "distortion" in values.dims:
                values = values.isel(distortion=int(np.abs(np.log(runs["distortion"].values)).argmin()), drop=True)
            rest = [d for d in values.dims if d not in ("run", "step")]
            found[name] = values.mean(rest, keep_attrs=True).transpose("run", "step")
    if not found:
        raise style.NotDrawableError(f"none of {', '.join(names)} is in the results")
    return xr.Dataset(found)


def _row(axes: Axes, runs: xr.Dataset, move: Move) -> None:
    name, log = move.variable, SHOWN.get(move.variable, False)
    steps, values = runs["step"].values.astype(float), runs[name].values.astype(float)
    mean, low, high = lines.mean_and_range(values, log)
    shown = (steps > 0) & np.isfinite(mean)
    style.line(axes, steps[shown], mean[shown], color=INK, linewidth=1.3, gid=name)
    axes.fill_between(steps[shown], low[shown], high[shown], color=INK, alpha=style.BAND_ALPHA, linewidth=0)
    if log:
        axes.set_yscale("log")
    axes.set_yticks([], [], minor=False)
    axes.set_yticks([], [], minor=True)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", which="both", length=0)
    axes.margins(y=0.18)
    colour = UP if move.up else DOWN
    at, frame = np.array([np.nanmin(move.steps), move.median, np.nanmax(move.steps)]), axes.get_xaxis_transform()
    axes.plot(at[[0, 2]], [0.5, 0.5], color=colour, linewidth=3, alpha=0.5, transform=frame, solid_capstyle="butt")
    axes.plot(at[1], 0.5, "^" if move.up else "v", color=colour, markersize=6, transform=frame, gid=f"move_{name}")
    title = str(runs[name].attrs.get("long_name", name.replace("_", " ")))
    axes.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8)
    missing = int(np.isnan(move.steps).sum())
    p = f"   p = {move.p:.2g} ({move.p_holm:.2g})" if np.isfinite(move.p) else ""
    text = f"{np.nanmin(low[shown]):.3g} … {np.nanmax(high[shown]):.3g}\n"
    text += f"step {move.median:,.0f}{f', not {missing}' if missing else ''}{p}"
    axes.annotate(
        text, (1.01, 0.5), xycoords="axes fraction", fontsize=7, va="center", ha="left", annotation_clip=False
    )


def _events(rows: list[Axes], runs: xr.Dataset, thresholds: Thresholds) -> None:
    """Lines through all rows at the median time of each event that happened to every run, named on top."""
    taus = timescales(runs, thresholds)
    for height, event in enumerate(events_of(taus)):
        times = np.atleast_1d(taus[event.tau].values)
        if np.all(times > 0) and not np.any(taus[event.censored].values):
            tau = float(np.median(times))
            for axes in rows:
                axes.axvline(tau, color=event.colour, linewidth=1.0, alpha=0.8, gid=event.tau, zorder=0)
            rows[0].annotate(
                event.past,
                (tau, 1.0),
                xycoords=rows[0].get_xaxis_transform(),
                xytext=(0, 2 + 9 * height),
                textcoords="offset points",
                color=event.colour,
                fontsize=8,
                ha="center",
                va="bottom",
            )
