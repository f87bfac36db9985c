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
    return strength * sum(entropies(matrices)) / max(len(matrices), 1)


@jax.custom_vjp
def entropies(matrices: list[jax.Array]) -> list[jax.Array]:
    """Return H(W) in nats of each: log r for r equal singular values and no others, 0 for rank 1 and for zeros.

    From the eigenvectors V of the smaller Gram matrix G, one eigendecomposition of min(m, n)^2 numbers: singular
    values are the lengths of the columns of W V. The gradient is U diag(dH/ds) V^T, for which equal singular values
    are no matter; directions shorter than 10^-6 of the longest, whose U is rounding noise, have none.
    """
    return [_entropy(values) for _, values, _ in _directions(matrices)]


def _directions(matrices: list[jax.Array]) -> list[tuple[jax.Array, jax.Array, jax.Array]]:
    """Return W V / s [m, r], s [r] and V [n, r] of each W [m, n] with m >= n, or of its transpose."""
    scaled = [_scaled(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T) for matrix in matrices]
    vectors = eigenvectors([matmul(tall.T, tall) for tall, _ in scaled])
    return [_mapped(tall, largest, v) for (tall, largest), v in zip(scaled, vectors, strict=True)]


def _scaled(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return a matrix over its largest entry, so that squares neither overflow nor vanish, and that entry."""
    largest = jnp.max(jnp.abs(matrix))
    return matrix / jnp.where(largest == 0, 1, largest), largest


def _mapped(tall: jax.Array, largest: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    mapped = matmul(tall, v)
    lengths = jnp.sqrt(jnp.sum(mapped**2, axis=0))
    seen = lengths > 1e-6 * jnp.max(lengths)
    divisors = jnp.where(seen, lengths, jnp.inf).reshape(1, -1)
    return mapped / divisors, lengths * largest, v


def eigenvectors(grams: list[jax.Array], *, stacked: bool | None = None) -> list[jax.Array]:
    """Return the eigenvectors of symmetric matrices, those of one size in one call.

    Args:
      grams: the matrices.
      stacked: whether in one call; None: except on CPU, where a call takes its matrices in turn anyway, and hangs
        with some versions of jax (`engine.packing.require_one_by_one`).
    """
    if not (jax.default_backend() != "cpu" if stacked is None else stacked):
        return [jnp.linalg.eigh(gram)[1] for gram in grams]
    sizes = {len(gram) for gram in grams}
    found = {n: iter(jnp.linalg.eigh(jnp.stack([gram for gram in grams if len(gram) == n]))[1]) for n in sizes}
    return [next(found[len(gram)]) for gram in grams]


def _entropy(values: jax.Array) -> jax.Array:
    p = _shares(values)
    return -jnp.sum(p * jnp.log(p + EPS))


def _shares(values: jax.Array) -> jax.Array:
    total = jnp.sum(values)
    return values / jnp.where(total == 0, 1, total)


def _forward(matrices: list[jax.Array]) -> tuple[list[jax.Array], list[jax.Array]]:
    values, gradients = [], []
    for matrix, (u, s, v) in zip(matrices, _directions(matrices), strict=True):
        slopes = jax.grad(_entropy)(s)
        gradient = matmul(u * slopes.reshape(1, -1), v.T)
        values.append(_entropy(s))
        gradients.append(gradient if matrix.shape[0] >= matrix.shape[1] else gradient.T)
    return values, gradients


def _backward(gradients: list[jax.Array], cotangents: list[jax.Array]) -> tuple[list[jax.Array]]:
    return ([cotangent * gradient for cotangent, gradient in zip(cotangents, gradients, strict=True)],)


entropies.defvjp(_forward, _backward)
