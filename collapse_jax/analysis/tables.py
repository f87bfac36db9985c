"""Tables as text: one row per run, and one row per setting with the spread over its seeds."""

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from collapse_jax.analysis.slopes import slopes
from collapse_jax.analysis.timescales import PHASES, condition, timescales
from collapse_jax.config import STATIC_AXES, Thresholds
from collapse_jax.grid import AXES

FINAL = ("train_accuracy", "test_accuracy", "rnc1", "nc2_condition")


def runs_table(results: xr.Dataset, thresholds: Thresholds) -> str:
    """Tabulate each run (last values, time scales, divergence) and the slopes against weight decay.

    Args:
      results: of a sweep, finished or not.
      thresholds: of the time scales.

    Returns:
      Lines of text; "> 1000" marks a run that had not crossed by step 1000.
    """
    taus = timescales(results, thresholds)
    dims = [name for name in results.diverged_at.dims]
    swept = [name for name in (*STATIC_AXES, *AXES) if name in results.coords and (name in dims or "run" in dims)]
    header = [
        *swept,
        *(name for name in FINAL if name in results),
        *(t for t in _tau_names(taus)),
        "diverged",
    ]
    rows = [header]
    for index in np.ndindex(*results.diverged_at.shape):
        here = dict(zip(dims, index, strict=True))
        run, times = results.isel(here), taus.isel(here)
        row = [_coordinate(run[name].item()) for name in swept]
        row += [_number(_last(run[name].values)) for name in FINAL if name in results]
        row += [_time(times, name) for name in _tau_names(taus)]
        bad = int(run.diverged_at)
        rows.append([*row, f"at {bad}" if bad >= 0 else "-"])
    lines = [
        *_align(rows),
        "",
        *(f"tau_{phase}: steps until {condition(phase, thresholds)}" for phase in PHASES),
    ]
    return "\n".join([*lines, *_slope_lines(taus)])


def seeds_table(results: xr.Dataset, thresholds: Thresholds) -> str:
    """Summarise the seeds of each setting as a Markdown table: mean and range from lowest to highest seed.

    Means of time scales are geometric; ">" marks a lower bound, because some seeds had not crossed (their last step
    enters in place of the crossing).

    Args:
      results: of a sweep with a dimension `seed`, else the table is empty.
      thresholds: of the time scales.
    """
    if "seed" not in results.diverged_at.dims or results.sizes["seed"] < 2:
        return ""
    taus = timescales(results, thresholds)
    dims = [name for name in results.diverged_at.dims if name != "seed"]
    final = [name for name in FINAL[1:] if name in results]
    rows = [[*(str(name).replace("_", " ") for name in dims), *final, *_tau_names(taus)]]
    for index in np.ndindex(*(results.sizes[name] for name in dims)):
        here = dict(zip(dims, index, strict=True))
        seeds, times = results.isel(here), taus.isel(here)
        row = [_coordinate(seeds[name].item()) for name in dims]
        row += [_spread([_last(v) for v in seeds[name].transpose("seed", "step").values]) for name in final]
        for name in _tau_names(taus):
            mark = "> " if times[name.replace("tau_", "") + "_censored"].any() else ""
            row.append(mark + _spread(times[name].values, geometric=True))
        rows.append(row)
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(["", *("| " + " | ".join(row) + " |" for row in rows)])


def _spread(found: Sequence[float] | np.ndarray, geometric: bool = False) -> str:
    values = np.asarray(found, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return "-"
    mean = np.exp(np.log(values).mean()) if geometric and values.min() > 0 else values.mean()
    form = (lambda v: f"{v:,.0f}") if geometric else _number
    return f"{form(mean)} [{form(values.min())}, {form(values.max())}]"


def _tau_names(taus: xr.Dataset) -> list[str]:
    return [f"tau_{phase}" for phase in PHASES if f"tau_{phase}" in taus]


def _slope_lines(taus: xr.Dataset) -> list[str]:
    if not _tau_names(taus):
        return []
    fits = slopes(taus)
    lines = []
    for name in fits.tau.values:
        of_tau = fits.sel(tau=name)
        for index in np.ndindex(*of_tau.slope.shape):
            point = dict(zip(of_tau.slope.dims, index, strict=True))
            fit = of_tau.isel(point)
            if not math.isfinite(fit.slope):
                continue
            where = "".join(f" at {dim} {_coordinate(fit[dim].item())}" for dim in point)
            interval = f"[{fit.low.item():.2f}, {fit.high.item():.2f}]" if math.isfinite(fit.low) else "(one seed)"
            lines.append(
                f"slope of {name} against weight decay{where}: {fit.slope.item():.2f} {interval}, "
                f"theory {fit.theory.item():g}"
            )
    return ["", *lines] if lines else []


def _coordinate(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _last(values: np.ndarray) -> float:
    finite = values[~np.isnan(values)]
    return float(finite[-1]) if len(finite) else math.nan


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"


def _time(times: xr.Dataset, name: str) -> str:
    value = times[name].item()
    if math.isnan(value):
        return "-"
    censored = bool(times[name.replace("tau_", "") + "_censored"])
    return f"{'> ' if censored else ''}{value:.0f}"


def _align(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
