"""The times of events against an axis of the grid."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from collapse_jax.analysis import EVENTS, Event, Thresholds, tables, thresholds_of
from collapse_jax.analysis import slopes as fit_slopes
from collapse_jax.analysis import timescales as measure
from collapse_jax.analysis.events import events_of
from collapse_jax.analysis.groups import default_axis
from collapse_jax.analysis.linearity import REJECTED
from collapse_jax.analysis.slopes import fits_of
from collapse_jax.analysis.timescales import times_of
from collapse_jax.experiment.points import axis_text, symbols_text
from collapse_jax.figures import style
from collapse_jax.figures.series import axis_label
from collapse_jax.figures.source import Source, keep

MAX_PANELS = 6
AROUND = 2.6  # inches of title, signs and notes above and below the panels


@style.styled
def timescales(results: xr.Dataset, thresholds: Thresholds | None = None, *, x: str = "") -> Figure:
    """Time of each event against an axis of the grid, log-log.

    Runs, geometric means, the fitted power law with its interval, and the slope of theory. One panel per
    combination of the other hyperparameters. Source: arXiv 2509.20829, Theorem 4.3.

    `x` is the axis; "": weight decay, or the first that varies where the results have none.
    """
    thresholds = thresholds_of(results, thresholds)
    taus, x = measure(results, thresholds), x or default_axis(results)
    events, words = events_of(taus), axis_text(x)
    if not events or x not in taus.coords:
        needed = ", ".join(dict.fromkeys(event.variable for event in EVENTS.values()))
        raise style.NotDrawableError(f"no {x or 'axis that varies'}, or none of {needed}")
    places = _positive(taus, x)
    if len(places) < 2:
        raise style.NotDrawableError(f"fewer than two positive {words}s: there is no dependence to show")
    table = fit_slopes(taus, x)
    every = list(fits_of(taus, table))
    # In a zip grid the other hyperparameters may vary along with the axis.
    shown = [one for one in every if len(_positive(one[1], x)) > 1][:MAX_PANELS]
    if not shown:
        raise style.NotDrawableError(f"no two runs with {words} differ in it and the seed alone")
    figure = style.new_figure(8.8, 5.6 if len(shown) == 1 else 1.9 + 3.3 * len(shown))
    panels = list(figure.subplots(len(shown), 1, squeeze=False, sharex=True, sharey=True)[:, 0])
    for axes, (point, part, fits) in zip(panels, shown, strict=True):
        texts = _panel(axes, part, fits, x, thresholds, places)
        if point:
            axes.set_title(symbols_text(point))
        _label_right(axes, texts, (figure.get_figheight() - AROUND) / len(shown))
    panels[-1].set_xlabel(axis_label(x))
    _key(panels[-1], censored=bool(table["censored"].any()))
    style.heading(
        figure, f"Time scales of training against {words}", _note(taus, table, words, len(every) - len(shown))
    )
    return figure


def _positive(taus: xr.Dataset, x: str) -> np.ndarray:
    values = np.unique(taus[x].values)
    return values[values > 0] if np.issubdtype(values.dtype, np.number) else values[:0]


def _panel(
    axes: Axes, taus: xr.Dataset, table: xr.Dataset, x: str, thresholds: Thresholds, places: np.ndarray
) -> list[tuple[float, str, str]]:
    """Draws the runs and lines of one panel; returns (height, text, colour) of each line's label."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    # The events of one place stand side by side, or they would hide each other.
    events = events_of(taus)
    reach = max(1, len(events) // 2)
    side = min(0.09, float(np.diff(np.log(places)).min()) / 4 / reach)
    span = np.array([places[0] * np.exp(-(1 + reach) * side), places[-1] * np.exp((1 + reach) * side)])
    texts = []
    for number, event in enumerate(events):
        tau = taus[event.tau]
        at = taus[x].broadcast_like(tau).transpose(*tau.dims).values.ravel()
        names = (event.tau, event.lower, event.upper, event.censored)
        y, lower, upper, bound = (taus[name].transpose(*tau.dims).values.ravel() for name in names)
        ok = (at > 0) & (y > 0)
        shift = np.exp(side * ((number + 1) // 2) * (-1) ** number)
        for place in places[np.isin(places, at[ok])]:
            mine = ok & (at == place)
            _column(axes, event, place, shift, y[mine], bound[mine], side)
            between = mine & ~bound
            _between(axes, event, place * shift, lower[between], upper[between])
        fit = table.sel(tau=event.tau)
        text = f"{event.title} ({event.condition(thresholds)})\n{_slope_text(fit, axis_text(x))}"
        height = np.exp(np.log(y[ok]).mean()) if ok.any() else 1.0
        if np.isfinite(fit["slope"]):
            height = _line(axes, event, fit, span)
        if int(fit["censored"]):
            text += f"\n{int(fit['censored'])} of {int(fit['runs'])} runs did not reach it"
        texts.append((float(height), text, event.colour))
    axes.set_xlim(span[0] / 1.1, span[1] * 1.1)
    _name_axes(axes, places)
    return texts


def _name_axes(axes: Axes, places: np.ndarray) -> None:
    axes.set_ylabel("training steps until …")
    if len(places) <= 10 and all(len(f"{d:g}") <= 6 for d in places):
        axes.set_xticks(places)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    style.log_values(axes, plain=True)


def _between(axes: Axes, event: Event, x: float, lower: np.ndarray, upper: np.ndarray) -> None:
    """Bars between the log steps of which a time is known to lie between."""
    look: dict[str, Any] = {"color": event.colour, "alpha": 0.3, "linewidth": 2.6}
    look["label"] = "_" + event.title
    axes.vlines(np.full(len(lower), x), np.maximum(lower, 1.0), upper, gid=f"between_{event.name}", **look)


def _line(axes: Axes, event: Event, fit: xr.Dataset, span: np.ndarray) -> float:
    """The fitted line, dotted where the times reject it, and that of theory; returns the height of its end."""
    slope, scale = float(fit["slope"]), np.exp(float(fit["intercept"]))
    rejected = bool(fit["p"] < REJECTED)
    shape: dict[str, Any] = {"linestyle": ":" if rejected else "-", "alpha": 0.6 if rejected else 1.0}
    shape |= {"linewidth": 1.3, "label": "_" + event.title}
    axes.plot(span, scale * span**slope, color=event.colour, gid=f"fit_{event.name}", **shape)
    if np.isfinite(fit["theory"]):
        middle = np.sqrt(span.prod())
        ideal = scale * middle**slope * (span / middle) ** float(fit["theory"])
        look: dict[str, Any] = {"color": style.GREY, "linewidth": 1.0, "linestyle": style.DASHED}
        look["label"] = "_" + event.title
        axes.plot(span, ideal, gid=f"theory_{event.name}", **look)
    return float(scale * span[1] ** slope)


def _column(
    axes: Axes, event: Event, place: float, shift: float, tau: np.ndarray, bound: np.ndarray, side: float
) -> None:
    """The times of one event beside one place, and their geometric mean unless it is unknown."""
    look: dict[str, Any] = {"color": event.colour, "linestyle": "none", "label": "_" + event.title}
    x, source = place * shift, Source(place=place)
    reached, open_ = tau[~bound], tau[bound]
    if len(reached):
        dot: dict[str, Any] = {"marker": "o", "markersize": 3.2, "markeredgewidth": 0, "alpha": 0.45}
        (dots,) = axes.plot(np.full(len(reached), x), reached, gid="run", **dot, **look)
        keep(dots, source)
    if len(open_):
        # Spread sideways, or runs that were all stopped at the same step would look like one.
        fan = x * np.exp(np.linspace(-0.42, 0.42, len(open_)) * side * (len(open_) > 1))
        mark: dict[str, Any] = {"marker": "^", "markersize": 5, "fillstyle": "none"}
        (bounds,) = axes.plot(fan, open_, gid="at_least", **mark, **look)
        keep(bounds, source)
        return
    centre, spread = np.log(tau).mean(), np.log(tau).std(ddof=1) if len(tau) > 1 else 0.0
    ends = np.exp([centre - spread, centre + spread])
    axes.plot([x, x], ends, **look | {"linestyle": "-", "linewidth": 1.3})
    mark = {"marker": event.marker, "markersize": 5.5, "markeredgewidth": 0}
    (mean,) = axes.plot(x, np.exp(centre), gid="geometric_mean", **mark, **look)
    keep(mean, source)


def _slope_text(fit: xr.Dataset, words: str) -> str:
    """'slope -0.93 [-1.00, -0.85], theory -1', with true minus signs."""

    def number(name: str, digits: int = 2) -> str:
        return f"{float(fit[name]) or 0.0:.{digits}f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")

    if not np.isfinite(fit["slope"]):
        return f"no slope: reached at fewer than two {words}s"
    interval = f" [{number('low')}, {number('high')}]" if np.isfinite(fit["low"]) else f" ({fit['why'].item()})"
    theory = f", theory {number('theory', 0)}" if np.isfinite(fit["theory"]) else ""
    if fit["p"] < REJECTED:
        local = fit["local_slope"].values
        found = tables.local_text(local[np.isfinite(local)]).replace("-", "\N{MINUS SIGN}")
        lack = tables.lack_text(float(fit["f"]), float(fit["p"]))
        return f"no line, mean slope {number('slope')}{theory}\n{lack}\n{found}"
    return f"slope {number('slope')}{interval}{theory}"


def _label_right(axes: Axes, texts: list[tuple[float, str, str]], inches: float) -> None:
    """Writes each text beside the right end of its line, moved apart where they would overlap on so many inches."""
    low, high = np.log(axes.get_ylim())
    texts = sorted(texts, key=lambda t: t[0])
    places = [float((np.log(t[0]) - low) / (high - low)) for t in texts]
    heights = [(0.17 * (t[1].count("\n") + 1) + 0.08) / inches for t in texts]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + (heights[i] + heights[i - 1]) / 2)
    ceiling = 1.0
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - (heights[i] + heights[max(i - 1, 0)]) / 2
    for place, (_, text, colour) in zip(places, texts, strict=True):
        axes.text(1.02, place, text, color=colour, transform=axes.transAxes, va="center", linespacing=1.3)


def _key(axes: Axes, censored: bool) -> None:
    """The signs that are not named at the lines; below the axes, where no time is."""
    look: dict[str, Any] = {"color": "#555555"}
    handles = [
        Line2D([], [], marker="o", markersize=3.2, linestyle="none", alpha=0.6, label="run", **look),
        Line2D([], [], linewidth=2.6, alpha=0.3, label="log steps between which it lies", **look),
        Line2D([], [], marker="o", linewidth=1.3, label="geometric mean, ± 1 s.d. of log τ", **look),
        Line2D([], [], marker="^", fillstyle="none", linestyle="none", label="not reached: takes longer", **look),
        Line2D([], [], color=style.GREY, linestyle=style.DASHED, linewidth=1.0, label="slope of theory"),
    ]
    if not censored:
        del handles[3]
    # In inches: ticks and the title of the axis.
    below = axes.transAxes + ScaledTranslation(0, -0.5, axes.figure.dpi_scale_trans)
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": below}
    axes.legend(handles=handles, ncols=2, borderaxespad=0, **place)


def _note(taus: xr.Dataset, table: xr.Dataset, words: str, hidden: int) -> str:
    parts = [
        f"Lines: power law by maximum likelihood; runs that did not reach it are lower bounds. "
        f"Brackets: {table.attrs['confidence']:.0%} interval, t(S - 1) × jackknife over S seeds."
    ]
    if bool((table["p"] < REJECTED).any()):
        parts.append(f"Dotted lines are rejected by their lack of fit (p < {REJECTED:g}): no power law.")
    for event in events_of(taus):
        width = times_of(taus, event, taus).resolution
        factor = float(np.median(width[np.isfinite(width)])) if np.isfinite(width).any() else 1.0
        if factor > 2:
            parts.append(f"{event.title}: the log schedule places it only within a factor {factor:.2g}.")
    if int(table["excluded"].max()):
        parts.append(f"Left out: runs without {words}, without values, or past a threshold at step 0.")
    if hidden:
        parts.append(f"{hidden} more combinations of the other hyperparameters are not shown.")
    return "\n".join(parts)
