"""Errors for a fresh sample of examples: estimates of random halves against one another."""

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Scalars

PAIRS = 6


def halves(key: jax.Array, count: int, pairs: int = PAIRS) -> jax.Array:
    """[pairs, 2, count // 2] rows of random halves of `count` rows; those of a pair have no row in common."""
    orders = jnp.argsort(jax.random.bits(key, (pairs, count)), axis=1)
    return orders[:, : count // 2 * 2].reshape(pairs, 2, -1)


def half_errors(values: Scalars) -> Scalars:
    """Standard errors of estimates, from those of P pairs of `halves`.

        e^2 = mean over pairs of ((a - b) / 2)^2

    For a mean of independent examples its expectation is the variance of the mean of all of them, whatever the
    number of pairs: half of a sample of N varies about the whole as N varies about its population. It holds for a
    fresh sample of N examples, noise and choices that are made of the examples (components, bandwidths, largest
    norms) included, where the estimator takes them of the half. It knows nothing of the bias.

    Limits: P pairs know e to about 1 / sqrt(2 P) of it (29 % for 6). Parts of an estimate that are quadratic in the
    deviations of a sample, such as the entropy of labels that are equally frequent, have an e up to 1.4 times too
    large. Where half of a class has few more examples than an estimator has neighbours, halves fail in ways in
    which the whole does not: 20 examples per class and k = 5 made the error of I(Z;X) of collapsed classes 3 times
    too large.

    Args:
      values: [P, 2, ...] by name.

    Returns:
      `<name>_error` [...].
    """
    return {
        f"{name}_error": jnp.sqrt(jnp.mean((half[:, 0] - half[:, 1]) ** 2, axis=0)) / 2
        for name, half in values.items()
    }
