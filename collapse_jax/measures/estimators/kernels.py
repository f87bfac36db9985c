"""Kernel matrices of a batch, their bandwidths, and the smoothers that HSIC is normalised with."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_solve

from collapse_jax.measures.precision import matmul

Solve = Callable[[jax.Array, jax.Array], jax.Array]
# Rows of a triangular matrix that are substituted one after the other.
_LEAF = 13


def squared_distances(points: jax.Array) -> jax.Array:
    """[n, n] squared Euclidean distances of the rows of `points` [n, d]; 0 below their rounding error."""
    # A common offset would take digits from the products, and so would the mean of rows of which one is far away.
    points = points - jnp.mean(points, axis=0, keepdims=True)
    points = points - _middle(points)[None]
    products = matmul(points, points.T)
    squares = jnp.diagonal(products)
    sums = squares[:, None] + squares[None, :]
    distances = sums - 2 * products
    equal = jnp.eye(len(points), dtype=bool) | (distances <= 4 * jnp.finfo(points.dtype).eps * sums)
    return jnp.where(equal, distances * 0, distances)


def _middle(points: jax.Array) -> jax.Array:
    """[d] a place among the rows of `points` [n, d], of mean 0, that fewer than half of them cannot move far."""
    # Products throughout: XLA on CPU adds up the last axis number by number.
    squares = matmul(points**2, jnp.ones(points.shape[1], points.dtype))
    from_centre = squares
    for again in (True, False):
        # What half of the rows is nearest to: a single far row loses its pull at the first pass.
        near = (from_centre <= jnp.median(from_centre)).astype(points.dtype)
        centre = matmul(near / jnp.sum(near), points)
        if again:
            # Up to what is the same for all rows. Its rounding is below what tells near rows from far ones.
            from_centre = squares - 2 * matmul(points, centre)
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


def smoother(
    kernel: jax.Array, constant: float, one_sided: bool = False, *, solve: Solve | None = None
) -> jax.Array:
    """[n, n] R = A (A + c I)^-1 with A = HKH, or A = KH if `one_sided`, of a symmetric kernel K.

    `solve` is `by_substitution` (None), or `by_products`, faster on CPU where nothing is derived.
    """
    # K H (K H + c)^-1 = K H (H K H + c)^-1, so both need one Cholesky factor of a symmetric matrix.
    means = jnp.mean(kernel, axis=0)
    half = kernel - means[None, :]
    centred = half - (means - jnp.mean(means))[:, None]
    factor = jnp.linalg.cholesky(centred + constant * jnp.eye(len(kernel), dtype=kernel.dtype))
    return (solve or by_substitution)(factor, half if one_sided else centred).T


def by_substitution(factor: jax.Array, right: jax.Array) -> jax.Array:
    """[n, m] (L L^T)^-1 B of a lower triangular `factor` L [n, n] and `right` B [n, m]."""
    return cho_solve((factor, True), right)


def by_products(factor: jax.Array, right: jax.Array) -> jax.Array:
    """As `by_substitution`; on CPU by products, which need no LAPACK, whose threads wait for each other.

    For values: gradients through it take longer, and many times as long to compile.
    """
    return lax.platform_dependent(factor, right, cpu=_by_products, default=by_substitution)


def _by_products(factor: jax.Array, right: jax.Array) -> jax.Array:
    inverse = inverse_of_lower(factor)
    return matmul(inverse.T, matmul(inverse, right))


def inverse_of_lower(factor: jax.Array) -> jax.Array:
    """[n, n] the inverse of a lower triangular matrix, by products of blocks that double in size."""
    count = len(factor)
    levels = max(0, (count - 1) // _LEAF).bit_length()
    size = -(-count // 2**levels)
    total = size * 2**levels
    added = jnp.diag((jnp.arange(total) >= count).astype(factor.dtype))
    whole = jnp.pad(factor, (0, total - count)) + added

    def blocks(size: int, step: int, below: int) -> jax.Array:
        return jnp.stack([whole[i + below : i + below + size, i : i + size] for i in range(0, total, step)])

    inverse = _substituted(blocks(size, size, 0))
    while size < total:
        upper, lower = inverse[0::2], inverse[1::2]
        corner = -matmul(lower, matmul(blocks(size, 2 * size, size), upper))
        inverse = jnp.block([[upper, jnp.zeros_like(upper)], [corner, lower]])
        size *= 2
    return inverse[0, :count, :count]


def _substituted(blocks: jax.Array) -> jax.Array:
    """[B, s, s] the inverses of lower triangular matrices of a few rows: all at once, row by row."""
    size = blocks.shape[-1]
    rows: list[jax.Array] = []
    for i, unit in enumerate(jnp.eye(size, dtype=blocks.dtype)):
        known = [blocks[:, i, j, None] * row for j, row in enumerate(rows)]
        rows.append((unit[None] - sum(known)) / blocks[:, i, i, None])
    return jnp.stack(rows, axis=1)


def label_smoother(one_hot: jax.Array, constant: float) -> jax.Array:
    """[n, n] R = K (K + c I)^-1 of the kernel K = Y Y^T of one-hot labels Y [n, K], not centred."""
    # The eigenvectors of K are the indicators of the classes, its eigenvalues their sizes.
    return matmul(one_hot / (one_hot.sum(0) + constant)[None, :], one_hot.T)
