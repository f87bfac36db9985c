import numpy as np
import pytest

from collapse_jax.experiment.config import Schedule
from collapse_jax.experiment.schedule import schedule_steps


def test_reference_rule_of_the_main_experiment():
    steps = schedule_steps(Schedule(), 100_000)
    # The public code logs 192 points up to 99,900; ours adds the end of training.
    assert len(steps) == 193
    np.testing.assert_array_equal(steps[:31], [*range(30), 30])
    np.testing.assert_array_equal(steps[30:42], np.arange(30, 150, 10))
    np.testing.assert_array_equal(steps[42:45], [666, 1332, 1998])
    assert steps[-2] == 99_900
    assert steps[-1] == 100_000


@pytest.mark.parametrize("steps", [1, 29, 149, 150, 151, 100_001])
@pytest.mark.parametrize("rule", ["reference", "geometric"])
def test_any_length_begins_at_zero_and_ends_at_the_end(rule, steps):
    found = schedule_steps(Schedule(rule=rule, points=20), steps)
    assert found[0] == 0
    assert found[-1] == steps
    assert np.all(np.diff(found) > 0)


def test_geometric_rule_has_constant_ratio():
    found = schedule_steps(Schedule(rule="geometric", points=5), 10_000)
    np.testing.assert_array_equal(found, [0, 1, 10, 100, 1000, 10_000])


def test_explicit_rule_keeps_the_given_steps_and_the_end():
    np.testing.assert_array_equal(schedule_steps(Schedule(rule="explicit", at=(5, 3, 5)), 9), [3, 5, 9])


def test_further_steps_join_any_rule():
    found = schedule_steps(Schedule(at=(200, 400)), 100_000)
    assert {200, 400} <= set(found.tolist())
    assert len(found) == 195
