"""BatchNorm's own derivative against autodiff of its formula, in float64, with and without padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.models.batch_norm import normalise

EPS = 1e-5


def plain(x, gain, bias, weights):
    w = (jnp.ones(len(x)) if weights is None else weights).reshape(-1, *(1,) * (x.ndim - 1))
    axes, count = tuple(range(x.ndim - 1)), jnp.sum(w) * (x[0].size // x.shape[-1])
    mean = jnp.sum(w * x, axes) / count
    var = jnp.sum(w * jnp.square(x - mean.reshape(*(1,) * (x.ndim - 1), -1)), axes) / count
    ones = (1,) * (x.ndim - 1)
    mean_, scale, shift = (v.reshape(*ones, -1) for v in (mean, gain / jnp.sqrt(var + EPS), bias))
    return (x - mean_) * scale + shift, mean, var, count


@pytest.mark.parametrize("shape", [(7, 3), (5, 4, 4, 3)])
@pytest.mark.parametrize("padded", [False, True])
def test_values_and_derivatives_of_both_orders_are_those_of_autodiff(shape, padded, rng):
    arrays = [rng.normal(size=shape), rng.normal(size=shape[-1]), rng.normal(size=shape[-1])]
    slopes = [rng.normal(size=shape), *rng.normal(size=(2, shape[-1])), rng.normal()]
    directions = [rng.normal(size=np.shape(array)) for array in arrays]
    weights = np.r_[np.ones(shape[0] - 2), 0, 0] if padded else None

    def derivatives(function):
        """Return the outputs, their tangents, the gradient of a nonlinear function of them, and its tangents."""

        def scalar(*at):
            return sum(jnp.sum(jnp.sin(value) * slope) for value, slope in zip(function(*at), slopes, strict=True))

        at, along = tuple(map(jnp.asarray, arrays)), tuple(map(jnp.asarray, directions))
        gradient = jax.grad(scalar, argnums=(0, 1, 2))
        return jax.jvp(function, at, along), gradient(*at), jax.jvp(gradient, at, along), jax.jvp(scalar, at, along)

    with jax.enable_x64(True):
        found = jax.jit(lambda: derivatives(lambda *at: normalise(EPS, *at, weights)))()
        expected = jax.jit(lambda: derivatives(lambda *at: plain(*at, weights)))()
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), found, expected)


def test_equal_activations_have_finite_derivatives():
    ones = jnp.ones((4, 3))
    gradient = jax.grad(lambda x: jnp.sum(normalise(EPS, x, ones[0], ones[0], None)[0] ** 3))(ones)
    assert np.isfinite(gradient).all()
