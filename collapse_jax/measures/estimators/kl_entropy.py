"""Weighted Kozachenko-Leonenko entropy: differential entropy from the distances to nearest neighbours."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import digamma, gammaln

from collapse_jax.measures.estimators.neighbours import distances_euclidean, each_point, nearest, table_of


def weighted_entropy(points: jax.Array, k: int = 5, rows: jax.Array | None = None) -> jax.Array:
    """Differential entropy h of the rows of `points` [N, d], in nats.

    h = -(1/N) sum_i sum_j w_j log( exp(psi(j)) / ((N - 1) V_d r_ij^d) ), with r_ij the Euclidean distance of row
    i to its j-th neighbour, j = 1..k, V_d the volume of the unit ball, psi the digamma function and w of
    `entropy_weights` (Berrett, Samworth & Yuan 2019; as in arXiv:2509.20829).

    Limits: -inf as soon as one row has an equal (nothing is clipped), nan for k >= N. On a density concentrated
    near a surface it is far from what differences of entropies need: see `mutual_information`, mode "reference".
    """
    return _entropy(points, None, k, rows)


def conditional_entropy(
    points: jax.Array, labels: jax.Array, k: int = 5, rows: jax.Array | None = None
) -> jax.Array:
    """h(Z|Y) = sum_y (n_y / N) h(Z | Y = y), in nats, each with `weighted_entropy` on the rows of the class.

    `labels` [N] are the classes. One that has no more rows than neighbours are used (those of `entropy_weights`) is
    left out, its rows of the mean over the others too; nan if all are.
    """
    return _entropy(points, labels, k, rows)


def _entropy(points: jax.Array, labels: jax.Array | None, k: int, rows: jax.Array | None) -> jax.Array:
    count, dim = points.shape
    if k >= count:
        return jnp.full((), jnp.nan, points.dtype)
    weights = entropy_weights(dim, k)
    used = int(np.flatnonzero(weights).max()) + 1
    labels = jnp.zeros(count, jnp.int32) if labels is None else labels
    table = table_of(points, labels)

    def log_volume(index: jax.Array, label: jax.Array) -> jax.Array:
        """Sum_j w_j log( (n - 1) r_j^d ) of one row, n the number of rows of its class."""
        radii = nearest(table, distances_euclidean, index, table.point(index), used, label)
        size = jnp.sum(labels == label)
        logs = dim * jnp.log(radii) + jnp.log((size - 1).astype(points.dtype))
        # A weight of zero must not meet the infinite logarithm of a repeated row.
        value = sum(weight * logs[j] for j, weight in enumerate(weights[:used]) if weight)
        return jnp.stack([value, (size > used).astype(points.dtype)])

    values, kept = each_point(log_volume, labels, rows=rows).T
    constant = float(np.sum(weights * (log_ball_volume(dim) - digamma(np.arange(1, k + 1)))))
    return jnp.sum(jnp.where(kept > 0, values, 0)) / jnp.sum(kept) + constant


@functools.cache
def entropy_weights(dim: int, k: int) -> np.ndarray:
    """[k] weights of the neighbours in dimension `dim`; they sum to 1 and cancel the leading bias terms.

    dim <= 4: the nearest neighbour alone. Above: the solution of least norm of sum_j w_j = 1,
    sum_j w_j Gamma(j + 2m/dim) / Gamma(j) = 0 for m = 1..floor(dim/4), and w_j = 0 unless j is
    floor(i k / dim) for an i in 1..dim.
    """
    if dim <= 4:
        return np.eye(k)[0]
    neighbours = np.arange(1, k + 1)
    rows = [np.ones(k)]
    targets = [1.0]
    for m in range(1, dim // 4 + 1):
        row = np.exp(gammaln(neighbours + 2 * m / dim) - gammaln(neighbours))
        rows.append(row / np.linalg.norm(row))
        targets.append(0.0)
    kept = {i * k // dim for i in range(1, dim + 1)}
    for j in neighbours:
        if j not in kept:
            rows.append(np.eye(k)[j - 1])
            targets.append(0.0)
    solution = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    return np.where(np.abs(solution) < 1e-9, 0, solution)


def log_ball_volume(dim: int) -> float:
    """Logarithm of the volume of the Euclidean unit ball in `dim` dimensions."""
    return dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1)
