"""Entropy of a spectrum."""

import jax
import jax.numpy as jnp
from jax.scipy.special import entr


def spectral_entropy(values: jax.Array) -> jax.Array:
    """-sum p log p in nats of p = s / sum(s), s >= 0 singular values or eigenvalues; nan where all are zero."""
    return jnp.sum(entr(values / jnp.sum(values)))
