"""The lines of a figure: runs that differ only in their seed, their colour, their mean and their band."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse_jax.analysis.summary import value_text
from collapse_jax.experiment.axes import AXES, STATIC, symbol
from collapse_jax.experiment.points import describe_point
from collapse_jax.figures import style

T = TypeVar("T")
MAX_NAMED = 8


@dataclasses.dataclass(frozen=True)
class Series:
    """Runs that share every hyperparameter.

    Attributes:
      point: the hyperparameters that vary over the results, and always weight_decay.
      runs: dims ("seed", "step").
      colour: of its lines.
    """

    point: dict[str, Any]
    runs: xr.Dataset
    colour: Any = None

    @property
    def weight_decay(self) -> float:
        """The colour key."""
        return float(self.point["weight_decay"])

    @property
    def name(self) -> str:
        """Its entry in the legend."""
        if len(self.point) == 1:
            return "0 (none)" if self.weight_decay == 0 else f"{self.weight_decay:g}"
        return ", ".join(f"{symbol(k)} = {value_text(v)}" for k, v in self.point.items())


def run_dimensions(results: xr.Dataset) -> list[str]:
    """The dimensions that tell runs apart: neither `step` nor axes of a variable's own, such as `layer`."""
    own = results["diverged_at"].dims if "diverged_at" in results else results.dims
    return [str(name) for name in own if name in (*AXES, "run")]


def split(results: xr.Dataset) -> list[Series]:
    """All series of a product or zip grid, by increasing weight decay, coloured."""
    found = _zip_series(results) if "run" in results.dims else _product_series(results)
    varying = {k for s in found for k in s.point if len({str(t.point[k]) for t in found}) > 1}
    found = [
        dataclasses.replace(
            s,
            point={"weight_decay": s.point["weight_decay"]} | {k: v for k, v in s.point.items() if k in varying},
        )
        for s in found
    ]
    found.sort(key=lambda s: (s.weight_decay, str(s.point)))
    return [dataclasses.replace(s, colour=c) for s, c in zip(found, _colours(found), strict=True)]


def _colours(series: list[Series]) -> list[Any]:
    """By weight decay where it tells them apart or where there are too many to name, else one after the other."""
    decays = [s.weight_decay for s in series]
    key, norm = "weight_decay", style.decay_norm(decays)
    if len(series) > MAX_NAMED:
        key, norm = colour_scale(series)
    elif len(set(decays)) < len(decays):
        key = ""
    if not key:
        return [tuple(colour) for colour in style.colormap()(np.linspace(0.0, 1.0, len(series)))]
    return [style.decay_colour(s.point[key], norm) for s in series]


def colour_scale(series: list[Series]) -> tuple[str, LogNorm | None]:
    """What colours too many series to name: the first hyperparameter with two positive values; or ("", None)."""
    for key in series[0].point:
        values = [s.point[key] for s in series]
        if all(isinstance(value, (int, float)) for value in values) and (norm := style.decay_norm(values)):
            return key, norm
    return "", None


def _product_series(results: xr.Dataset) -> list[Series]:
    if "seed" not in results.dims:
        results = results.expand_dims("seed")
    dims = [name for name in run_dimensions(results) if name != "seed"]
    fixed = {"weight_decay": float(results["weight_decay"])} if "weight_decay" not in dims else {}
    out = []
    for index in itertools.product(*(range(results.sizes[d]) for d in dims)):
        runs = results.isel(dict(zip(dims, index, strict=True)))
        out.append(Series(fixed | {d: runs[d].item() for d in dims}, runs.transpose("seed", ..., "step")))
    return out


def _zip_series(results: xr.Dataset) -> list[Series]:
    names = [str(k) for k, c in results.coords.items() if c.dims == ("run",) and k not in ("run", "seed")]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for run in range(results.sizes["run"]):
        key = tuple(results[k].values[run].item() for k in names)
        # Without seeds nothing says that two runs repeat each other, so each stands alone.
        groups.setdefault(key if "seed" in results.coords else (*key, run), []).append(run)
    out = []
    for key, runs in groups.items():
        part = results.isel(run=runs)
        part = part.drop_vars(["run", "seed"], errors="ignore").rename_dims(run="seed")
        out.append(Series(dict(zip(names, key, strict=False)), part.transpose("seed", ..., "step")))
    return out


def mean_and_range(values: np.ndarray, log: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (geometric if `log`), lowest and highest over the runs of [runs, T]; nan where no run has a value.

    Infinite values, and those without a logarithm if `log`, do not take part.
    """
    values = values.astype(np.float64)
    valid = np.isfinite(values) & ((values > 0) | (not log))
    count = valid.sum(axis=0)
    safe = np.where(valid, values, 1.0)
    total = np.where(valid, np.log(safe) if log else safe, 0.0).sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    low = np.where(count > 0, np.where(valid, values, np.inf).min(axis=0), np.nan)
    high = np.where(count > 0, np.where(valid, values, -np.inf).max(axis=0), np.nan)
    return (np.exp(mean) if log else mean), low, high


def draw(
    axes: Axes,
    series: Series,
    variable: str,
    *,
    x: np.ndarray | None = None,
    log: bool = False,
    linestyle: str = "-",
    alpha: float = 1.0,
) -> None:
    """One mean line with its seed band, and a cross where a diverged run ends. `x` defaults to the steps."""
    x = np.asarray(series.runs["step"].values if x is None else x, np.float64)
    values = np.atleast_2d(series.runs[variable].values)
    mean, low, high = mean_and_range(values, log)
    # The axis is logarithmic; steps at which only other variables were measured are no gaps of this one.
    shown = (x > 0) & ~np.isnan(values).all(axis=0)
    common = {"color": series.colour, "gid": variable}
    axes.plot(x[shown], mean[shown], linestyle=linestyle, alpha=alpha, label="_" + series.name, **common)
    if len(values) > 1:
        axes.fill_between(x[shown], low[shown], high[shown], alpha=style.BAND_ALPHA * alpha, linewidth=0, **common)
    if "diverged_at" in series.runs:
        for run, at in zip(values, np.atleast_1d(series.runs["diverged_at"].values), strict=True):
            last = np.flatnonzero(np.isfinite(run))
            if at >= 0 and len(last) and x[last[-1]] > 0:
                axes.plot(x[last[-1]], run[last[-1]], marker="x", markersize=5, linestyle="none", **common)


def legend(figure: Figure, panels: list[Axes], series: list[Series]) -> None:
    """Names the series once for all panels: by a list, or by a colour bar when there are too many.

    Too many without a hyperparameter that makes a colour bar, such as optimizers: a list of some of them.
    """
    key, norm = colour_scale(series) if len(series) > MAX_NAMED else ("", None)
    if norm is None:
        keys = list(series[0].point)
        title = "weight decay λ" if keys == ["weight_decay"] else "hyperparameters"
        named = evenly(series, MAX_NAMED)
        if len(named) < len(series):
            title += f"\n({len(named)} of {len(series)} lines)"
        handles = [Line2D([], [], color=s.colour, linewidth=2.4, label=s.name) for s in named]
        figure.legend(handles=handles, title=title, loc="outside right upper", alignment="left")
        return
    values = {name: {s.point[name] for s in series} for name in series[0].point}
    text = AXES[key].label
    if 0 in values[key]:
        text += " (grey: 0)"
    if sum(len(found) > 1 for found in values.values()) > 1:
        text += "\n(other hyperparameters not told apart)"
    bar = figure.colorbar(ScalarMappable(norm, style.colormap()), ax=panels, pad=0.02, aspect=30)
    bar.set_label(text)
    bar.outline.set_visible(False)


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, from the first to the last."""
    picked = np.unique(np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int))
    return [items[i] for i in picked]


def reading_note(results: xr.Dataset, series: list[Series], log: bool = True, *further: xr.Dataset) -> str:
    """How to read the lines, and what is missing from them, in words; `further` results are in the same figure."""
    counts = sorted({s.runs.sizes["seed"] for s in series})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    if counts == [1]:
        parts = ["One run per line."]
    else:
        kind = "mean (geometric on logarithmic axes)" if log else "mean"
        parts = [f"Line: {kind} over {seeds} seeds; band: lowest to highest seed."]
    diverged = [at for r in (results, *further) if "diverged_at" in r for at in r["diverged_at"].values.flat]
    bad = sum(int(at) >= 0 for at in diverged)
    if bad:
        parts.append(
            f"{bad} of {len(diverged)} runs diverged: a cross marks their last value, the mean goes on without."
        )
    return " ".join([*parts, *_static_note(results), progress_note(results, *further)]).strip()


def _static_note(results: xr.Dataset) -> list[str]:
    """Which program of a grid with static axes is drawn."""
    point = {name: results[name].item() for name in STATIC if name in results.coords and not results[name].dims}
    return [f"Program {describe_point(point)}."] if point else []


def progress_note(*results: xr.Dataset) -> str:
    """How far an unfinished sweep is, or those of several that are not finished; empty where all are."""
    reached = []
    for part in results:
        steps = part["step"].values
        seen = np.zeros(len(steps), bool)
        for values in part.data_vars.values():
            if "step" in values.dims:
                seen |= values.notnull().any([d for d in values.dims if d != "step"]).values
        if seen.any() and not seen[-1]:
            reached.append(int(steps[seen][-1]))
    if not reached:
        return ""
    some = f"{len(reached)} of {len(results)} programs, " if len(results) > 1 else ""
    far = " to ".join(f"{step:,}" for step in sorted({min(reached), max(reached)}))
    return f"Not finished: {some}{far} of {max(int(part['step'].max()) for part in results):,} steps so far."
