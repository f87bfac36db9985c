"""When each event happens, in steps, one number per run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from collapse_jax.analysis.crossings import Times, crossing, extreme
from collapse_jax.analysis.events import DELAY, EVENTS, Event, Levels, thresholds_of
from collapse_jax.analysis.groups import flat, require_dataset
from collapse_jax.experiment.config import Thresholds


def timescales(results: xr.Dataset, thresholds: Levels = None) -> xr.Dataset:
    """The steps at which the events of `EVENTS` happen to every run: it fits, groks, collapses.

    tau_fit = min{t: train_accuracy >= thr}, tau_grok = min{t: test_accuracy >= thr},
    tau_collapse = min{t >= tau_fit: rnc1 <= thr, after rnc1 > thr}: first crossings. What is met for the first
    time at the last finite log point of a run that diverged does not count. An event is seen at log points only, so
    it is known to lie in (lower, upper]; tau is read off the curve between them (`crossing`). One that was not seen
    has upper = inf and tau = lower, a lower bound: the last log point that says it had not happened (for a diverged
    run its last healthy one). Units: steps. Source: arXiv 2509.20829, Theorem 4.3 (tau_1 = fitting, tau_2 =
    collapse) and Figure 3; the preconditions are this package's.

    Args:
      results: dims (..., step); an event whose variable, or that of the event before it, is missing is left out.
      thresholds: the levels; None: those of the results' own experiment, or the defaults where they hold none; some
        levels, such as {"rnc1": 0.02}: the same but for these.

    Returns:
      A dataset over the run dims. Of each event: tau_<event>, <event>_lower, <event>_upper, <event>_censored (not
      seen), <event>_applicable (False where what must come first did not happen: then it is censored, too; or where
      the level was met from the start: then its time is nan). Of each event with a threshold also <event>_held, the
      share of the later log points that still meet it, and the same variables of <event>_lasting, from which on all
      log points do: not seen where the last one does not. And separation = tau_grok / tau_fit (a lower bound where
      separation_censored, nan for a run that never fitted or that fits at step 0).

    Raises:
      ConfigError: `results` is no dataset, or a level is not allowed.
    """
    require_dataset("results", results, "open_results")
    thresholds = thresholds_of(results, thresholds)
    out = xr.Dataset(coords={k: c for k, c in results.coords.items() if "step" not in c.dims})
    for event in EVENTS.values():
        needed = [event.variable, *([EVENTS[event.after].variable] if event.after else [])]
        if all(name in results for name in needed) and results.sizes.get("step", 0):
            dims, times = find(event, results, thresholds)
            out = out.assign(_variables(event, dims, times, thresholds))
            if event.threshold is not None:
                _, times = find(event, results, thresholds, lasting=True)
                out = out.assign(_variables(event.lasting, dims, times, thresholds))
    if {EVENTS[DELAY.event].tau, EVENTS[DELAY.since].tau} <= out.keys():
        out = out.assign(_delay(out))
    return out


def find(
    event: Event, results: xr.Dataset, thresholds: Thresholds, *, lasting: bool = False
) -> tuple[tuple[Any, ...], Times]:
    """Return the dims of the runs, and when an event happens to each, first or for good."""
    # Steps at which only other variables were measured are no gaps of this one.
    curves = results[event.variable].dropna("step", how="all")
    curves = (curves if curves.sizes["step"] else results[event.variable]).transpose(..., "step")
    values, steps, level, dims = curves.values, curves["step"].values, event.level(thresholds), curves.dims[:-1]
    since = _of_first(event, results, thresholds, dims)
    if level is None:
        return dims, extreme(values, steps, event.rule, since)
    ended = results["diverged_at"] >= 0 if "diverged_at" in results else xr.zeros_like(curves[..., 0], bool)
    how = {"log": event.log, "falls": event.falls, "lasting": lasting}
    return dims, crossing(
        values, steps, level, event.rule, diverged=ended.transpose(*dims).values, since=since, **how
    )


def _of_first(event: Event, results: xr.Dataset, thresholds: Thresholds, dims: Sequence[Any]) -> Times | None:
    """When the event happens that must come first, over the runs in the order of `dims`."""
    if event.after is None:
        return None
    own, times = find(EVENTS[event.after], results, thresholds)
    return Times(*(xr.DataArray(values, dims=own).transpose(*dims).values for values in times))


def times_of(taus: xr.Dataset, event: Event, like: xr.Dataset) -> Times:
    """Return the times of an event run by run, [R], in the order of `flat(..., like)`."""
    tau, lower, upper, applicable = (
        flat(taus[name], like) for name in (event.tau, event.lower, event.upper, event.applicable)
    )
    held = flat(taus[event.held], like) if event.held in taus else np.full(tau.shape, np.nan)
    return Times(tau, lower, upper, applicable, held)


def _variables(event: Event, dims: Sequence[Any], times: Times, thresholds: Thresholds) -> dict[str, tuple]:
    level, text = event.level(thresholds), event.condition(thresholds)
    step = "step" if level is None else "first step"
    how = "" if level is None else ", interpolated in log(1 + step)"
    described = {
        event.tau: (times.steps, "", "steps", f"{step} with {text}{how}; a lower bound where censored"),
        event.lower: (times.lower, ": not before", "steps", f"last log step at which it was not: {text}"),
        event.upper: (times.upper, ": not after", "steps", f"first log step with {text}; inf where censored"),
        event.censored: (times.censored, ": not reached", "1", f"never {text}"),
        event.applicable: (times.applicable, ": can happen", "1", f"not: {event.why_not(thresholds)}"),
        event.held: (times.held, ": held", "1", f"share of the log steps from then on with {text}"),
    }
    out: dict[str, tuple] = {
        name: (dims, values, {"long_name": event.long_name + more, "units": units, "definition": definition})
        for name, (values, more, units, definition) in described.items()
        if name != event.held or level is not None
    }
    if level is not None:
        out[event.tau][2]["threshold"] = level
    return out


def _delay(taus: xr.Dataset) -> dict[str, xr.DataArray]:
    event, since = EVENTS[DELAY.event], EVENTS[DELAY.since]
    happened = ~taus[since.censored] & (taus[since.tau] > 0)
    ratio = taus[event.tau] / taus[since.tau].where(happened)
    bound = taus[event.censored]
    definition = f"{event.tau} / {since.tau}; nan if never {since.past}"
    return {
        DELAY.name: ratio.assign_attrs(long_name=DELAY.long_name, units="1", definition=definition),
        f"{DELAY.name}_censored": bound.assign_attrs(
            long_name=f"{DELAY.long_name}: lower bound", units="1", definition=event.censored
        ),
    }


def scaled_time(results: xr.Dataset) -> xr.Dataset:
    """Adds the coordinate scaled_time = learning_rate * weight_decay * step.

    In units of the weight-decay time 1/(eta lambda), dimensionless: curves of different weight decays fall
    on each other where tau = C / (eta lambda), as arXiv 2509.20829, Theorem 4.3 has it for RNC1.

    Raises:
      ValueError: if the results lack the coordinate learning_rate or weight_decay.
    """
    for name in ("learning_rate", "weight_decay"):
        if name not in results.coords:
            raise ValueError(f"scaled time eta*lambda*t needs the coordinate {name!r}, which the results lack")
    clock = results["learning_rate"] * results["weight_decay"] * results["step"]
    attrs = {
        "long_name": "scaled time η·λ·t",
        "units": "1",
        "definition": "learning_rate * weight_decay * step",
    }
    return results.assign_coords(scaled_time=clock.assign_attrs(attrs))
