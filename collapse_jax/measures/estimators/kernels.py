"""Kernel matrices of a batch, their bandwidths, and the smoothers that HSIC is normalised with."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve

from collapse_jax.measures.precision import matmul


def squared_distances(points: jax.Array) -> jax.Array:
    """[n, n] squared Euclidean distances of the rows of `points` [n, d]; 0 below their rounding error."""
    # A common offset would take digits from the products, and so would the mean of rows of which one is far away.
    points = points - _middle(points)
    squares = jnp.sum(points**2, axis=1)
    sums = squares[:, None] + squares[None, :]
    distances = sums - 2 * matmul(points, points.T)
    equal = jnp.eye(len(points), dtype=bool) | (distances <= 4 * jnp.finfo(points.dtype).eps * sums)
    return jnp.where(equal, distances * 0, distances)


def _middle(points: jax.Array) -> jax.Array:
    """[1, d] a place among the rows of `points` [n, d] that fewer than half of them cannot move far."""
    centre = jnp.mean(points, axis=0, keepdims=True)
    for _ in range(2):
        # What half of the rows is nearest to: a single far row loses its pull at the first pass.
        squares = jnp.sum((points - centre) ** 2, axis=1)
        near = squares <= jnp.median(squares)
        centre = jnp.sum(jnp.where(near[:, None], points, 0), axis=0, keepdims=True) / jnp.sum(near)
    return centre


def median_distance(squares: jax.Array) -> jax.Array:
    """Median distance over the pairs of rows that differ, of squared distances [n, n]; 1 where none do."""
    different = jnp.sum(squares > 0)
    # Every pair stands there twice, which does not move the median.
    ranks = squares.size - different + jnp.stack([(different - 1) // 2, different // 2])
    middle = jax.vmap(lambda rank: order_statistic(squares, rank))(ranks)
    return jnp.where(different > 0, jnp.mean(jnp.sqrt(middle)), 1)


def order_statistic(values: jax.Array, rank: jax.Array) -> jax.Array:
    """The value of which `rank` others of `values` (none negative) are no larger, by bisection.

    Sorting takes XLA on CPU longer than the kernels and their factors.
    """
    # Bits of floating-point numbers that are not negative are in the order of the numbers.
    integer = jnp.dtype(f"int{8 * values.dtype.itemsize}")
    bits = lax.bitcast_convert_type(values, integer)

    def halve(_: jax.Array, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = low + (high - low) // 2
        reached = jnp.sum(bits <= middle) > rank
        return jnp.where(reached, low, middle + 1), jnp.where(reached, middle, high)

    start = (jnp.zeros((), integer), jnp.asarray(jnp.iinfo(integer).max, integer))
    found, _ = lax.fori_loop(0, 8 * values.dtype.itemsize, halve, start)
    return lax.bitcast_convert_type(found, values.dtype)


def largest_norm(points: jax.Array) -> jax.Array:
    """Largest Euclidean norm of the rows of `points` [n, d]."""
    # The largest entry first, so that squares neither overflow nor vanish.
    largest = jnp.max(jnp.abs(points))
    return largest * jnp.sqrt(jnp.max(jnp.sum((points / largest) ** 2, axis=1)))


def smoother(kernel: jax.Array, constant: float, one_sided: bool = False) -> jax.Array:
    """[n, n] R = A (A + c I)^-1 with A = HKH, or A = KH if `one_sided`, of a symmetric kernel K."""
    # K H (K H + c)^-1 = K H (H K H + c)^-1, so both need one Cholesky factor of a symmetric matrix.
    half = kernel - jnp.mean(kernel, axis=0, keepdims=True)
    centred = half - jnp.mean(half, axis=1, keepdims=True)
    factor = cho_factor(centred + constant * jnp.eye(len(kernel), dtype=kernel.dtype))
    return cho_solve(factor, half if one_sided else centred).T


def label_smoother(one_hot: jax.Array, constant: float) -> jax.Array:
    """[n, n] R = K (K + c I)^-1 of the kernel K = Y Y^T of one-hot labels Y [n, K], not centred."""
    # The eigenvectors of K are the indicators of the classes, its eigenvalues their sizes.
    return matmul(one_hot / (one_hot.sum(0) + constant)[None, :], one_hot.T)
