"""When curves cross a level, or are at their extreme, between log points if need be."""

import math
from typing import NamedTuple

import numpy as np


class Times(NamedTuple):
    """When an event happens to curves; every array has their leading shape, [...].

    Attributes:
      steps: float64; where censored the last step with a value, a lower bound; nan without any.
      censored: True where the event was not seen.
      bracket: how well the schedule resolves the time: the ratio (1 + upper) / (1 + lower) of the log steps around
        it; 1 at the first log point, nan where censored.
    """

    steps: np.ndarray
    censored: np.ndarray
    bracket: np.ndarray


def first_crossing(
    values: np.ndarray, steps: np.ndarray, threshold: float, sign: str, *, log: bool = False
) -> Times:
    """The first step at which a curve meets a threshold, between log points if need be.

    With i the first log point that meets it, the crossing is read off the straight line between the
    points i-1 and i over u = log(1 + step): u = u_{i-1} + (h(thr) - h(v_{i-1})) / (h(v_i) - h(v_{i-1})) *
    (u_i - u_{i-1}), with h = log if `log` (and both values are positive), else the identity: the line that
    a figure shows. log(1 + step) equals log(step) to 1/step and is finite at step 0. A curve that meets the
    threshold at its first log point crosses there; one whose point i-1 is nan or infinite at point i.

    Args:
      values: [..., T] the curves; nan never meets a threshold.
      steps: [T] increasing steps, the first may be 0.
      threshold: the level, compared in the dtype of `values`: a float32 accuracy of 0.7 meets 0.7.
      sign: ">=" or "<=".
      log: whether the values live on a logarithmic scale, as RNC1 does, which falls through decades.
    """
    level = values.dtype.type(threshold)
    met = values >= level if sign == ">=" else values <= level
    crossed = met.any(axis=-1)
    here = met.argmax(axis=-1)
    before = np.maximum(here - 1, 0)
    clock = np.log1p(steps.astype(np.float64))
    low, high = _at(values, before), _at(values, here)
    inside = crossed & (here > 0) & np.isfinite(low) & np.isfinite(high)
    low, high = np.where(inside, low, 0.0), np.where(inside, high, 1.0)
    target = np.full(low.shape, float(level))
    if log:
        positive = (low > 0) & (high > 0) & (target > 0)
        low, high, target = (np.where(positive, np.log(np.where(positive, v, 1.0)), v) for v in (low, high, target))
    fraction = np.where(inside, (target - low) / (high - low), 1.0)
    # The exact log point where there is nothing to interpolate: expm1(log1p(n)) is n only up to rounding.
    exact = ~inside | (fraction == 1.0)
    between = np.expm1(clock[before] + fraction * (clock[here] - clock[before]))
    tau = np.where(exact, steps[here], between).astype(np.float64)
    return _times(values, steps, tau, ~crossed, clock[here] - clock[before])


def extreme(values: np.ndarray, steps: np.ndarray, rule: str) -> Times:
    """The step of the highest ("argmax") or lowest ("argmin") value of a curve, the first of equal ones.

    It lies between the log points on both sides. At the last log point with a value the curve may still rise (or
    fall): then the time is a lower bound.

    Args:
      values: [..., T] the curves; what is not finite takes no part.
      steps: [T] increasing steps.
      rule: "argmax" or "argmin".
    """
    known = np.isfinite(values)
    sign = 1.0 if rule == "argmax" else -1.0
    here = np.where(known, sign * values, -math.inf).argmax(axis=-1)
    last = _last(known)
    censored = ~known.any(axis=-1) | (here == last)
    clock = np.log1p(steps.astype(np.float64))
    before, after = np.maximum(here - 1, 0), np.minimum(here + 1, values.shape[-1] - 1)
    return _times(values, steps, steps[here].astype(np.float64), censored, clock[after] - clock[before])


def _times(
    values: np.ndarray, steps: np.ndarray, tau: np.ndarray, censored: np.ndarray, width: np.ndarray
) -> Times:
    observed = ~np.isnan(values)
    bound = np.where(observed.any(axis=-1), steps[_last(observed)].astype(np.float64), math.nan)
    return Times(np.where(censored, bound, tau), censored, np.where(censored, math.nan, np.exp(width)))


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0].astype(np.float64)


def _last(known: np.ndarray) -> np.ndarray:
    """[..., T] -> [...], the last position that is True."""
    return known.shape[-1] - 1 - known[..., ::-1].argmax(axis=-1)
