"""When each event happens, in steps, one number per run."""

import numpy as np
import xarray as xr

from collapse_jax.analysis.crossings import Times, extreme, first_crossing
from collapse_jax.analysis.events import DELAY, EVENTS, Event, Levels, thresholds_of
from collapse_jax.experiment.config import Thresholds


def timescales(results: xr.Dataset, thresholds: Levels = None) -> xr.Dataset:
    """The steps at which the events of `EVENTS` happen to every run: it fits, groks, collapses.

    tau_fit = min{t: train_accuracy >= thr}, tau_grok = min{t: test_accuracy >= thr},
    tau_collapse = min{t: rnc1 <= thr}: first crossings, so a run that falls back later keeps its time.
    Between log points see `first_crossing`. A run to which an event does not happen is kept and flagged in
    `<event>_censored`; its tau is then the last step with a value (for a diverged run its last healthy one),
    which is a lower bound. Units: steps. Source: arXiv 2509.20829, Theorem 4.3 (tau_1 = fitting, tau_2 = collapse)
    and Figure 3.

    Args:
      results: dims (..., step); an event whose variable is missing is left out.
      thresholds: the levels; None: those of the results' own experiment, or the defaults where they hold none; some
        levels, such as {"rnc1": 0.02}: the same but for these.

    Returns:
      A dataset over the run dims with tau_<event>, <event>_censored, <event>_bracket
      (the factor within which the log schedule can place tau; a sparse schedule biases it), and
      separation = tau_grok / tau_fit (a lower bound where separation_censored, nan for a run that never
      fitted or that fits at step 0).
    """
    thresholds = thresholds_of(results, thresholds)
    out = xr.Dataset(coords={k: c for k, c in results.coords.items() if "step" not in c.dims})
    for event in EVENTS.values():
        if event.variable in results and results.sizes.get("step", 0):
            out = out.assign(_variables(event, results, thresholds))
    if {EVENTS[DELAY.event].tau, EVENTS[DELAY.since].tau} <= out.keys():
        out = out.assign(_delay(out))
    return out


def _variables(event: Event, results: xr.Dataset, thresholds: Thresholds) -> dict[str, tuple]:
    # Steps at which only other variables were measured are no gaps of this one.
    curves = results[event.variable].dropna("step", how="all")
    curves = (curves if curves.sizes["step"] else results[event.variable]).transpose(..., "step")
    level, text, dims = event.level(thresholds), event.condition(thresholds), curves.dims[:-1]
    found = _find(event, _counted(event, curves, results, thresholds).values, curves["step"].values, level)
    step = "step" if level is None else "first step"
    how = "" if level is None else ", interpolated in log(1 + step)"
    described = {
        event.tau: (found.steps, "", "steps", f"{step} with {text}{how}; a lower bound where censored"),
        event.censored: (found.censored, ": not reached", "1", f"never {text}"),
        event.bracket: (found.bracket, ": resolution", "1", "ratio of the two log steps (plus 1) around tau"),
    }
    out: dict[str, tuple] = {
        name: (dims, values, {"long_name": event.long_name + more, "units": units, "definition": definition})
        for name, (values, more, units, definition) in described.items()
    }
    if level is not None:
        out[event.tau][2]["threshold"] = level
    return out


def _find(event: Event, values: np.ndarray, steps: np.ndarray, level: float | None) -> Times:
    if level is None:
        return extreme(values, steps, event.rule)
    return first_crossing(values, steps, level, event.rule, log=event.log)


def _counted(event: Event, curves: xr.DataArray, results: xr.Dataset, thresholds: Thresholds) -> xr.DataArray:
    """The values that count: those from the event on that must have happened first."""
    if event.after is None:
        return curves
    first = EVENTS[event.after]
    if first.variable not in results:
        return curves.where(False)
    before = _variables(first, results, thresholds)
    times, censored = (xr.DataArray(before[name][1], dims=before[name][0]) for name in (first.tau, first.censored))
    # Not the step dimension of the mask, but that of the curves, which may have been measured at others.
    return curves.where((curves["step"] >= times) & ~censored).transpose(*curves.dims)


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
