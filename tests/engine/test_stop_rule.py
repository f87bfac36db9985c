"""Stop rules without training: when a run is done by its curves, and which rules are refused."""

import dataclasses

import numpy as np
import pytest
from stopping_sweeps import AT, RULE, STEPS, sweep_of

from collapse_jax.engine.stopping import Rule
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Thresholds
from collapse_jax.experiment.identity import binding_fields
from collapse_jax.experiment.stopping import Stop


def first_crossing(steps, values, level):
    """The time of a curve by definition, None for none: on the line over log(1 + step) between two log points."""
    for i, value in enumerate(values):
        if value >= level:
            if not i:
                return steps[0]
            u = np.log1p(steps[i - 1 : i + 1])
            part = (level - values[i - 1]) / (value - values[i - 1])
            return np.expm1(u[0] + part * (u[1] - u[0]))
    return None


def test_the_rule_on_random_curves(rng):
    """At each log step, from what is logged up to it alone; what comes later, and nan there, has no say."""
    rule = Stop(events=("fit", "grok"), factor=1.3, at_least=25, at_most=101)
    e = sweep_of(rule)
    steps, runs = np.array([*AT, STEPS]), 200
    curves = {name: rng.uniform(0, 0.6, (runs, len(steps))) ** 2 for name in ("train_accuracy", "test_accuracy")}
    curves = {name: np.maximum.accumulate(values, axis=1).astype(np.float32) for name, values in curves.items()}
    level = Thresholds(train_accuracy=0.25, test_accuracy=0.2)
    diverged = np.where(rng.random(runs) < 0.1, 30, -1)
    seen = 0
    for i, step in enumerate(steps[:-1]):
        known = {name: np.where(steps <= step, values, np.nan) for name, values in curves.items()}
        for results in (known, curves):
            done = Rule(dataclasses.replace(e, thresholds=level), steps).done(step, results, diverged)
            for run in range(runs):
                times = [
                    first_crossing(steps[: i + 1], curves[name][run, : i + 1].astype(float), float(np.float32(at)))
                    for name, at in (("train_accuracy", 0.25), ("test_accuracy", 0.2))
                ]
                come = None not in times and step >= max(25, 1.3 * max(times))
                assert done[run] == (come or step == 100 or step == 110 or diverged[run] >= 0), (run, step)
                seen += come
    assert 0 < seen < runs * len(steps)
    assert not Rule(e, steps).done(STEPS, curves, diverged).any()


def test_an_event_that_needs_another_and_one_that_cannot_happen():
    """Collapse counts once the run has fitted, and has been above its level."""
    e = sweep_of(Stop(events=("collapse",)), measures=("fit", "collapse"))
    rises = np.linspace(0, 1, len(AT) + 1, dtype=np.float32)
    results = {
        "train_accuracy": np.stack([rises, rises, 0 * rises, rises]),
        "rnc1": np.stack([1 - rises, 0 * rises, 1 - rises, 1 + rises]).astype(np.float32),
    }
    level = Thresholds(rnc1=0.3, train_accuracy=0.9)
    rule = Rule(dataclasses.replace(e, thresholds=level), np.array([*AT, STEPS]))
    retired = [next((s for s in AT if rule.done(s, results, np.full(4, -1))[run]), -1) for run in range(4)]
    assert retired == [110, -1, -1, -1]  # fits at 108 = .9 * 120, collapsed there already


WRONG = [
    ({"stop": Stop(events=("groc",))}, "stop.events", "grok"),
    ({"stop": Stop(events=())}, "stop.events", "None"),
    ({"stop": Stop(events=("fit", "fit"))}, "stop.events", "fit"),
    ({"stop": Stop(events=("collapse",))}, "stop.events", "measures needs collapse"),
    ({"stop": Stop(events=("fit",), factor=0.9)}, "stop.factor", ">= 1"),
    ({"stop": Stop(events=("fit",), at_least=-1)}, "stop.at_least", ">= 0"),
    ({"stop": Stop(events=("fit",), at_most=STEPS + 1)}, "stop.at_most", f"steps={STEPS}"),
    ({"stop": Stop(events=("fit",), at_least=50, at_most=40)}, "stop.at_least", "stop.at_most=40"),
    ({"stop": Stop(factor=1.1)}, "stop.factor", "stop.events"),
    ({"stop": Stop(at_most=10)}, "stop.at_most", "stop.events"),
]


@pytest.mark.parametrize(
    ("fields", "field", "words"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_wrong_rule_is_refused_in_one_line(fields, field, words):
    with pytest.raises(ConfigError) as refused:
        validate(sweep_of(**fields))
    assert refused.value.field == field
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rule_and_its_thresholds_bind_a_workdir_and_without_one_nothing_does():
    plain, ruled = (binding_fields(sweep_of(stop)) for stop in (None, RULE))
    assert not any(name.startswith(("stop", "thresholds")) for name in plain)
    assert {name for name in ruled if name not in plain} == {
        *("stop.events", "stop.factor"),
        *(f"thresholds.{item.name}" for item in dataclasses.fields(Thresholds)),
    }
