"""Convolutions in canonical form against XLA's own, derivatives of any order and tiles of runs included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.models.convolution import FEW, canonical, convolution, convolve


def arrays(rng, size, side, channels, runs=()):
    x = rng.normal(size=(*runs, 2, side, side + 1, channels))
    return x, rng.normal(size=(*runs, size, size, channels, 4))


def both(function, *given):
    """Of the canonical form and of XLA's, each a flat list of arrays."""
    with jax.enable_x64():
        compiled = jax.jit(function, static_argnums=0)
        return [jax.tree.leaves(compiled(form, *given)) for form in (canonical, convolution)]


@pytest.mark.parametrize("channels", [FEW - 1, FEW])
@pytest.mark.parametrize(
    ("size", "stride", "side"),
    [(3, 1, 5), (3, 1, 7), (3, 2, 5), (3, 2, 6), (3, 2, 7), (5, 2, 6), (3, 3, 7), (1, 2, 5)],
)
def test_values_and_derivatives_are_those_of_the_plain_form(rng, size, stride, side, channels):
    x, kernel = arrays(rng, size, side, channels)
    weights = rng.normal(size=(2, -(-side // stride), -(-(side + 1) // stride), 4))

    def derivatives(form, x, kernel):
        return jax.value_and_grad(lambda x, k: jnp.sum(weights * form(x, k, stride)), argnums=(0, 1))(x, kernel)

    for ours, plain in zip(*both(derivatives, x, kernel), strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-12)


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
def test_several_at_once(rng, axes):
    x, kernel = arrays(rng, 3, 6, FEW, runs=(3,))
    x, kernel = (array if axis == 0 else array[0] for array, axis in zip((x, kernel), axes, strict=True))

    def derivatives(form, x, kernel):
        of = jax.vmap(lambda x, kernel: form(x, kernel, 2), axes)
        return jax.value_and_grad(lambda *given: jnp.sum(jnp.sin(of(*given))), argnums=(0, 1))(x, kernel)

    for ours, plain in zip(*both(derivatives, x, kernel), strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-11)


@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_second_derivatives_of_a_tile_of_runs(rng, order):
    x, kernel = arrays(rng, 3, 6, FEW, runs=(2,))

    def second(form, x, kernel):
        gradient = jax.grad(lambda x, k: jnp.sum(jnp.tanh(form(x, k, 2)) ** 2), argnums=(0, 1))
        if order == "forward":
            return jax.vmap(lambda *at: jax.jvp(gradient, at, (jnp.ones_like(at[0]), at[1]))[1])(x, kernel)
        norm = jax.grad(lambda *at: sum(jnp.sum(g**2) for g in gradient(*at)), argnums=(0, 1))
        return jax.vmap(norm)(x, kernel)

    for ours, plain in zip(*both(second, x, kernel), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-9)


def test_the_form_is_chosen_where_a_program_is_lowered(rng):
    """On CPU a gradient holds none but canonical convolutions; elsewhere it is the platform's own."""
    x, kernel = (array.astype(np.float32) for array in arrays(rng, 3, 6, FEW))
    gradient = jax.grad(lambda x, kernel: jnp.sum(convolve(x, kernel, 2) ** 2), argnums=(0, 1))
    traced = jax.jit(gradient).trace(x, kernel)
    for platform in ("cpu", "tpu", "cuda"):
        program = traced.lower(lowering_platforms=(platform,)).as_text()
        forms = [line for line in program.splitlines() if "stablehlo.convolution(" in line]
        canonical_ones = ["[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in form for form in forms]
        assert forms, platform
        assert all(canonical_ones) == (platform == "cpu"), (platform, forms)
