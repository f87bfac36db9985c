"""The precision in which measures compute: at least float32, on every device."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def at_least_float32(array: Any) -> jax.Array:
    """Half precision and integers as float32, wider types as they are."""
    array = jnp.asarray(array)
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))


def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a @ b` in full float32 on every device, whatever the default precision is."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
