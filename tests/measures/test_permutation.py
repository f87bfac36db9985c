"""Permutations within classes, and the p-value of a value among permuted ones, against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from collapse_jax.measures.estimators.permutation import against_null, p_value, shuffles

_p_value = jax.jit(p_value)


def test_permutations_of_all_rows_and_within_classes():
    labels = np.array([2, 0, 1, 0, 2, 2, 0, 1, 0, 5])
    anywhere, within = map(np.asarray, jax.jit(shuffles, static_argnums=2)(jax.random.key(0), labels, 400))
    for orders, members in ((anywhere, np.arange(10)), (within, np.flatnonzero(labels == 0))):
        assert (np.sort(orders, axis=1) == np.arange(10)).all()
        # Each row comes to each place that is open to it equally often.
        counts = (orders[:, members, None] == members).sum(0)
        share = 1 / len(members)
        assert np.abs(counts - 400 * share).max() < 5 * np.sqrt(400 * share * (1 - share))
    assert (labels[within] == labels).all()


def test_p_values_are_those_of_students_t(rng):
    draws, value = rng.normal(size=(20, 6)), np.array([-8.0, 0, 2, 4, 11, 20])
    # Mean 2 and spread 3 exactly: beyond 8 spreads, where chance may lead, the approximation is off by 5 %.
    draws = 2 + 3 * (draws - draws.mean(0)) / draws.std(0, ddof=1)
    t = (value - draws.mean(0)) / (draws.std(0, ddof=1) * np.sqrt(1 + 1 / 20))
    values, drawn = jnp.asarray(value, jnp.float32), jnp.asarray(draws, jnp.float32)
    np.testing.assert_allclose(_p_value(values, drawn), stats.t.sf(t, 19), rtol=0.05)
    np.testing.assert_allclose(_p_value(-values, -drawn), stats.t.cdf(t, 19), rtol=0.05)


@pytest.mark.parametrize("number", [5, 20])
def test_a_further_draw_has_a_uniform_p_value(number, rng):
    draws = jnp.asarray(rng.normal(size=(number + 1, 4000)), jnp.float32)
    p = np.asarray(_p_value(draws[0], draws[1:]))
    for level in (0.001, 0.01, 0.05, 0.5):
        assert np.mean(p <= level) == pytest.approx(level, abs=5 * np.sqrt(level * (1 - level) / 4000)), level


def test_without_spread_the_rank_counts():
    draws = jnp.full((20, 3), 1.0)
    assert np.asarray(_p_value(jnp.asarray([0.5, 1.0, 2.0]), draws)) == pytest.approx([1, 1, 1 / 21])
    tails = {"v": "less", "w": "lower"}
    value = jnp.asarray([0.5, 1.0, 2.0])
    less = jax.jit(lambda v, d: against_null(dict.fromkeys("vw", v), dict.fromkeys("vw", d), tails))(value, draws)
    for name in tails:
        assert np.asarray(less[f"{name}_p"]) == pytest.approx([1 / 21, 1, 1])
    assert float(_p_value(jnp.asarray(-2.0), jnp.full((20,), -jnp.inf))) == pytest.approx(1 / 21)
    one = jax.jit(against_null)({"v": jnp.asarray(2.0)}, {"v": jnp.asarray([1.0])})
    assert np.isnan(one["v_null_sd"])
    assert (float(one["v_null"]), float(one["v_p"])) == (1, 0.5)
    unknown = _p_value(jnp.asarray([jnp.nan, 1.0]), jnp.asarray([[1.0, 2.0], [1.5, jnp.nan]]))
    assert np.isnan(np.asarray(unknown)).all()
