import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures.estimators.dense_layers import operator_norm

_norm = jax.jit(operator_norm)


def singular(values, shape, seed=0):
    rng = np.random.default_rng(seed)
    u, v = (np.linalg.qr(rng.normal(size=(n, n)))[0][:, : len(values)] for n in shape)
    return (u * np.asarray(values)) @ v.T


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_operator_norm_against_known_and_crowded_spectra(shape):
    rng = np.random.default_rng(1)
    spectra = [np.ones(12), [1.0], np.geomspace(1, 1e-6, 12), 1 - 1e-6 * np.arange(12), 1 - 1e-4 * np.arange(12)]
    for scale in (1e-20, 1.0, 1e20):
        for values in spectra:
            matrix = jnp.asarray(scale * singular(values, shape), jnp.float32)
            assert float(_norm(matrix)) == pytest.approx(scale, rel=1e-5)
        matrix = scale * rng.normal(size=shape)
        assert float(_norm(jnp.asarray(matrix, jnp.float32))) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-5)


def test_operator_norm_of_zeros_and_of_what_is_not_finite():
    assert float(_norm(jnp.zeros((40, 12)))) == 0
    for bad in (np.nan, np.inf):
        assert np.isnan(_norm(jnp.ones((40, 12)).at[3, 4].set(bad)))
