"""Rows at equal distances: bias of independent variables, the mean over random orders, and what float32 rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma

from collapse_jax.measures.estimators.counts import counts, counts_of_table
from collapse_jax.measures.estimators.ksg import ksg_information, ross_information
from collapse_jax.measures.estimators.neighbours import LANES, distances_max, table_of
from collapse_jax.measures.estimators.ties import local_information

_ksg = jax.jit(jax.vmap(ksg_information, (0, 0, None)), static_argnums=2)
_ross = jax.jit(jax.vmap(ross_information, (0, 0, None)), static_argnums=2)


def mean_information(draw, repeats, k=5):
    """Mean of the estimate over independent draws, and its standard error."""
    first, second = (np.stack(arrays) for arrays in zip(*(draw() for _ in range(repeats)), strict=True))
    first = jnp.asarray(first.reshape(*first.shape[:2], -1), jnp.float32)
    if second.dtype.kind == "i":
        values = np.asarray(_ross(first, jnp.asarray(second), k))
    else:
        values = np.asarray(_ksg(first, jnp.asarray(second.reshape(*second.shape[:2], -1), jnp.float32), k))
    return values.mean(), values.std(ddof=1) / repeats**0.5


@pytest.mark.parametrize("number", [1, LANES, 5 * LANES + 1, 8 * LANES, 11 * LANES, 79 * LANES])
def test_rows_are_counted_whatever_their_number(rng, number):
    """Points on a grid, of which many are at the radius, in groups that fill chunks and that do not."""
    points = rng.integers(0, 6, (number, 3)).astype(np.float32)

    def of_row(point):
        def distances(columns, labels):
            return distances_max(point[:1], columns[:1]), distances_max(point[1:], columns[1:])

        return counts_of_table(table_of(jnp.asarray(points)), distances, jnp.asarray(2.0))

    found = np.asarray(jax.jit(jax.vmap(of_row))(jnp.asarray(points[:9])))
    for row, values in zip(points, found, strict=False):
        apart = np.abs(points - row)
        first, second = (np.sign(d - 2).astype(int) + 1 for d in (apart[:, 0], apart[:, 1:].max(1)))
        expected = np.zeros((3, 3))
        np.add.at(expected, (first, second), 1)
        expected[2, 2] = values[2, 2]  # with the points at infinity that fill the table up
        assert values.tolist() == expected.tolist()


@pytest.mark.parametrize("step", [2, 0.5, 0.1])
def test_labels_that_know_nothing_of_points_on_a_grid(rng, step):
    """Strict counts with the full k read 0.15 to 1.04 nats here."""
    mean, error = mean_information(
        lambda: (step * np.round(rng.normal(size=(300, 2)) / step), rng.integers(0, 10, 300)), 16
    )
    assert abs(mean) < 0.01 + 4 * error
    assert error < 0.02


@pytest.mark.parametrize(("step", "dim", "k"), [(2, 1, 5), (0.5, 1, 5), (0.1, 1, 3), (1, 2, 5), (0.25, 2, 2)])
def test_independent_points_on_grids(rng, step, dim, k):
    mean, error = mean_information(lambda: tuple(step * np.round(rng.normal(size=(2, 300, dim)) / step)), 16, k=k)
    assert abs(mean) < 0.01 + 4 * error
    assert error < 0.02


def test_integers_and_random_bits(rng):
    """z = 0 ... 63, k = 2: every distance but those at the ends is there twice."""
    mean, error = mean_information(lambda: (np.arange(64.0), rng.integers(0, 2, 64)), 200, k=2)
    assert abs(mean) < 0.01 + 4 * error


@pytest.mark.parametrize("places", [1, 10])
def test_repeated_points(rng, places):
    """Discrete variables: psi(N) + mean(psi(n_ab) - psi(n_a) - psi(n_b)), the row itself in every count."""
    first, second = np.arange(400) % places, rng.integers(0, 10, 400)
    both = np.array([np.sum((first == a) & (second == b)) for a, b in zip(first, second, strict=True)])
    # Ten places in ten dimensions, far from one another: r is 0 wherever k others share place and label.
    kept = both > 5
    expected = digamma(both) - digamma(np.bincount(first)[first]) - digamma(np.bincount(second)[second])
    points = jnp.asarray(np.eye(10)[first], jnp.float32)
    values = jax.vmap(lambda one, other: local_information(counts(one, other, jnp.zeros(())), jnp.zeros(()), 5))(
        jnp.asarray(10.0 * (first[:, None, None] != first[None, None, :])),
        jnp.asarray(10.0 * (second[:, None, None] != second[None, None, :])),
    )
    assert np.asarray(values) == pytest.approx(expected, abs=1e-5)
    if kept.all():
        result = float(_ross(points[None], jnp.asarray(second)[None], 5)[0])
        assert result == pytest.approx(digamma(400) + expected.mean(), abs=1e-4)


def test_constant_features_tell_nothing_exactly():
    constant, labels = jnp.ones((1, 400, 10)), jnp.arange(400) % 10
    assert float(_ross(constant, labels[None], 5)[0]) == pytest.approx(0, abs=1e-5)
    assert float(_ksg(constant, jnp.arange(400.0)[None, :, None], 5)[0]) == pytest.approx(0, abs=1e-5)


def random_order(first, second, radius, k, draws, rng):
    """psi(k) - psi(a) - psi(b) with noise on the distances that are equal to the radius, many times."""
    values = []
    for _ in range(draws):
        noisy = [
            np.where(d < radius, -1, np.where(d > radius, 2, rng.uniform(size=d.size))) for d in (first, second)
        ]
        for distances in noisy:
            distances[0] = -2  # the row itself
        edge = np.sort(np.maximum(*noisy))[k]
        values.append(digamma(k) - sum(digamma(np.sum(d < edge)) for d in noisy))
    return np.mean(values), np.std(values) / draws**0.5


@pytest.mark.parametrize("levels", [2, 4, 9])
def test_the_value_is_the_mean_over_orders(rng, levels):
    k = 4
    for _ in range(4):
        first, second = rng.integers(0, levels, (2, 80)).astype(float)
        first[0] = second[0] = 0
        radius = np.sort(np.maximum(first, second))[k]
        if radius == 0:
            continue
        mean, error = random_order(first, second, radius, k, 3000, rng)
        numbers = counts(jnp.asarray(first[None]), jnp.asarray(second[None]), jnp.asarray(radius))
        value = float(local_information(numbers, jnp.asarray(radius), k))
        assert value == pytest.approx(mean, abs=0.03 + 4 * error)


@pytest.mark.parametrize("width", [1e-6, 3e-7, 1e-7, 3e-8])
def test_classes_on_the_grid_of_float32_share_the_entropy_of_the_label(rng, width):
    """Rounding leaves a few values per class and coordinate: strict counts read 2.35 to 2.76 nats."""
    labels = np.arange(1000) % 10
    centres = rng.uniform(1, 2, size=(10, 4))
    points = (centres[labels] * (1 + width * rng.normal(size=(1000, 4)))).astype(np.float32)
    value = float(_ross(jnp.asarray(points)[None], jnp.asarray(labels)[None], 5)[0])
    assert value == pytest.approx(np.log(10), abs=0.01)
