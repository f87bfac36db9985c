"""Trace and extreme eigenvalues of a Hessian that is known by its products with vectors alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.linalg import eigh_tridiagonal

Product = Callable[[jax.Array], jax.Array]


def hessian_product(loss: Callable[[jax.Array], jax.Array], theta: jax.Array, kept: jax.Array) -> Product:
    """Return v [P] -> H v [P], H the Hessian of `loss` at `theta` among the directions `kept` [P] of 1 and 0.

    Forward over reverse differentiation: as long as about two gradients.
    """

    def product(vector: jax.Array) -> jax.Array:
        return kept * jax.jvp(jax.grad(loss), (theta,), (kept * vector,))[1]

    return product


def traces(product: Product, kept: jax.Array, key: jax.Array, probes: int) -> jax.Array:
    """Return v^T H v [probes] for vectors of random signs, whose mean is the trace (Hutchinson 1989)."""

    def one(key: jax.Array) -> jax.Array:
        signs = kept * jax.random.rademacher(key, kept.shape, kept.dtype)
        return jnp.vdot(signs, product(signs))

    return jax.lax.map(one, jax.random.split(key, probes))


def extreme_eigenvalues(product: Product, start: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    """Return the lowest and highest eigenvalue by Lanczos with full reorthogonalisation.

    Both are Rayleigh-Ritz values: the highest never above the true one, the lowest never below, equal to rounding
    once the Krylov space of `start` has been spanned.

    Args:
      product: v [P] -> H v, H symmetric.
      start: [P], not 0.
      steps: k, products taken; memory k P.
    """
    size = start / jnp.linalg.norm(start)
    basis = jnp.zeros((steps, len(start)), start.dtype).at[0].set(size)

    def step(i: jax.Array, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        basis, diagonal, beside, going = carry
        image = product(basis[i])
        alpha = jnp.vdot(basis[i], image)
        for _ in range(2):  # once leaves rounding that grows
            image -= basis.T @ (basis @ image)
        beta = jnp.linalg.norm(image)
        # The space is closed: what follows repeats the first Rayleigh quotient, which lies between the extremes.
        still = going & (beta > 1e-5 * jnp.max(jnp.abs(diagonal.at[i].set(alpha))))
        diagonal = diagonal.at[i].set(jnp.where(going, alpha, diagonal[0]))
        beside = beside.at[i].set(jnp.where(still, beta, 0))
        following = jnp.where(still, image / jnp.where(still, beta, 1), 0)
        return basis.at[i + 1].set(following, mode="drop"), diagonal, beside, still

    zeros = jnp.zeros(steps, start.dtype)
    _, diagonal, beside, _ = jax.lax.fori_loop(0, steps, step, (basis, zeros, zeros, jnp.bool_(True)))
    if steps == 1:
        return diagonal[0], diagonal[0]
    values = eigh_tridiagonal(diagonal, beside[:-1], eigvals_only=True)
    return values[0], values[-1]
