"""Mutual information from counts of neighbours (Kraskov, Stögbauer & Grassberger; Ross)."""

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

from collapse_jax.measures.estimators.neighbours import count_closer, distances_max, each_point, nearest, table_of


def ksg_information(first: jax.Array, second: jax.Array, k: int = 5) -> jax.Array:
    """Mutual information of paired rows of `first` [N, d1] and `second` [N, d2], in nats.

    I = psi(k) + psi(N) - mean_i( psi(a_i + 1) + psi(b_i + 1) ), where r_i is the distance of row i to its k-th
    neighbour, as the maximum over all d1 + d2 coordinates, and a_i, b_i count the other rows closer than r_i in
    `first` and in `second` alone (algorithm 1 of Kraskov et al. 2004, doi:10.1103/PhysRevE.69.066138).
    Rows with more than k equals (r_i = 0) count rows at distance 0 and their number instead of k, so that
    repeated points are treated as discrete ones (Gao et al. 2017, arXiv:1709.06212).

    Errors of the three counts cancel, so that it survives the collapse of classes, where differences of entropies
    diverge. Limits: it resolves differences down to the distance of neighbours in *both* spaces, which must have
    comparable scales: what a collapsed class still tells about the other space by differences far smaller than
    that goes unseen. It cannot exceed about psi(N), is biased towards 0 for strong dependence, many coordinates
    and heavy tails (4 + 4 normal coordinates, N = 10,000: 0.82 for an exact 0.89, 2.90 for 3.32), and is nan for
    k >= N. Rows with nan are not detected.
    """
    count = len(first)
    if k >= count:
        return jnp.full((), jnp.nan, first.dtype)
    dim = first.shape[1]
    joint = jnp.concatenate([first, second], axis=1)
    table = table_of(joint)

    def local(index: jax.Array, point: jax.Array) -> jax.Array:
        radius = nearest(table, distances_max, index, point, k)[-1]
        in_first = distances_max(point[:dim], table.columns[:dim])
        in_second = distances_max(point[dim:], table.columns[dim:])
        # These counts hold the row itself, which is the "+ 1" of the formula.
        sizes = [count_closer(distances, radius) for distances in (in_first, in_second)]
        equals = count_closer(jnp.maximum(in_first, in_second), jnp.zeros_like(radius))
        neighbours = jnp.where(radius == 0, equals - 1, k)
        # With r = 0 the row itself is no neighbour, in either space.
        sizes = [size - (radius == 0) for size in sizes]
        return _psi(neighbours, first) - sum(_psi(size, first) for size in sizes)

    return jnp.mean(each_point(local, joint)) + _psi(jnp.asarray(count), first)


def ross_information(points: jax.Array, labels: jax.Array, k: int = 5) -> jax.Array:
    """Mutual information of the rows of `points` [N, d] and their discrete `labels` [N], in nats.

    I = psi(N) + psi(k) - mean_i( psi(n_i) + psi(m_i) ), with n_i the number of rows with the label of row i, r_i
    the maximum-norm distance to the k-th neighbour among those, and m_i the number of rows closer than r_i, row i
    included (Ross 2014, doi:10.1371/journal.pone.0087357). Repeated points as in `ksg_information`.

    Limits: at most about the entropy of the labels; nan for k >= N, and if a class has from 1 to k rows.
    """
    count = len(points)
    if k >= count:
        return jnp.full((), jnp.nan, points.dtype)
    table = table_of(points, labels)

    def local(index: jax.Array, point: jax.Array, label: jax.Array) -> jax.Array:
        radius = nearest(table, distances_max, index, point, k, label)[-1]
        distances = distances_max(point, table.columns)
        equals = count_closer(jnp.where(table.labels == label, distances, jnp.inf), jnp.zeros_like(radius))
        neighbours = jnp.where(radius == 0, equals - 1, k)
        closer = count_closer(distances, radius) - (radius == 0)
        size = jnp.sum(labels == label)
        value = _psi(neighbours, points) - _psi(closer, points) - _psi(size, points)
        return jnp.where(size > k, value, jnp.nan)

    return jnp.mean(each_point(local, points, labels)) + _psi(jnp.asarray(count), points)


def _psi(count: jax.Array, like: jax.Array) -> jax.Array:
    """Digamma function of a count, in the type of `like`."""
    return digamma(count.astype(like.dtype))
