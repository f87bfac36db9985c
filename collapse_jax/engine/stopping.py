"""Stop rules: what they may say, and which runs are done by them (`config.Stop`)."""

import functools
from collections.abc import Mapping

import numpy as np
import xarray as xr

from collapse_jax import measures
from collapse_jax.analysis.events import EVENTS
from collapse_jax.analysis.timescales import find
from collapse_jax.errors import require, together
from collapse_jax.experiment import checks
from collapse_jax.experiment.checks import NUMBER, Check, OneOf
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.grid import check_distinct
from collapse_jax.training import HEALTHY

LIVING = -1  # of `retired_at`: has not retired
FIELDS: checks.Fields = {
    "stop.events": OneOf(EVENTS),
    "stop.factor": Check("must be >= 1", lambda value: value >= 1),
    "stop.at_least": NUMBER,
    "stop.at_most": NUMBER,
}


def has_rule(experiment: Experiment) -> bool:
    """Whether runs may retire."""
    return experiment.stop.events is not None


def variables_of(names: tuple[str, ...]) -> dict[str, str]:
    """Map the variables in which events are seen, and those that must come first, to the events."""
    found: dict[str, str] = {}
    for name in names:
        event = EVENTS[name]
        found |= variables_of((event.after,) if event.after else ()) | {event.variable: name}
    return found


def _given(e: Experiment) -> None:
    events = e.stop.events
    if events is not None:
        require(len(events) > 0, "stop.events", events, "must name an event, or be None: no rule")
        check_distinct("stop.events", events)
        return
    allowed = f"has no say without stop.events: any of {', '.join(EVENTS)}"
    together(
        functools.partial(require, value is None, f"stop.{name}", value, allowed)
        for name, value in vars(e.stop).items()
    )


def _in_line(e: Experiment) -> None:
    measured = {name for family in e.measures for name in measures.MEASURES[family].variables}
    for variable, event in variables_of(e.stop.events or ()).items():
        has = [name for name, family in measures.MEASURES.items() if variable in family.variables]
        allowed = f"{event} is seen in {variable}, which is not measured in-line; measures needs {' or '.join(has)}"
        require(variable in measured, "stop.events", e.stop.events, allowed)


def _ordered(e: Experiment) -> None:
    stop = e.stop
    most = e.steps if stop.at_most is None else stop.at_most
    require(most <= e.steps, "stop.at_most", most, f"must be <= steps={e.steps}")
    least = stop.at_least or 0
    require(
        least <= most,
        "stop.at_least",
        least,
        f"must be <= {'steps' if stop.at_most is None else 'stop.at_most'}={most}",
    )


RELATIONS: checks.Relations = (
    (("stop",), _given),
    (("stop.events", "measures"), _in_line),
    (("stop", "steps"), _ordered),
)


class Rule:
    """The stop rule of an experiment: which of its runs are done at a log step.

    Args:
      experiment: that has one.
      steps: [T] log steps.
    """

    def __init__(self, experiment: Experiment, steps: np.ndarray):
        stop = self._stop = experiment.stop
        self._events = [EVENTS[name] for name in stop.events or ()]
        self._variables = tuple(variables_of(stop.events or ()))
        self._thresholds = experiment.thresholds
        self._steps = steps
        self._last = experiment.steps if stop.at_most is None else stop.at_most

    def done(self, step: int, results: Mapping[str, np.ndarray], diverged_at: np.ndarray) -> np.ndarray:
        """Say which runs are done at a log step, at the last of which none retires.

        Args:
          step: the log step.
          results: variable -> [R, T, ...] as far as they are logged; what comes after `step` has no say.
          diverged_at: [R] first bad step, -1 for healthy runs.

        Returns:
          [R] bool.
        """
        seen = self._steps <= step
        if seen.all():
            return np.zeros(diverged_at.shape, bool)
        late = self._steps[~seen][0] > self._last
        return late | (diverged_at != HEALTHY) | self._come(step, seen, results)

    def _come(self, step: int, seen: np.ndarray, results: Mapping[str, np.ndarray]) -> np.ndarray:
        """[R] whether all events have happened, and long enough ago."""
        curves = {name: (("run", "step"), results[name][:, seen]) for name in self._variables}
        dataset = xr.Dataset(curves, {"step": self._steps[seen]})
        times = [find(event, dataset, self._thresholds)[1] for event in self._events]
        factor = self._stop.factor or 1.0
        come = [found.happened & (step >= factor * found.steps) for found in times]
        return np.all(come, axis=0) & (step >= (self._stop.at_least or 0))


def rule_of(experiment: Experiment, steps: np.ndarray) -> Rule | None:
    """Return the stop rule of an experiment with these log steps; None without."""
    return Rule(experiment, steps) if has_rule(experiment) else None
