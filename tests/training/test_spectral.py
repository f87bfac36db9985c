"""The spectral entropy of matrices against float64 singular values and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same_bits, train

from collapse_jax.experiment.config import Grid, Model, Task
from collapse_jax.training import spectral
from collapse_jax.training.spectral import entropies, spectral_entropy


def entropy(matrix):
    return entropies([jnp.asarray(matrix)])[0]


def truth(matrix):
    values = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    p = values / values.sum()
    return -np.sum(p * np.log(p + 1e-10))


def slope(matrix, direction, step=1e-6):
    matrix = np.asarray(matrix, np.float64)
    return (truth(matrix + step * direction) - truth(matrix - step * direction)) / (2 * step)


@pytest.mark.parametrize("shape", [(9, 9), (12, 7), (7, 12), (1, 6), (6, 1)])
def test_values_and_gradients_are_those_of_the_singular_values(rng, shape):
    matrix = rng.normal(size=shape).astype(np.float32)
    assert entropy(matrix) == pytest.approx(truth(matrix), abs=1e-5)
    for _ in range(3):
        direction = rng.normal(size=shape)
        found = np.sum(np.asarray(jax.grad(entropy)(matrix)) * direction)
        assert found == pytest.approx(slope(matrix, direction), abs=2e-4)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_a_matrix_is_nothing_to_it_and_the_gradient_falls_with_it(rng, scale):
    matrix = rng.normal(size=(8, 5)).astype(np.float32)
    assert entropy(matrix * np.float32(scale)) == pytest.approx(float(entropy(matrix)), rel=1e-5)
    scaled = jax.grad(entropy)(matrix * np.float32(scale))
    np.testing.assert_allclose(scaled * scale, jax.grad(entropy)(matrix), rtol=1e-3, atol=1e-5)
    # So it is orthogonal to the matrix (Euler).
    assert np.abs(np.sum(jax.grad(entropy)(matrix) * matrix)) < 1e-5


def test_closed_forms_of_repeated_singular_values_and_of_low_rank(rng):
    """r equal ones: log r, a maximum, so no gradient among them; rank 1: 0; zero: 0. All finite."""
    orthogonal, _ = np.linalg.qr(rng.normal(size=(10, 6)))
    for matrix, expected in (
        (orthogonal, np.log(6)),
        (np.eye(4), np.log(4)),
        (np.diag([3.0, 3.0, 0, 0]), np.log(2)),
        (np.outer(rng.normal(size=5), rng.normal(size=7)), 0),
        (np.zeros((4, 3)), 0),
        (np.ones((1, 1)), 0),
    ):
        value, gradient = jax.value_and_grad(entropy)(jnp.float32(matrix))
        assert value == pytest.approx(expected, abs=1e-4)
        assert np.isfinite(gradient).all()
        np.testing.assert_allclose(gradient, 0, atol=1e-4)


def test_directions_of_equal_singular_values_are_told_apart_by_nothing(rng):
    """With values 2, 2, 1 the gradient is U diag(g) V^T whatever the basis: it turns with the matrix."""
    u, v = (np.linalg.qr(rng.normal(size=(n, n)))[0] for n in (5, 3))
    core = np.zeros((5, 3), np.float32)
    np.fill_diagonal(core, [2, 2, 1])
    turned = jax.grad(entropy)(jnp.float32(u @ core @ v.T))
    np.testing.assert_allclose(turned, u @ np.asarray(jax.grad(entropy)(core)) @ v.T, atol=1e-5)
    direction = rng.normal(size=(5, 3))
    assert np.sum(turned * direction) == pytest.approx(slope(u @ core @ v.T, direction), abs=1e-4)


def test_the_penalty_is_the_mean_over_matrices_kernels_of_convolutions_flattened_vectors_left_out(rng):
    params = {
        "conv": {"kernel": rng.normal(size=(3, 3, 2, 4)).astype(np.float32), "bias": np.ones(4, np.float32)},
        "head": {"kernel": rng.normal(size=(4, 6)).astype(np.float32)},
        "local_heads": {"kernel": rng.normal(size=(4, 6)).astype(np.float32)},
    }
    expected = (truth(params["conv"]["kernel"].reshape(18, 4)) + truth(params["head"]["kernel"])) / 2
    assert spectral_entropy(params, 0.3) == pytest.approx(0.3 * expected, rel=1e-5)
    assert spectral_entropy({"bias": np.ones(3, np.float32)}, 0.3) == 0


def test_matrices_of_one_size_in_one_call_have_the_values_and_gradients_of_each_alone(rng, monkeypatch):
    """As on accelerators: Gram matrices of 4 and of 7, in an order that mixes them."""
    matrices = [jnp.float32(rng.normal(size=shape)) for shape in ((4, 9), (7, 7), (6, 4), (7, 12), (4, 4))]
    slopes = jax.grad(lambda each: sum(c * h for c, h in enumerate(entropies(each), 1)))
    alone = [jax.grad(entropy)(matrix) for matrix in matrices]
    one_by_one, calls = spectral.eigenvectors, []

    def stacked(grams):
        calls.append(jax.make_jaxpr(lambda each: one_by_one(each, stacked=True))(grams))
        return one_by_one(grams, stacked=True)

    monkeypatch.setattr(spectral, "eigenvectors", stacked)
    np.testing.assert_allclose(entropies(matrices), [truth(matrix) for matrix in matrices], atol=1e-5)
    for c, (gradient, expected) in enumerate(zip(slopes(matrices), alone, strict=True), 1):
        np.testing.assert_allclose(gradient, c * expected, atol=1e-5)
    assert str(calls[0]).count(" eigh[") == 2


@pytest.mark.slow
def test_where_a_regularised_run_is_cut_changes_no_bit(tiny):
    """With its own split, noise and penalty: all of it is a function of seed and step."""
    axes = {"weight_noise": (1e-2,), "spectral_entropy": (0.1,), "norm_cutoff": (1e-3,)}
    experiment = tiny(
        grid=Grid(weight_decay=(1.0,), init_scale=(1.0,), seed=(0, 1), **axes),
        steps=9,
        loss="cross_entropy",
        task=Task("modular", modulus=7, operation="division", form="tokens", split="seed", train_size=20),
        model=Model("decoder", width=8, heads=2),
    )
    whole = train(experiment)
    assert_same_bits(whole, train(experiment, cuts=(1, 4, 7)))
    first, second = (jax.tree.leaves(jax.tree.map(lambda leaf, i=i: leaf[i], whole.params)) for i in range(2))
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
