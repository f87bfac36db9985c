"""One number per run: the last value of a variable, or the time of an event."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from collapse_jax.analysis.events import EVENTS
from collapse_jax.analysis.groups import flat, run_dims
from collapse_jax.analysis.summary import last_values
from collapse_jax.analysis.timescales import timescales
from collapse_jax.experiment.config import Thresholds


class Quantity(NamedTuple):
    """A number per run.

    Attributes:
      values: [R]; nan where there is none: a run that diverged has no last value, since that of a healthy step long
        before the others' does not compare with theirs.
      bound: [R] whether the number is a lower bound.
      title: its name.
      label: the same with what it is: steps, or a value at the end.
      log: whether it belongs on a logarithmic scale.
    """

    values: np.ndarray
    bound: np.ndarray
    title: str
    label: str
    log: bool

    def of(self, runs: Sequence[int]) -> "Quantity":
        """Return those of some runs."""
        return self._replace(values=self.values[runs], bound=self.bound[runs])


def quantity(results: xr.Dataset, name: str, thresholds: Thresholds | None = None) -> Quantity:
    """Return the last value of a variable of the results, or the time of an event ("tau_grok").

    Raises:
      KeyError: the results hold no such variable along the runs and steps, and no such event.
    """
    event = next((event for event in EVENTS.values() if event.tau == name), None)
    if event is not None:
        taus = timescales(results, thresholds)
        times, bound = (flat(taus[which], results) for which in (name, event.censored))
        return Quantity(times, bound, event.title, f"{event.title} (steps)", True)
    if set(results[name].dims) != {*run_dims(results), "step"}:
        raise KeyError(name)
    values = last_values(results, name)
    if "diverged_at" in results:
        values = np.where(flat(results["diverged_at"], results) >= 0, np.nan, values)
    known = values[np.isfinite(values)]
    wide = bool(known.size) and bool((known > 0).all()) and known.max() > 30 * known.min()
    words = next((e.quantity for e in EVENTS.values() if e.variable == name), name.replace("_", " "))
    title = words[0].upper() + words[1:]
    return Quantity(values, np.zeros(values.shape, bool), title, f"{title}, at the end", wide)


def mean(values: np.ndarray, log: bool) -> float:
    """The mean of the values that are finite, geometric if `log`; nan without any."""
    known = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not known.size:
        return float("nan")
    return float(np.exp(np.log(known).mean()) if log else known.mean())
