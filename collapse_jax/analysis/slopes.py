"""How each time scale depends on a hyperparameter: log-log slopes with intervals, censored runs included."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.analysis.timescales import PHASES
from collapse_jax.analysis.tobit import fit_line

# arXiv 2509.20829, Theorem 4.3: tau_fit = Omega(log(1/eps) / eta) and
# tau_collapse = Omega(log(1/eps) / (eta lambda)).
# It is proved for full-batch gradient descent; tau_grok follows the collapse by Theorem 3.2.
THEORY = {
    "weight_decay": {"fit": 0.0, "grok": -1.0, "collapse": -1.0},
    "learning_rate": {"fit": -1.0, "grok": -1.0, "collapse": -1.0},
}

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
    axis: str = "weight_decay",
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
    settings = _settings(taus, axis)
    if len(settings) > 1:
        options: dict[str, Any] = {"resamples": resamples, "confidence": confidence, "seed": seed}
        parts = [slopes(taus.isel(run=runs), axis, **options) for _, runs in settings]
        points = {name: (SETTING, [point[name] for point, _ in settings]) for name in settings[0][0]}
        return xr.concat(parts, dim=SETTING).assign_coords(points).transpose("tau", ...)
    columns = []
    for phase in (p for p in PHASES if f"tau_{p}" in taus):
        tau, censored = taus[f"tau_{phase}"], taus[f"{phase}_censored"]
        shared = set(taus[axis].dims) | (set(taus["seed"].dims) if "seed" in taus.coords else set())
        others = [d for d in tau.dims if d not in shared and d != "run"]
        order = [*others, *(d for d in tau.dims if d not in others)]

        def rows(
            array: xr.DataArray, like: xr.DataArray = tau, order: list = order, n: int = len(others)
        ) -> np.ndarray:
            full = array.broadcast_like(like).transpose(*order)
            return full.values.reshape(math.prod(full.shape[:n]), -1)

        y, hidden, x = rows(tau), rows(censored), rows(taus[axis])
        clusters = rows(taus["seed"]) if "seed" in taus.coords else np.indices(y.shape)[1]
        fits = [_fit(*row, resamples, confidence, seed) for row in zip(x, y, hidden, clusters, strict=True)]
        theory = THEORY.get(axis, {}).get(phase, math.nan)
        shape = [tau.sizes[d] for d in others]
        data = {k: (others, np.reshape([f[k] for f in fits], shape)) for k in fits[0]}
        data["theory"] = (others, np.full(shape, theory))
        coords = {d: taus[d] for d in others if d in taus.coords}
        columns.append(xr.Dataset(data, coords=coords).assign_coords(tau=f"tau_{phase}"))
    if not columns:
        raise ValueError("slopes: the time scales hold none of " + ", ".join(f"tau_{p}" for p in PHASES))
    out = xr.concat(columns, dim="tau")
    for name, (long_name, units, definition) in _ATTRS.items():
        definition = definition.format(axis=axis)
        out[name].attrs = {"long_name": long_name, "units": units, "definition": definition}
    out.attrs = {"axis": axis, "confidence": confidence, "resamples": resamples, "bootstrap_seed": seed}
    return out


def fits_of(taus: xr.Dataset, fits: xr.Dataset) -> Iterator[tuple[dict[str, Any], xr.Dataset, xr.Dataset]]:
    """Go through the fits of `slopes` one by one.

    Yields:
      the other hyperparameters' values ({} where one fit holds all runs), the time scales fitted, and the fit, with
      dims ("tau",).
    """
    dims = [str(d) for d in fits["slope"].dims if d != "tau"]
    settings = _settings(taus, fits.attrs["axis"])
    for index in np.ndindex(*(fits.sizes[d] for d in dims)):
        at = dict(zip(dims, index, strict=True))
        fit = fits.isel(at)
        point = {str(name): fit[name].item() for name, c in fits.coords.items() if set(c.dims) & {*dims}}
        setting = at.pop(SETTING, None)
        part = taus.isel(at) if setting is None else taus.isel(at | {"run": settings[setting][1]})
        yield point, part, fit


def _settings(taus: xr.Dataset, axis: str) -> list[tuple[dict[str, Any], list[int]]]:
    """Group the runs along `run` by the hyperparameters that vary beside the axis and the seed."""
    names = [str(k) for k, c in taus.coords.items() if c.dims == ("run",) and k not in ("run", "seed", axis)]
    names = [name for name in names if len(np.unique(taus[name].values)) > 1]
    groups: dict[tuple, list[int]] = {}
    for run in range(taus.sizes.get("run", 0) if names else 0):
        groups.setdefault(tuple(taus[name].values[run].item() for name in names), []).append(run)
    return [(dict(zip(names, key, strict=True)), runs) for key, runs in groups.items()]


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
