"""What may happen to a run, and when: the one table of events. To add one, add an entry.

Time scales, tables, warnings, slopes and the marks of figures are made from it.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Literal

import xarray as xr

from collapse_jax.errors import WorkdirError
from collapse_jax.experiment.config import Thresholds
from collapse_jax.experiment.thresholds import with_levels

# With what results are read. None: with their own thresholds; some levels, such as {"rnc1": 0.02}: with their own
# but for these.
Levels = Thresholds | Mapping[str, float] | None
Rule = Literal[">=", "<=", "argmax", "argmin"]
_SIGNS = {">=": "{quantity} ≥ {level:g}", "<=": "{quantity} ≤ {level:g}"}
_EXTREMES = {"argmax": "the highest {quantity}", "argmin": "the lowest {quantity}"}


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happens to a run at a time.

    Attributes:
      name: of its variables: `tau_<name>` and what `timescales` says beside it.
      variable: of the results, in which it is seen.
      rule: ">=" or "<=": the first step at which the variable meets the threshold; "argmax" or "argmin": the step
        of its highest or lowest value.
      quantity: the variable in words.
      long_name: of the time.
      title: a word for headings.
      past: what a run has done that the event has happened to.
      colour: of its marks.
      marker: of its marks.
      threshold: a number, or the field of `Thresholds` that holds it; extremes have none.
      after: an event that must have happened first: what the variable did before does not count.
      falls: whether the variable must have been on the other side of the threshold before: what was there from the
        start has not happened.
      log: whether the variable falls through decades, so that between log points its logarithm is a straight line.
      theory: axis -> d log tau / d log axis by theory.
      for_good: whether the threshold must be met from then on; see `lasting`.
    """

    name: str
    variable: str
    rule: Rule
    quantity: str
    long_name: str
    title: str
    past: str
    colour: str
    marker: str
    threshold: float | str | None = None
    after: str | None = None
    falls: bool = False
    log: bool = False
    theory: Mapping[str, float] = dataclasses.field(default_factory=dict)
    for_good: bool = False

    @property
    def tau(self) -> str:
        """Name of its time."""
        return f"tau_{self.name}"

    @property
    def censored(self) -> str:
        """Name of the variable that says whether the time is a lower bound."""
        return f"{self.name}_censored"

    @property
    def lower(self) -> str:
        """Name of the last step at which it is known not to have happened."""
        return f"{self.name}_lower"

    @property
    def upper(self) -> str:
        """Name of the first step at which it is known to have happened."""
        return f"{self.name}_upper"

    @property
    def applicable(self) -> str:
        """Name of the variable that says whether it could happen to a run."""
        return f"{self.name}_applicable"

    @property
    def held(self) -> str:
        """Name of the share of the later log points at which the threshold is still met."""
        return f"{self.name}_held"

    @property
    def lasting(self) -> "Event":
        """The same event, if it lasts: from when on the threshold is met at all log points."""
        long_name, past = f"{self.long_name}, for good", f"{self.past} for good"
        return dataclasses.replace(self, name=f"{self.name}_lasting", long_name=long_name, past=past, for_good=True)

    def level(self, thresholds: Thresholds) -> float | None:
        """Return the threshold; None for an extreme."""
        return getattr(thresholds, self.threshold) if isinstance(self.threshold, str) else self.threshold

    def condition(self, thresholds: Thresholds) -> str:
        """Say what happens: "train accuracy ≥ 0.99"."""
        text = (_SIGNS | _EXTREMES)[self.rule].format(quantity=self.quantity, level=self.level(thresholds))
        first = f", once {EVENTS[self.after].past}" if self.after else ""
        return f"{text}{first}{', for good' if self.for_good else ''}"

    def why_not(self, thresholds: Thresholds) -> str:
        """Say when it is not applicable to a run: "never fitted, or RNC1 ≤ 0.01 from the start"."""
        reasons = [f"never {EVENTS[self.after].past}"] if self.after else []
        if self.falls:
            start = _SIGNS[self.rule].format(quantity=self.quantity, level=self.level(thresholds))
            reasons.append(f"{start} from the start")
        return ", or ".join(reasons)


# Theory: arXiv 2509.20829, Theorem 4.3: tau_fit = Omega(log(1/eps) / eta) and tau_collapse = Omega(log(1/eps) /
# (eta lambda)), proved for full-batch gradient descent; tau_grok follows the collapse by Theorem 3.2.
# Colours: Okabe-Ito, distinct for colour-blind readers and in grey.
_TABLE = (
    Event(
        "fit",
        "train_accuracy",
        ">=",
        quantity="train accuracy",
        long_name="time to fit the training set",
        title="Fit",
        past="fitted",
        colour="#4d4d4d",
        marker="s",
        threshold="train_accuracy",
        theory={"weight_decay": 0.0, "learning_rate": -1.0},
    ),
    Event(
        "grok",
        "test_accuracy",
        ">=",
        quantity="test accuracy",
        long_name="time to generalise (grokking)",
        title="Grokking",
        past="grokked",
        colour="#d55e00",
        marker="o",
        threshold="test_accuracy",
        theory={"weight_decay": -1.0, "learning_rate": -1.0},
    ),
    Event(
        "collapse",
        "rnc1",
        "<=",
        quantity="RNC1",
        long_name="time to neural collapse",
        title="Collapse",
        past="collapsed",
        colour="#0072b2",
        marker="D",
        threshold="rnc1",
        after="fit",
        falls=True,
        log=True,
        theory={"weight_decay": -1.0, "learning_rate": -1.0},
    ),
)
EVENTS: dict[str, Event] = {event.name: event for event in _TABLE}


@dataclasses.dataclass(frozen=True)
class Delay:
    """How many times later one event comes than another; `<name>_censored` says where it is a lower bound.

    Attributes:
      name: of the variable, the time of the one over that of the other.
      event: of the table.
      since: the other.
      long_name: of the variable.
      words: in which it is said, with a place for what stands between.
    """

    name: str
    event: str
    since: str
    long_name: str
    words: str

    def text(self, ratio: float, bound: bool) -> str:
        """Say it: "Grokking came 30.7 times later than fitting"; `bound`: a lower bound."""
        if bound:
            return self.words.format(f"more than {ratio:,.3g} times as late as")
        if ratio < 1:
            return self.words.format(f"{1 / ratio:,.3g} times earlier than")
        return self.words.format(f"{ratio:,.3g} times later than")


DELAY = Delay("separation", "grok", "fit", "grokking delay", "Grokking came {} fitting")


def events_of(dataset: xr.Dataset) -> list[Event]:
    """Return the events whose times a dataset of `timescales` holds."""
    return [event for event in EVENTS.values() if event.tau in dataset]


def thresholds_of(results: xr.Dataset, thresholds: Levels = None) -> Thresholds:
    """Return the thresholds with which results are read: those given, else the results' own, else the defaults.

    Raises:
      ConfigError: a level that is given is not allowed.
      WorkdirError: the results hold an experiment, but none with thresholds.
    """
    if isinstance(thresholds, Thresholds):
        return thresholds
    own = own_thresholds(results) if "experiment" in results.attrs else Thresholds()
    return with_levels(own, thresholds or {})


def own_thresholds(results: xr.Dataset) -> Thresholds:
    """Return the thresholds with which the sweep was configured.

    Raises:
      WorkdirError: the results do not describe their experiment, or lack `diverged_at`, as a dataset that was
        computed from results may.
    """
    try:
        results["diverged_at"]
        known: dict[str, Any] = json.loads(results.attrs["experiment"])["thresholds"]
        return Thresholds(**known)
    except (ValueError, KeyError, TypeError):
        source = results.encoding.get("source", "of this dataset")
        raise WorkdirError(
            f"results {source}: need diverged_at and attrs['experiment'], the config with its thresholds"
        ) from None
