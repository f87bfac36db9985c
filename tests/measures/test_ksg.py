"""Neighbour-count estimates of mutual information against closed forms and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from collapse_jax.measures.estimators.ksg import ksg_information, ross_information

_ksg = jax.jit(ksg_information, static_argnames="k")
_ross = jax.jit(ross_information, static_argnames="k")
COUNT = 2000


def ksg(first, second, k=5):
    first, second = (np.reshape(a, (len(a), -1)) for a in (first, second))
    return float(_ksg(jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32), k=k))


def ross(points, labels, k=5):
    points = np.reshape(points, (len(points), -1))
    return float(_ross(jnp.asarray(points, jnp.float32), jnp.asarray(labels), k=k))


def normal_pair(correlation, dim=1, seed=0, count=COUNT):
    first, noise = np.random.default_rng(seed).normal(size=(2, count, dim))
    return first, correlation * first + np.sqrt(1 - correlation**2) * noise


@pytest.mark.parametrize(
    ("correlation", "dim", "exact", "tolerance"),
    [(0.0, 1, 0, 0.06), (0.929873495, 1, 1, 0.08), (0.990799859, 1, 2, 0.1), (0.6, 3, 0.66943, 0.1)],
)
def test_normal_pairs(correlation, dim, exact, tolerance):
    assert ksg(*normal_pair(correlation, dim)) == pytest.approx(exact, abs=tolerance)


def test_autoregression():
    """I(x_t; x_t-1) = -1/2 log(1 - phi^2) of an AR(1) process."""
    rng = np.random.default_rng(1)
    series = [rng.normal()]
    for _ in range(COUNT):
        series.append(0.8 * series[-1] + 0.6 * rng.normal())
    assert ksg(series[1:], series[:-1]) == pytest.approx(0.5108256237659908, abs=0.08)


def test_uncorrelated_student_pair():
    """Zero correlation, one degree of freedom: dependent through the common scale."""
    rng = np.random.default_rng(2)
    pair = rng.normal(size=(COUNT, 2)) / np.sqrt(rng.chisquare(1, size=(COUNT, 1)))
    # The information of the monotone images is the same, without the tails that neighbours handle badly.
    assert ksg(np.arcsinh(pair[:, 0]), np.arcsinh(pair[:, 1])) == pytest.approx(0.22417142752923613, abs=0.08)


@pytest.mark.parametrize(("width", "exact"), [(0.1, 1.7094379124341004), (0.75, 1 / 3)])
def test_additive_uniform_noise(width, exact):
    rng = np.random.default_rng(3)
    first = rng.uniform(size=COUNT)
    assert ksg(first, first + rng.uniform(-width, width, COUNT)) == pytest.approx(exact, abs=0.08)


def test_monotone_maps_change_little():
    first, second = normal_pair(0.9)
    value = ksg(first, second)
    for map_ in (np.arcsinh, lambda t: np.sign(t) * np.abs(t) ** 1.5, np.exp):
        assert ksg(map_(first), second**3 + second) == pytest.approx(value, abs=0.08)
    assert ksg(50 * first, 50 * second) == pytest.approx(value, abs=1e-3)


def test_uniform_given_a_discrete_label():
    """X uniform on 0..4, Z|X uniform on [X, X + 2]: log 5 - 4/5 log 2."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 5, COUNT)
    values = labels + rng.uniform(0, 2, COUNT)
    assert ross(values, labels) == pytest.approx(1.0549201679861442, abs=0.06)
    assert ross(values, rng.permutation(labels)) == pytest.approx(0, abs=0.06)


def test_equals_scikit_learn():
    first, second = normal_pair(0.7, seed=5, count=500)
    expected = mutual_info_regression(first, second[:, 0], n_neighbors=4, random_state=0)[0]
    assert ksg(first, second, k=4) == pytest.approx(expected, abs=2e-3)
    labels = np.digitize(second[:, 0], [-1, 0, 1])
    expected = mutual_info_classif(first, labels, n_neighbors=4, random_state=0)[0]
    assert ross(first, labels, k=4) == pytest.approx(expected, abs=2e-3)


def test_equals_trees_in_several_dimensions():
    rng = np.random.default_rng(6)
    first = rng.normal(size=(400, 3)).astype(np.float32)
    second = (first[:, :2] + rng.normal(size=(400, 2))).astype(np.float32)
    # float32 values are exact in float64, so strictly-smaller is decided in the same way.
    radius = cKDTree(np.hstack([first, second])).query(np.hstack([first, second]), k=6, p=np.inf)[0][:, -1]
    below = np.nextafter(radius.astype(np.float32), 0) * (1 - 1e-7)
    counts = [
        cKDTree(space).query_ball_point(space, below, p=np.inf, return_length=True) for space in (first, second)
    ]
    expected = digamma(5) + digamma(400) - sum(np.mean(digamma(count)) for count in counts)
    assert ksg(first, second) == pytest.approx(expected, abs=1e-3)


def test_two_equal_lines():
    """Two equal spaces without equal distances: a = b = k, psi(N) - psi(k)."""
    line = np.random.default_rng(8).normal(size=100)
    assert ksg(line, line, k=4) == pytest.approx(digamma(100) - digamma(4), rel=1e-5)


def test_discrete_variables():
    """Three fair bits with z = x xor y: nothing about one in another, everything about one in the two others."""
    bits = np.stack(np.meshgrid([0, 1], [0, 1]), axis=-1).reshape(-1, 2)[np.arange(800) % 4]
    parity = bits.sum(1) % 2
    assert ross(parity, bits[:, 0]) == pytest.approx(0, abs=0.01)
    assert ksg(bits[:, 0], bits[:, 1]) == pytest.approx(0, abs=0.01)
    assert ross(bits, parity) == pytest.approx(np.log(2), abs=0.01)
    assert ksg(bits, parity) == pytest.approx(np.log(2), abs=0.01)


def test_fully_collapsed_classes_share_the_entropy_of_the_label():
    labels = np.arange(400) % 10
    centres = np.random.default_rng(7).normal(size=(10, 4))
    assert ross(centres[labels], labels) == pytest.approx(np.log(10), abs=0.02)
    assert ksg(centres[labels], centres[labels]) == pytest.approx(np.log(10), abs=0.05)


def test_too_few_points():
    first, second = normal_pair(0.5, count=6)
    assert np.isfinite(ksg(first, second, k=5))
    assert np.isnan(ksg(first, second, k=6))
    assert np.isnan(ross(first, np.zeros(6, int), k=6))
    first, _ = normal_pair(0.5, count=11)
    assert np.isnan(ross(first, np.arange(11), k=5))


def test_small_classes_have_fewer_neighbours_and_single_rows_none():
    """k = n - 1 for a class of n <= k rows, and a class of one row is left out, as scikit-learn does."""
    rng = np.random.default_rng(9)
    labels = np.r_[np.zeros(120), np.ones(70), np.full(4, 2), np.full(3, 3), np.full(2, 5), 7].astype(int)
    first = (labels[:, None] + rng.normal(size=(200, 1))).astype(np.float32)
    distances, same = np.abs(first - first.T)[:199, :199], (labels[:, None] == labels)[:199, :199]
    sizes, values = same.sum(1), []
    for row, fellows, size in zip(distances, same, sizes, strict=True):
        k = min(5, size - 1)
        values.append(digamma(k) - digamma(size) - digamma(np.sum(row < np.sort(row[fellows])[k])))
    assert ross(first, labels) == pytest.approx(digamma(199) + np.mean(values), abs=1e-4)
    # Whether a neighbour at the radius is closer depends there on rounding.
    expected = mutual_info_classif(first, labels, n_neighbors=5, random_state=0)[0]
    assert ross(first, labels) == pytest.approx(expected, abs=0.02)
