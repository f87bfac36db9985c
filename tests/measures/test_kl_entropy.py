"""Nearest neighbours and the weighted entropy against closed forms, reference numbers and scipy's trees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hoi.core.entropies import entropy_knn
from scipy.spatial import cKDTree
from scipy.special import digamma
from scipy.stats import differential_entropy

from collapse_jax.measures.estimators import neighbours
from collapse_jax.measures.estimators.codes import principal_components, unit_variance, whiten
from collapse_jax.measures.estimators.kl_entropy import (
    conditional_entropy,
    entropy_weights,
    log_ball_volume,
    weighted_entropy,
)
from collapse_jax.measures.estimators.neighbours import (
    LANES,
    distances_euclidean,
    distances_max,
    each_point,
    nearest,
    smallest,
    table_of,
)

_entropy = jax.jit(weighted_entropy, static_argnames="k")
TIME = np.arange(500.0)
FIRST = np.stack(
    [np.sin(TIME), np.cos(0.7 * TIME + 0.3), np.sin((0.31 * TIME * TIME) % 7), np.cos(0.17 * TIME)], axis=1
)
SECOND = np.stack(
    [np.sin(0.9 * TIME + 0.2), np.cos(0.5 * TIME), np.sin(0.23 * TIME), np.cos(0.11 * TIME + 1)], axis=1
)


def neighbour_distances(points, k, distances=distances_euclidean):
    points = jnp.asarray(points)
    table = table_of(points)
    return np.asarray(each_point(lambda i, p: nearest(table, distances, i, p, k), points))


@pytest.mark.parametrize(("distances", "order"), [(distances_euclidean, 2), (distances_max, np.inf)])
@pytest.mark.parametrize("count", [300, 6])
def test_neighbours_equal_those_of_a_tree(distances, order, count):
    points = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    expected = cKDTree(points).query(points, k=6, p=order)[0][:, 1:]
    assert neighbour_distances(points, 5, distances) == pytest.approx(expected, rel=1e-5)


def test_equal_distances_count_each_and_missing_neighbours_are_infinite():
    assert smallest(jnp.array([3.0, 1.0, 2.0, 1.0, 2.0]), 6).tolist() == [1, 1, 2, 2, 3, np.inf]


def test_more_neighbours_than_groups_and_labels(monkeypatch):
    """Every neighbour of another label is passed over, in the choice of groups too."""
    points = np.random.default_rng(2).normal(size=(3 * LANES, 2)).astype(np.float32)
    monkeypatch.setattr(neighbours, "LANES", 3)
    many = neighbour_distances(points, 5)
    assert many == pytest.approx(cKDTree(points).query(points, k=6)[0][:, 1:], rel=1e-5)
    monkeypatch.undo()
    labels = np.arange(len(points)) % 7 // 3
    table = table_of(jnp.asarray(points), jnp.asarray(labels))
    found = each_point(
        lambda i, p, c: nearest(table, distances_euclidean, i, p, 4, c), jnp.asarray(points), jnp.asarray(labels)
    )
    for label in range(3):
        members = points[labels == label]
        expected = cKDTree(members).query(members, k=5)[0][:, 1:]
        assert np.asarray(found)[labels == label] == pytest.approx(expected, rel=1e-5)


def test_a_group_without_a_neighbour_is_not_counted_twice():
    """Two points and three neighbours asked for: one distance, then nothing."""
    found = neighbour_distances(np.array([[0.0], [2.0]], np.float32), 3)
    assert found.tolist() == [[2, np.inf, np.inf]] * 2


def test_neighbours_in_a_collapsed_cluster():
    """Distances 10^-4 apart at an offset of 1 keep their digits."""
    points = (1 + 1e-4 * np.random.default_rng(1).normal(size=(200, 3))).astype(np.float32)
    expected = cKDTree(points.astype(np.float64)).query(points.astype(np.float64), k=3)[0][:, 1:]
    assert neighbour_distances(points, 2) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("k", "bits"), [(2, 2.96291962762), (3, 3.0755571074)])
def test_unweighted_entropy_of_five_points(k, bits):
    """The plain estimator psi(N) - psi(k) + d <log 2r> from these distances, in bits."""
    radii = neighbour_distances(np.arange(1.0, 6.0)[:, None], k, distances_max)[:, -1]
    value = digamma(5) - digamma(k) + np.mean(np.log(2 * radii))
    assert value / np.log(2) == pytest.approx(bits, rel=1e-6)


@pytest.mark.parametrize("dim", [1, 3])
def test_equals_another_library(dim):
    """The same estimate by hoi, whose constant is psi(N) where Kozachenko and Leonenko's is log(N - 1); in bits."""
    points = 3 * np.random.default_rng(3).normal(size=(400, dim)).astype(np.float32)
    expected = float(entropy_knn(jnp.asarray(points.T), k=1)) * np.log(2)
    assert float(_entropy(jnp.asarray(points))) == pytest.approx(expected + np.log(399) - digamma(400), abs=1e-4)


def test_agrees_with_spacings():
    """One dimension: scipy estimates the entropy from the distances of order statistics."""
    sample = np.random.default_rng(4).exponential(2, size=2000)
    value = float(_entropy(jnp.asarray(sample[:, None], jnp.float32)))
    assert value == pytest.approx(differential_entropy(sample), abs=0.08)
    assert value == pytest.approx(1 + np.log(2), abs=0.08)


def test_reference_vectors():
    with jax.enable_x64(True):
        first, second = jnp.asarray(FIRST), jnp.asarray(SECOND)
        h_first, h_second = float(_entropy(first)), float(_entropy(second))
        h_joint = float(_entropy(jnp.concatenate([first, second], axis=1)))
        h_given = float(conditional_entropy(first, jnp.asarray((7 * np.arange(500)) % 3)))
    assert h_first == pytest.approx(3.206195648713566, rel=1e-12)
    assert h_second == pytest.approx(3.2293757328209933, rel=1e-12)
    assert h_joint == pytest.approx(6.016758455423207, rel=1e-12)
    assert h_first + h_second - h_joint == pytest.approx(0.4188129261113529, rel=1e-12)
    assert h_first - h_given == pytest.approx(0.12634932790435816, rel=1e-12)
    assert float(_entropy(jnp.asarray(FIRST, jnp.float32))) == pytest.approx(h_first, rel=1e-5)


@pytest.mark.parametrize(
    ("dim", "expected"),
    [
        (2, [1, 0, 0, 0, 0]),
        (4, [1, 0, 0, 0, 0]),
        (5, [1.54059, 0.669625, 0.059949, -0.427792, -0.842371]),
        (6, [1.781245, 0.722726, 0.017046, -0.531816, -0.989201]),
        (8, [9.854137, -7.669105, -7.229967, -1.205032, 7.249967]),
        (16, [495, -4350, 11280, -11520, 4096]),
    ],
)
def test_weights(dim, expected):
    assert entropy_weights(dim, 5) == pytest.approx(np.array(expected), rel=1e-5, abs=1e-6)


def test_weights_of_more_neighbours_than_dimensions_use_every_second():
    assert np.flatnonzero(entropy_weights(6, 9)).tolist() == [0, 2, 3, 5, 6, 8]
    assert entropy_weights(6, 9).sum() == pytest.approx(1)


def test_ball_volumes():
    assert np.exp([log_ball_volume(d) for d in (1, 2, 3)]) == pytest.approx([2, np.pi, 4 * np.pi / 3])


@pytest.mark.parametrize("dim", [1, 4, 8])
def test_normal_density(dim):
    """H = d/2 log(2 pi e); the nearest neighbour of few points in 8 dimensions is known to read 0.15 too low."""
    points = np.random.default_rng(2).normal(size=(3000, dim))
    exact = dim / 2 * np.log(2 * np.pi * np.e)
    assert float(_entropy(jnp.asarray(points, jnp.float32))) == pytest.approx(exact, abs=0.1 if dim < 8 else 0.5)


def test_uniform_and_exponential_density():
    rng = np.random.default_rng(3)
    cube = rng.uniform(0, 3, size=(3000, 2))
    assert float(_entropy(jnp.asarray(cube, jnp.float32))) == pytest.approx(2 * np.log(3), abs=0.1)
    waiting = rng.exponential(1 / 2, size=(3000, 1))
    assert float(_entropy(jnp.asarray(waiting, jnp.float32))) == pytest.approx(1 - np.log(2), abs=0.1)


def test_rotation_and_scale_are_exact():
    """For an orthogonal Q and scalar a, h(aQX) = h(X) + d log a."""
    rng = np.random.default_rng(4)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    points = rng.normal(size=(400, 5))
    with jax.enable_x64(True):
        before, after = _entropy(jnp.asarray(points)), _entropy(jnp.asarray(7 * points @ rotation))
    assert float(after - before) == pytest.approx(5 * np.log(7), abs=1e-6)


def test_degenerate_points():
    points = jnp.asarray(FIRST[:6], jnp.float32)
    assert np.isfinite(_entropy(points, k=5))
    assert np.isnan(_entropy(points, k=6))
    assert float(_entropy(points.at[1].set(points[0]))) == -np.inf
    labels = jnp.asarray([0] * 6 + [1] * 5)
    eleven = jnp.asarray(FIRST[:11], jnp.float32)
    assert np.isfinite(conditional_entropy(eleven, labels))
    assert np.isnan(conditional_entropy(eleven, jnp.arange(11)))


def test_entropy_within_classes_is_the_mean_of_the_classes():
    labels = np.where(np.arange(500) < 150, 2, 0)
    with jax.enable_x64(True):
        value = float(conditional_entropy(jnp.asarray(FIRST), jnp.asarray(labels)))
        parts = [float(_entropy(jnp.asarray(part))) for part in (FIRST[:150], FIRST[150:])]
    assert value == pytest.approx(0.3 * parts[0] + 0.7 * parts[1], rel=1e-12)


def test_a_class_without_enough_rows_is_left_out_of_the_entropy():
    labels = np.r_[np.zeros(300, int), np.ones(199, int), 5]  # in four dimensions one neighbour is used
    with jax.enable_x64(True):
        value = float(conditional_entropy(jnp.asarray(FIRST), jnp.asarray(labels)))
        parts = [float(_entropy(jnp.asarray(part))) for part in (FIRST[:300], FIRST[300:499])]
    assert value == pytest.approx((300 * parts[0] + 199 * parts[1]) / 499, rel=1e-12)


def test_principal_components():
    rng = np.random.default_rng(5)
    points = rng.normal(size=(100, 6)) * np.array([5, 3, 2, 1, 1e-3, 1e-4]) + 10
    codes = np.asarray(principal_components(jnp.asarray(points, jnp.float32), 4))
    centred = points - points.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    assert np.abs(codes) == pytest.approx(np.abs(left * values)[:, :4], abs=1e-4)
    assert np.cov(np.asarray(unit_variance(jnp.asarray(codes))).T, ddof=0) == pytest.approx(np.eye(4), abs=1e-4)
    small = np.asarray(principal_components(jnp.asarray(points, jnp.float32), 6))[:, 5]
    assert np.std(small) == pytest.approx(values[5] / 10, rel=0.01)
    wide = np.asarray(principal_components(jnp.asarray(points[:3], jnp.float32), 4))
    # Three centred points have two components; the third is rounding error, which must not be scaled up.
    assert wide.shape == (3, 3)
    assert np.all(wide[:, 2] == 0)
    assert np.all(np.asarray(unit_variance(jnp.asarray(wide)))[:, 2] == 0)


def test_no_number_of_rows_takes_a_component(rng):
    """A direction 4e-4 as wide as the first is one among 10,000 rows too: classes collapse so far."""
    columns = rng.normal(size=(10_000, 4)) * np.array([1, 4e-4, 3e-4, 2e-4])
    codes = np.asarray(principal_components(jnp.asarray(columns, jnp.float32), 4))
    expected = np.linalg.svd(columns - columns.mean(0), compute_uv=False) / 100
    assert codes.std(0) == pytest.approx(expected, rel=1e-3)
    # What is equal in float32 has no component, however many rows there are.
    repeated = rng.normal(size=(3, 20)).astype(np.float32)[rng.integers(0, 3, 10_000)]
    codes = np.asarray(principal_components(jnp.asarray(repeated), 4))
    assert np.all(codes[:, 2:] == 0)
    assert np.all(codes[:, :2].std(0) > 0)


def test_whitening():
    points = jnp.asarray(FIRST, jnp.float32) * 3 + 1
    assert np.cov(np.asarray(whiten(points)).T) == pytest.approx(np.eye(4), abs=1e-4)
    centred = np.asarray(points, np.float64) - np.asarray(points, np.float64).mean(0)
    factor = np.linalg.cholesky(np.cov(centred.T) + 1e-6 * np.eye(4))
    assert np.asarray(whiten(points)) == pytest.approx(np.linalg.solve(factor, centred.T).T, abs=1e-4)
    assert np.all(np.asarray(whiten(jnp.ones((9, 2)))) == 0)
