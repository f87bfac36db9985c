"""The spectral entropy of weight matrices as a penalty, with a gradient that is exact and always finite."""

from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.measures.precision import matmul
from collapse_jax.training.trees import own

EPS = 1e-10  # inside the logarithm, as the paper's code has it


def spectral_entropy(params: Any, strength: jax.Array) -> jax.Array:
    """Return beta times the mean over matrices W of H(W) = -sum_i p_i log(p_i + 1e-10), p = s / sum s, in nats.

    s are the singular values (arXiv:2412.09810, equations 12, 15 and 16). Matrices are all parameters of two
    dimensions and more, embeddings too; a convolution's kernel [k, k, C, F] counts as the matrix [k k C, F].
    """
    matrices = [leaf.reshape(-1, leaf.shape[-1]) for leaf in jax.tree.leaves(own(params)) if leaf.ndim > 1]
    return strength * sum(map(entropy, matrices)) / max(len(matrices), 1)


@jax.custom_vjp
def entropy(matrix: jax.Array) -> jax.Array:
    """Return H(W) in nats: log r for r equal singular values and no others, 0 for rank 1 and for the zero matrix.

    From the eigenvectors V of the smaller Gram matrix G, one eigendecomposition of min(m, n)^2 numbers: singular
    values are the lengths of the columns of W V. The gradient is U diag(dH/ds) V^T, for which equal singular values
    are no matter; directions shorter than 10^-6 of the longest, whose U is rounding noise, have none.
    """
    return _entropy(_directions(matrix)[1])


def _directions(matrix: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return W V / s [m, r], s [r] and V [n, r] of W [m, n] with m >= n, or of its transpose."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    # Relative to the largest entry, so that squares neither overflow nor vanish.
    largest = jnp.max(jnp.abs(tall))
    tall = tall / jnp.where(largest == 0, 1, largest)
    _, v = jnp.linalg.eigh(matmul(tall.T, tall))
    mapped = matmul(tall, v)
    lengths = jnp.sqrt(jnp.sum(mapped**2, axis=0))
    seen = lengths > 1e-6 * jnp.max(lengths)
    divisors = jnp.where(seen, lengths, jnp.inf).reshape(1, -1)
    return mapped / divisors, lengths * largest, v


def _entropy(values: jax.Array) -> jax.Array:
    p = _shares(values)
    return -jnp.sum(p * jnp.log(p + EPS))


def _shares(values: jax.Array) -> jax.Array:
    total = jnp.sum(values)
    return values / jnp.where(total == 0, 1, total)


def _forward(matrix: jax.Array) -> tuple[jax.Array, Any]:
    u, values, v = _directions(matrix)
    slopes = jax.grad(_entropy)(values)
    gradient = matmul(u * slopes.reshape(1, -1), v.T)
    return _entropy(values), gradient if matrix.shape[0] >= matrix.shape[1] else gradient.T


def _backward(gradient: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    return (cotangent * gradient,)


entropy.defvjp(_forward, _backward)
