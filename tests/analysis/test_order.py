"""The order of moves: known times, the paired test against scipy, nulls."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import permutation_test

from collapse_jax.analysis.order import order, paired
from collapse_jax.errors import ConfigError

STEPS = np.unique(np.geomspace(1, 10_000, 80).astype(int))


def runs(**curves):
    """Curves [R, T] of named variables, with a step 0 that says nothing."""
    steps = np.concatenate([[0], STEPS])
    padded = {n: np.concatenate([np.full((len(c), 1), 1e3), c], axis=1) for n, c in curves.items()}
    return xr.Dataset({n: (("run", "step"), c) for n, c in padded.items()}, coords={"step": steps})


def jump(at, low=0.0, high=1.0):
    at = np.asarray(at, float)[:, None]
    return low + (high - low) / (1 + (at / STEPS) ** 6)


def test_moves_are_found_where_they_are_and_in_their_order():
    at = np.array([90.0, 100, 110, 105, 95, 100])
    moves = order(
        runs(late=jump(9 * at, 5, 2), early=jump(at), decades=10.0 ** jump(3 * at, 0, -4)),
        {"late": False, "early": False, "decades": True},
    )
    assert [move.variable for move in moves] == ["early", "decades", "late"]
    assert [move.up for move in moves] == [True, False, False]
    for move, factor in zip(moves, (1, 3, 9), strict=True):
        np.testing.assert_allclose(move.steps, factor * at, rtol=0.1)
    assert [move.p for move in moves[:2]] == [2 / 2**6] * 2
    assert [move.p_holm for move in moves[:2]] == [4 / 2**6] * 2
    assert np.isnan(moves[2].p)


def test_the_test_is_that_of_scipy(rng):
    first, second = np.exp(rng.normal(size=(2, 8)))
    mean = lambda x, y, axis: np.mean(x - y, axis=axis)  # noqa: E731
    right = permutation_test((np.log(second), np.log(first)), mean, permutation_type="samples")
    assert paired(first, second) == pytest.approx(right.pvalue)


def test_variables_that_move_together_are_not_told_apart(rng):
    p = [paired(*np.exp(rng.normal(size=(2, 20)))) for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) < 0.12
    assert paired(np.exp(rng.normal(size=20)), np.exp(3 + rng.normal(size=20))) < 0.01


def test_what_never_moves_is_left_out_and_nothing_at_all_is_refused():
    flat = np.ones((3, len(STEPS)))
    late = flat.copy()
    late[0] = np.nan
    moves = order(
        runs(flat=flat, jump=jump([10, 20, 30]), gone=np.nan * flat, some=late * jump([9, 9, 9])),
        dict.fromkeys(("flat", "jump", "gone", "some"), False),
    )
    assert [move.variable for move in moves] == ["some", "jump"]
    assert np.isnan(moves[0].steps).tolist() == [True, False, False]
    with pytest.raises(ConfigError, match="none of these variables changes"):
        order(runs(flat=flat), {"flat": False})
