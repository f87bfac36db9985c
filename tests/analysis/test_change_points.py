"""Change points against the package ruptures, steps of known place, and noise without any."""

import numpy as np
import pytest
import ruptures

from collapse_jax.analysis.change_points import _costs as costs_of
from collapse_jax.analysis.change_points import change_points, main_change, partitions


@pytest.mark.parametrize("cuts", [1, 2, 4])
def test_the_partition_is_that_of_ruptures(rng, cuts):
    curves = rng.normal(size=(3, 40)) + 2 * (np.arange(40) > rng.integers(5, 35, size=(3, 1)))
    right = ruptures.Dynp(model="l2", min_size=1, jump=1).fit(curves.T)
    cost, found = partitions(costs_of(curves), cuts)[cuts]
    assert list(found) == right.predict(n_bkps=cuts)[:-1]
    assert cost == pytest.approx(right.cost.sum_of_costs([*found, 40]))


def test_steps_are_found_where_they_are_and_their_number_too(rng):
    level = np.array([0.0, 3.0, -1.0])
    times = np.arange(60)
    curves = rng.normal(size=(5, 2, 60)) * 0.3 + level[np.searchsorted([20, 45], times, side="right")]
    changes = change_points(curves)
    assert changes.at == (20, 45)
    assert all(low <= at <= high for low, at, high in zip(changes.low, changes.at, changes.high, strict=True))


def test_noise_has_no_phases(rng):
    assert change_points(rng.normal(size=(5, 2, 50))).at == ()


def test_few_points_have_few_phases():
    """A ramp without noise is a step at every point: two cuts among its eight points, not seven."""
    ramp = np.broadcast_to(np.arange(8.0), (3, 2, 8))
    assert len(change_points(ramp).at) == 2
    assert change_points(ramp[..., :3]).at == ()


def test_the_interval_is_as_wide_as_the_seeds_differ(rng):
    """Changes between 15 and 35 by seed, against one place for all."""
    apart = np.array([15, 20, 25, 30, 35])
    times = np.arange(50)
    wide = (times >= apart[:, None]).astype(float)[:, None] + 0.05 * rng.normal(size=(5, 1, 50))
    same = (times >= 25).astype(float)[None, None] + 0.05 * rng.normal(size=(5, 1, 50))
    (low, high), (a, b) = (
        (changes.low[0], changes.high[0]) for changes in (change_points(wide, 1), change_points(same, 1))
    )
    assert a == b == 25
    assert high - low >= 5


def test_scale_and_offset_change_nothing(rng):
    curves = rng.normal(size=(3, 2, 40)) + 4 * (np.arange(40) > 17)
    assert change_points(curves) == change_points(curves * [[[1e6], [1e-6]]] - 7)


def test_the_main_change_is_the_middle_of_a_jump():
    assert main_change(np.array([0.0, 0, 0, 1, 1, 1, 1])) == 3
    assert main_change(np.tanh(np.linspace(-6, 6, 100))) == 50


@pytest.mark.parametrize("bad", [np.zeros((2, 1, 2)), np.full((2, 1, 9), np.nan), np.zeros((2, 9))])
def test_what_is_no_curve_is_refused(bad):
    with pytest.raises(ValueError, match="must be"):
        change_points(bad)
