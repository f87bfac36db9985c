"""How each time scale depends on a hyperparameter: log-log slopes with intervals, censored runs included."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import stdtrit

from collapse_jax.analysis.events import EVENTS, events_of
from collapse_jax.analysis.groups import (
    DEFAULT_AXIS,
    Groups,
    flat,
    groups_of,
    points_of,
    require_dataset,
    run_dims,
    take,
    varying,
)
from collapse_jax.analysis.linearity import linearity
from collapse_jax.analysis.tobit import fit_line

SETTING = "setting"  # dim of the fits of runs along `run` that differ in other hyperparameters

_ATTRS = {
    "slope": ("log-log slope", "1", "d log tau / d log {axis}, maximum likelihood with right-censoring"),
    "low": ("lower end of the interval of the slope", "1", "slope - t(S - 1) x jackknife error over S seeds"),
    "high": ("upper end of the interval of the slope", "1", "slope + t(S - 1) x jackknife error over S seeds"),
    "why": ("why there is no interval", "", "empty where there is one"),
    "f": ("F of lack of fit", "1", "line against a mean for each {axis}: see `linearity`"),
    "p": ("p of lack of fit", "1", "probability of such an F if the line is true"),
    "intercept": ("log-log intercept", "log steps", "log tau = intercept + slope * log {axis}"),
    "sigma": ("residual scale", "log steps", "standard deviation of log tau around the line"),
    "theory": ("slope by theory", "1", "arXiv 2509.20829, Theorem 4.3; nan if it says nothing"),
    "runs": ("runs fitted", "runs", "censored ones included"),
    "censored": ("censored runs", "runs", "fitted runs that never crossed: their tau is a lower bound"),
    "excluded": ("runs left out", "runs", "{axis} <= 0, or tau is nan or 0: no logarithm"),
}


def slopes(
    taus: xr.Dataset,
    axis: str = DEFAULT_AXIS,
    *,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Log-log slope of every time scale against a hyperparameter.

    Model: log tau = intercept + slope * log axis + sigma * N(0, 1). A censored run enters through the
    probability that its tau exceeds the last observed step (`fit_line`); leaving it out or taking the bound
    for the value would flatten the slope. The interval is slope +- t(S - 1) e for S seeds, with e the jackknife
    error: e^2 = (S - 1) / S sum_s (slope without seed s - their mean)^2. A seed is left out with all of its axis
    values, since these share initial weights and batches. `benchmarks/coverage.py` simulates its coverage. It is
    that of the line: where lack of fit rejects the line (p < `linearity.REJECTED`), read the local slopes.

    Args:
      taus: as returned by `timescales`. One fit per combination of the dims that are neither the axis nor
        the seed; in a zip grid, or a shard of a product grid, per combination of the other hyperparameters
        that vary along `run`.
      axis: dim, or coordinate along `run`. Runs at 0 (no weight decay) have no logarithm and are left out.
      confidence: of the interval.

    Returns:
      A dataset over ("tau", ...) with slope, low, high, why (there is no interval), f and p (of lack of fit),
      intercept, sigma, theory, runs, censored, excluded; and local_slope, also over "between": from one value of
      the axis to the next, at their geometric mean. Where runs along `run` differ in other hyperparameters, these
      are coordinates of the further dim "setting". The slope is nan if the runs that crossed have fewer than two
      distinct axis values; low and high are nan also with fewer than two seeds, or where the slope without one of
      them is; why says so.

    Raises:
      ValueError: if `axis` is no coordinate of `taus`.
      ConfigError: `taus` is no dataset.
    """
    require_dataset("taus", taus, "timescales")
    if axis not in taus.coords:
        known = ", ".join(sorted(map(str, taus.coords)))
        raise ValueError(f"slopes: axis={axis!r} is not a coordinate; there are {known}")
    events = events_of(taus)
    if not events:
        names = ", ".join(event.tau for event in EVENTS.values())
        raise ValueError(f"slopes: the time scales hold none of {names}")
    groups, dims, coords = _settings(taus, axis)
    x = flat(taus[axis], taus)
    clusters = flat(taus["seed"], taus) if "seed" in taus.coords else np.arange(len(x))
    fits = [
        fit_power(x[runs], tau[runs], hidden[runs], clusters[runs], confidence)
        | {"theory": event.theory.get(axis, math.nan)}
        for event in events
        for tau, hidden in [(flat(taus[event.tau], taus), flat(taus[event.censored], taus))]
        for _, runs in groups
    ]
    shape = (len(events), *(len(coords[d]) if d != SETTING else len(groups) for d in dims))
    out = xr.Dataset(
        {name: (("tau", *dims), np.reshape([fit[name] for fit in fits], shape)) for name in _ATTRS},
        {"tau": [event.tau for event in events], **coords},
    )
    for name, (long_name, units, definition) in _ATTRS.items():
        definition = definition.format(axis=axis)
        out[name].attrs = {"long_name": long_name, "units": units, "definition": definition}
    between = sorted({place for fit in fits for place in fit["local"]})
    local = [[fit["local"].get(place, math.nan) for place in between] for fit in fits]
    out = out.assign_coords(between=between)
    out["local_slope"] = (("tau", *dims, "between"), np.reshape(local, (*shape, len(between))))
    out["local_slope"].attrs = {
        "long_name": "local log-log slope",
        "units": "1",
        "definition": f"from one value of {axis} to the next; nan where neither or one was seen",
    }
    out.attrs = {"axis": axis, "confidence": confidence}
    return out


def fits_of(taus: xr.Dataset, fits: xr.Dataset) -> Iterator[tuple[dict[str, Any], xr.Dataset, xr.Dataset]]:
    """Go through the fits of `slopes` one by one.

    Yields:
      the other hyperparameters' values ({} where one fit holds all runs), the time scales fitted, with dims
      ("run",), and the fit, with dims ("tau",).
    """
    groups, dims, _ = _settings(taus, fits.attrs["axis"])
    for (point, runs), index in zip(groups, np.ndindex(*(fits.sizes[d] for d in dims)), strict=True):
        yield point, take(taus, runs), fits.isel(dict(zip(dims, index, strict=True)))


def _settings(taus: xr.Dataset, axis: str) -> tuple[Groups, list[str], dict[str, Any]]:
    """Group the runs that share all but the axis and the seed; with the dims and coordinates of the groups."""
    points, dims = points_of(taus), run_dims(taus)
    if "run" in dims:
        names = [name for name in varying(points) if name not in (axis, "seed")]
    else:
        shared = {d for name in (axis, "seed") if name in taus.coords for d in taus[name].dims}
        names = [d for d in dims if d not in shared]
    groups = groups_of([{name: point[name] for name in names} for point in points], apart_from=())
    if "run" not in dims:
        return groups, names, {name: taus[name] for name in names}
    if len(groups) < 2:
        return groups, [], {}
    return groups, [SETTING], {name: (SETTING, [point[name] for point, _ in groups]) for name in names}


def fit_power(
    x: np.ndarray, tau: np.ndarray, censored: np.ndarray, clusters: np.ndarray, confidence: float = 0.95
) -> dict[str, Any]:
    """One slope as `slopes` returns it, as numbers; every array is [R], one entry per run.

    Args:
      x: the axis.
      tau: the times.
      censored: True where a time is a lower bound.
      clusters: the seed.
      confidence: of the interval.
    """
    keep = (x > 0) & (tau > 0)  # nan compares False
    out: dict[str, Any] = dict.fromkeys(("slope", "low", "high", "intercept", "sigma", "f", "p"), math.nan)
    out |= {"runs": int(keep.sum()), "censored": int(censored[keep].sum()), "excluded": int((~keep).sum())}
    out |= {"local": {}, "why": "fewer than two values at which it was seen"}
    if not keep.any():
        return out
    log_x, log_tau, hidden = np.log(x[keep]), np.log(tau[keep]), censored[keep]
    line = fit_line(log_x, log_tau, hidden, np.ones((1, len(log_x))))
    out["slope"], out["intercept"], out["sigma"] = (float(v[0]) for v in line)
    if math.isnan(out["slope"]):
        return out
    straight = linearity(log_x, log_tau, hidden)
    out |= {"f": straight.f, "p": straight.p}
    out["local"] = dict(zip(np.exp(straight.places), straight.local, strict=True))
    half, out["why"] = _half_width(log_x, log_tau, hidden, clusters[keep], confidence)
    return out | {"low": out["slope"] - half, "high": out["slope"] + half}


def _half_width(
    x: np.ndarray, y: np.ndarray, censored: np.ndarray, clusters: np.ndarray, confidence: float
) -> tuple[float, str]:
    """Half of the width of the interval of a slope, and why there is none."""
    seeds = np.unique(clusters)
    count = len(seeds)
    if count < 2:
        return math.nan, "one seed"
    without = fit_line(x, y, censored, (clusters != seeds[:, None]).astype(float))[0]
    if not np.isfinite(without).all():
        return math.nan, "without one of the seeds there is no slope"
    error = math.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2))
    return float(stdtrit(count - 1, (1 + confidence) / 2)) * error, ""
