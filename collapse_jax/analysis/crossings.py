"""When curves cross a level, or are at their extreme: between which log points, and where between them."""

import math
from typing import NamedTuple

import numpy as np


class Times(NamedTuple):
    """When an event happens to curves; every array has their leading shape, [...].

    What is logged at some steps only is interval-censored: the event lies in (lower, upper].

    Attributes:
      steps: float64, the best single number between the bounds; where censored `lower`; nan where nothing is known.
      lower: the last step at which the event is known not to have happened; 0 where no log point says so.
      upper: the first step at which it is known to have happened; inf where that was not seen (right-censored), nan
        where there is nothing that could happen.
      applicable: False where the event has no meaning for the curve: what must come first did not, or the curve was
        never on the other side of the level.
      held: share of the later log points with a value, that of the event included, at which the curve still meets
        the level; nan where it did not happen, or the event is an extreme.
    """

    steps: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    applicable: np.ndarray
    held: np.ndarray

    @property
    def happened(self) -> np.ndarray:
        """True where the event was seen."""
        return np.isfinite(self.upper)

    @property
    def allows(self) -> np.ndarray:
        """True where an event that needs this one first can happen: not where this was looked for in vain."""
        return self.happened | np.isnan(self.lower)

    @property
    def censored(self) -> np.ndarray:
        """True where the event was not seen: its time is above `lower`."""
        return np.isposinf(self.upper)

    @property
    def resolution(self) -> np.ndarray:
        """Ratio (1 + upper) / (1 + lower), to within which the schedule resolves the time; nan where censored."""
        return np.where(self.happened, (1 + self.upper) / (1 + self.lower), np.nan)


def crossing(
    values: np.ndarray,
    steps: np.ndarray,
    level: float,
    sign: str,
    *,
    log: bool = False,
    falls: bool = False,
    lasting: bool = False,
    diverged: np.ndarray | None = None,
    since: Times | None = None,
) -> Times:
    """When a curve first meets a level, or from when on it does not leave it again.

    With i the log point of the event and j the last one before it that has a value, the event lies in (t_j, t_i].
    The single number is read off the straight line between the two over u = log(1 + step): u = u_j + (h(level) -
    h(v_j)) / (h(v_i) - h(v_j)) * (u_i - u_j), with h = log if `log` (and both values are positive), else the
    identity: the line that a figure shows. log(1 + step) equals log(step) to 1/step and is finite at step 0. Where
    there is no such line, because v_j is infinite or there is no j, it is t_i.

    Args:
      values: [..., T] the curves; nan neither meets the level nor misses it.
      steps: [T] increasing steps, the first may be 0.
      level: compared in the dtype of `values`: a float32 accuracy of 0.7 meets 0.7.
      sign: ">=" or "<=".
      log: whether the values live on a logarithmic scale, as RNC1 does, which falls through decades.
      falls: whether a curve that meets the level from its start has not had the event: it must miss it first.
      lasting: whether the curve must meet the level at all later log points with a value.
      diverged: [...] True for curves that end because their run was no longer finite. What is met for the first
        time at the last of their points may be the divergence itself and does not count.
      since: an event that must have happened first; one whose level is met when that happens happens with it.
    """
    threshold = values.dtype.type(level)
    known = ~np.isnan(values)
    met = known & (values >= threshold if sign == ">=" else values <= threshold)
    missed = known & ~met
    place = np.arange(len(steps))
    counts = met.copy()
    if diverged is not None:
        counts &= ~(diverged[..., None] & (place == _last(known)[..., None]))
    if since is not None:
        counts &= (steps >= since.steps[..., None]) & since.happened[..., None]
    if falls:
        counts &= np.logical_or.accumulate(missed, axis=-1)
    if lasting:
        counts &= place > np.where(missed.any(axis=-1), _last(missed), -1)[..., None]
    happened, here = counts.any(axis=-1), counts.argmax(axis=-1)
    before = np.where(known & (place < here[..., None]), place, -1).max(axis=-1, initial=-1)
    with_it = happened & (before >= 0) & _at(met, before)  # met already when `since` happened
    tau = np.where(with_it, 0.0, _between(values, steps, float(threshold), log, before, here))
    seen = np.where((before >= 0) & ~with_it, steps[before], 0.0)
    unseen = np.where(missed.any(axis=-1), steps[_last(missed)], np.where(known.any(axis=-1), 0.0, math.nan))
    lower = np.where(happened, seen, unseen)
    upper = np.where(happened, steps[here], math.inf)
    possible = missed.any(axis=-1) | ~known.any(axis=-1) | (not falls)
    applicable = possible
    if since is not None:
        tau, lower, upper = np.fmax(tau, since.steps), np.fmax(lower, since.lower), np.fmax(upper, since.upper)
        applicable = possible & since.allows
    later = place >= here[..., None]
    held = (met & later).sum(axis=-1) / np.maximum((known & later).sum(axis=-1), 1)
    tau, lower, upper = (
        np.where(possible, bound, math.nan) for bound in (np.where(happened, tau, lower), lower, upper)
    )
    return Times(tau, lower, upper, applicable, np.where(happened, held, math.nan))


def _between(
    values: np.ndarray, steps: np.ndarray, level: float, log: bool, before: np.ndarray, here: np.ndarray
) -> np.ndarray:
    """[...] where the line between two log points crosses the level; the second where there is no such line."""
    clock = np.log1p(steps.astype(np.float64))
    low, high = _at(values, before).astype(np.float64), _at(values, here).astype(np.float64)
    inside = (before >= 0) & np.isfinite(low) & np.isfinite(high) & (low != high)
    low, high = np.where(inside, low, 0.0), np.where(inside, high, 1.0)
    target = np.full(low.shape, level)
    if log:
        positive = (low > 0) & (high > 0) & (target > 0)
        low, high, target = (np.where(positive, np.log(np.where(positive, v, 1.0)), v) for v in (low, high, target))
    fraction = np.where(inside, (target - low) / (high - low), 1.0)
    # The exact log point where there is nothing to interpolate: expm1(log1p(n)) is n only up to rounding.
    between = np.expm1(clock[before] + fraction * (clock[here] - clock[before]))
    return np.where(fraction == 1.0, steps[here], between).astype(np.float64)


def extreme(values: np.ndarray, steps: np.ndarray, rule: str, since: Times | None = None) -> Times:
    """The step of the highest ("argmax") or lowest ("argmin") value of a curve, the first of equal ones.

    It lies between the log points with a value on both sides. At the last of these the curve may still rise (or
    fall): then the time is a lower bound.

    Args:
      values: [..., T] the curves; what is not finite takes no part.
      steps: [T] increasing steps.
      rule: "argmax" or "argmin".
      since: an event that must have happened first: what the curve did before does not count.
    """
    known = np.isfinite(values)
    counts = known
    if since is not None:
        counts = known & (steps >= since.steps[..., None]) & since.happened[..., None]
    signed = values if rule == "argmax" else -values
    here = np.where(counts, signed, -math.inf).argmax(axis=-1)
    place, last = np.arange(len(steps)), _last(known)
    happened = counts.any(axis=-1) & (here != last)
    before = np.where(known & (place < here[..., None]), place, -1).max(axis=-1, initial=-1)
    after = np.where(known & (place > here[..., None]), place, len(steps)).min(axis=-1, initial=len(steps))
    unseen = np.where(known.any(axis=-1), steps[last], math.nan)
    lower = np.where(happened, np.where(before >= 0, steps[before], 0.0), unseen)
    upper = np.where(happened, steps[np.minimum(after, len(steps) - 1)], math.inf)
    if since is not None:
        lower = np.fmax(lower, since.lower)
    steps_of = np.where(happened, steps[here], lower)
    applicable = np.ones(happened.shape, bool) if since is None else since.allows
    return Times(steps_of, lower, upper, applicable, np.full(happened.shape, math.nan))


def _at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]


def _last(known: np.ndarray) -> np.ndarray:
    """[..., T] -> [...], the last position that is True."""
    return known.shape[-1] - 1 - known[..., ::-1].argmax(axis=-1)
