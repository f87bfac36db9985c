"""Bounds of Theorem 3.4 (arXiv:2509.20829) on the information a noisy representation keeps beyond the label."""

import jax
import jax.numpy as jnp
from jax import lax

from collapse_jax.measures.precision import matmul


def conditional_information_bounds(
    deviations: jax.Array, one_hot: jax.Array, noise: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Log-det and trace bounds on I(Z;X|Y) for Z = g(X) + tau E, E standard normal, in nats.

        I(Z;X|Y) <= 1/2 sum_y p_y log det(Cov_y / tau^2 + I) <= 1/(2 tau^2) sum_y p_y Tr(Cov_y),

    with p_y, Cov_y (n_y in the denominator) those of the examples, so that both hold exactly for X uniform on them.
    The first is an equality for normal g(X)|Y; with tau = B_g sigma the second is V(g) / (2 sigma^2).

    Args:
      deviations: [N, D] features minus the mean of their class.
      one_hot: [N, K] labels.
      noise: [S] standard deviations tau.

    Returns:
      [S] log-det bound and [S] trace bound. Classes without a member count nothing; nan features give nan.
    """
    counts = one_hot.sum(0)
    # The non-zero eigenvalues of A^T A and A A^T agree: take the smaller matrix.
    wide = deviations.shape[0] < deviations.shape[1]
    largest = jnp.max(jnp.abs(deviations))
    scaled = deviations / jnp.where(largest == 0, 1, largest)

    def half_log_det(members: jax.Array) -> jax.Array:
        rows = jnp.where(members[:, None] > 0, scaled, 0)
        product = matmul(rows, rows.T) if wide else matmul(rows.T, rows)
        # Eigenvalues rather than a factor: log1p keeps determinants that are 1 + 10^-9.
        finite = jnp.all(jnp.isfinite(product))
        values = jnp.linalg.eigvalsh(jnp.where(finite, product, 0)) / jnp.maximum(jnp.sum(members), 1)
        variances = jnp.where(finite, jnp.maximum(values, 0), jnp.nan)
        return 0.5 * jnp.sum(jnp.log1p(variances[:, None] * ((largest / noise) ** 2)[None, :]), axis=0)

    shares = counts / counts.sum()
    log_det = jnp.sum(shares[:, None] * lax.map(half_log_det, one_hot.T), axis=0)
    variance = jnp.mean(jnp.sum(scaled**2, axis=1))
    return log_det, 0.5 * variance * (largest / noise) ** 2
