"""How each time scale depends on a hyperparameter: log-log slopes with intervals, censored runs included."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.analysis.events import EVENTS, events_of
from collapse_jax.analysis.groups import DEFAULT_AXIS, Groups, flat, groups_of, points_of, run_dims, take, varying
from collapse_jax.analysis.tobit import fit_line

SETTING = "setting"  # dim of the fits of runs along `run` that differ in other hyperparameters

_ATTRS = {
    "slope": ("log-log slope", "1", "d log tau / d log {axis}, maximum likelihood with right-censoring"),
    "low": ("lower end of the interval of the slope", "1", "percentile bootstrap over seeds"),
    "high": ("upper end of the interval of the slope", "1", "percentile bootstrap over seeds"),
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
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Log-log slope of every time scale against a hyperparameter.

    Model: log tau = intercept + slope * log axis + sigma * N(0, 1). A censored run enters through the
    probability that its tau exceeds the last observed step (`fit_line`); leaving it out or taking the bound
    for the value would flatten the slope. The interval is the percentile bootstrap over seeds: a seed is
    drawn with all of its axis values, since these share initial weights and batches. With few seeds such an
    interval is too narrow (about 80-85 % coverage for 5 seeds at a nominal 95 %).

    Args:
      taus: as returned by `timescales`. One fit per combination of the dims that are neither the axis nor
        the seed; in a zip grid, or a shard of a product grid, per combination of the other hyperparameters
        that vary along `run`.
      axis: dim, or coordinate along `run`. Runs at 0 (no weight decay) have no logarithm and are left out.
      resamples: number of bootstrap resamples.
      confidence: mass of the interval.
      seed: of the bootstrap.

    Returns:
      A dataset over ("tau", ...) with slope, low, high, intercept, sigma, theory, runs, censored, excluded. Where
      runs along `run` differ in other hyperparameters, these are coordinates of the further dim "setting".
      The slope is nan if the runs that crossed have fewer than two distinct axis values; low and high are
      nan also with fewer than two seeds.

    Raises:
      ValueError: if `axis` is no coordinate of `taus`.
    """
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
        _fit(x[runs], tau[runs], hidden[runs], clusters[runs], resamples, confidence, seed)
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
    out.attrs = {"axis": axis, "confidence": confidence, "resamples": resamples, "bootstrap_seed": seed}
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


def _fit(
    x: np.ndarray,
    tau: np.ndarray,
    censored: np.ndarray,
    clusters: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, float]:
    """One slope with its interval; every array is [R], one entry per run."""
    keep = (x > 0) & (tau > 0)  # nan compares False
    out: dict[str, float] = dict.fromkeys(("slope", "low", "high", "intercept", "sigma"), math.nan)
    out |= {"runs": int(keep.sum()), "censored": int(censored[keep].sum()), "excluded": int((~keep).sum())}
    if not keep.any():
        return out
    log_x, log_tau, hidden = np.log(x[keep]), np.log(tau[keep]), censored[keep]
    line = fit_line(log_x, log_tau, hidden, np.ones((1, len(log_x))))
    out["slope"], out["intercept"], out["sigma"] = (float(v[0]) for v in line)
    names, member = np.unique(clusters[keep], return_inverse=True)
    if len(names) < 2 or math.isnan(out["slope"]):
        return out
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    drawn = fit_line(log_x, log_tau, hidden, counts[:, member])[0]
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn):
        tail = (1 - confidence) / 2
        out["low"], out["high"] = (float(q) for q in np.quantile(drawn, [tail, 1 - tail]))
    return out
