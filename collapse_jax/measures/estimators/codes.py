"""Low-dimensional codes of features or inputs: principal components, scaled to unit covariance."""

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from collapse_jax.measures.estimators.class_geometry import resolved, thin_svd
from collapse_jax.measures.precision import matmul


def principal_components(points: jax.Array, dim: int) -> jax.Array:
    """The first `dim` principal components of the rows of `points` [N, D], or all min(N, D) if they are fewer.

    Components whose standard deviation is below the rounding error of the largest (`resolved`) are exactly zero.
    Returns [N, min(dim, N, D)]; nan if `points` is not finite.
    """
    # Subtract a member first: the difference of collapsed rows is exact, their mean in float32 is not.
    points = points - points[:1]
    points = points - jnp.mean(points, axis=0, keepdims=True)
    # The singular values of the triangular factor are those of the data: the covariance would square them
    # and lose components that are small because classes collapsed.
    tall = points.shape[0] >= points.shape[1]
    values, vectors = thin_svd(jnp.linalg.qr(points, mode="r") if tall else points)
    directions = jnp.where(resolved(values)[:, None], vectors, 0)[:dim]
    return matmul(points, directions.T)


def unit_variance(codes: jax.Array) -> jax.Array:
    """Uncorrelated columns of `codes` [N, d] scaled to unit variance; zero columns stay zero."""
    deviation = jnp.std(codes, axis=0, keepdims=True)
    return codes / jnp.where(deviation == 0, 1, deviation)


def whiten(codes: jax.Array) -> jax.Array:
    """L^-1 (codes - mean), with L L^T = Cov + 1e-6 I (N - 1 in its denominator), as in arXiv:2509.20829."""
    centred = codes - jnp.mean(codes, axis=0, keepdims=True)
    covariance = matmul(centred.T, centred) / (len(codes) - 1)
    factor = jnp.linalg.cholesky(covariance + 1e-6 * jnp.eye(codes.shape[1], dtype=codes.dtype))
    return solve_triangular(factor, centred.T, lower=True).T
