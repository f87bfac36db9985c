"""Median distances and order statistics against a sort, inverses of factors against numpy."""

import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures.estimators.kernels import (
    inverse_of_lower,
    median_distance,
    order_statistic,
    squared_distances,
)


def test_median_is_that_of_rows_that_differ(rng):
    points = rng.normal(size=(11, 3)) + 100
    repeated = np.concatenate([points, np.repeat(points[:1], 30, axis=0)])
    distances = np.sqrt(np.sum((repeated[:, None] - repeated[None]) ** 2, axis=-1))
    different = distances[np.triu_indices(41, 1)]
    found = median_distance(squared_distances(jnp.asarray(repeated, jnp.float32)))
    assert float(found) == pytest.approx(np.median(different[different > 1e-6]), rel=1e-3)


def test_order_statistics_are_those_of_a_sort(rng):
    values = jnp.asarray(np.concatenate([rng.exponential(size=50), np.zeros(4), [1e-38, 1e38]]), jnp.float32)
    found = [float(order_statistic(values, jnp.asarray(rank))) for rank in (0, 3, 4, 5, 30, 55)]
    assert found == np.sort(np.asarray(values))[[0, 3, 4, 5, 30, 55]].tolist()


@pytest.mark.parametrize("rows", [1, 2, 13, 14, 27, 100, 128])
def test_the_inverse_of_a_factor(rng, rows):
    factor = np.linalg.cholesky(np.cov(rng.normal(size=(rows, 2 * rows + 2))).reshape(rows, rows))
    found = np.asarray(inverse_of_lower(jnp.asarray(factor, jnp.float32)))
    assert found == pytest.approx(np.linalg.inv(factor), abs=1e-4)
    assert not np.any(np.triu(found, 1))
