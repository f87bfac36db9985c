"""Random numbers written out against those of jax, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.system import random


@pytest.mark.parametrize("shape", [(), (7,), (3, 5, 11)])
def test_they_are_those_of_jax(shape, rng):
    key = jax.random.fold_in(jax.random.key(int(rng.integers(2**32))), int(rng.integers(2**31)))
    np.testing.assert_array_equal(random.bits(key, shape), jax.random.bits(key, shape))
    np.testing.assert_array_equal(
        random.uniform(key, shape, -0.3, 0.3), jax.random.uniform(key, shape, jnp.float32, -0.3, 0.3)
    )
    np.testing.assert_array_equal(random.normal(key, shape), jax.random.normal(key, shape, jnp.float32))


def test_a_key_of_another_generator_draws_its_own_numbers():
    key = jax.random.key(3, impl="rbg")
    np.testing.assert_array_equal(random.bits(key, (8,)), jax.random.bits(key, (8,)))
