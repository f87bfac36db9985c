import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax import models
from collapse_jax.experiment.config import Model
from collapse_jax.models.layers import smooth_leaky_relu


def init(config, seed=0):
    model = models.make_model(config, 10)
    return model, model.init(jax.random.key(seed), jnp.zeros((1, 784)))["params"]


@pytest.mark.parametrize(("hidden", "count"), [((200, 200, 200), 239_410), ((200, 200), 199_210)])
def test_parameter_counts_equal_the_reference(hidden, count):
    _, params = init(Model(hidden=hidden))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def test_initial_norms_equal_the_closed_form():
    """E||W||_F of n entries uniform in +-s is s sqrt(n / 3) up to 1/n: here at scale 8, 784-200-200-10."""
    _, params = init(Model(hidden=(200, 200)))
    norms = jax.tree.map(lambda leaf: 8 * jnp.linalg.norm(leaf), params)
    kernels = [norms[name]["kernel"] for name in ("hidden_0", "hidden_1", "head")]
    biases = [norms[name]["bias"] for name in ("hidden_0", "hidden_1", "head")]
    np.testing.assert_allclose(kernels, [65.3197, 65.3197, 14.6059], rtol=0.02)
    np.testing.assert_allclose(biases[:2], [2.3328, 4.6188], rtol=0.12)
    assert 0.4 < biases[2] < 1.8  # ten numbers only
    assert np.sum(kernels) + np.sum(biases) == pytest.approx(153.23, rel=0.02)
    assert np.sqrt(np.sum(np.square(kernels)) + np.sum(np.square(biases))) == pytest.approx(93.672, rel=0.01)
    for name, fan_in in (("hidden_0", 784), ("hidden_1", 200), ("head", 200)):
        largest = float(jnp.max(jnp.abs(params[name]["kernel"])))
        assert 0.99 * fan_in**-0.5 < largest <= fan_in**-0.5


def test_forward_pass_is_the_textbook_one():
    model, params = init(Model(hidden=(20, 15)))
    x = np.random.default_rng(0).normal(size=(4, 28, 28)).astype(np.float32)
    logits, (*_, features) = model.apply({"params": params}, x)
    p = jax.tree.map(np.asarray, params)
    h = np.maximum(x.reshape(4, -1) @ p["hidden_0"]["kernel"] + p["hidden_0"]["bias"], 0)
    h = np.maximum(h @ p["hidden_1"]["kernel"] + p["hidden_1"]["bias"], 0)
    np.testing.assert_allclose(features, h, atol=1e-4)
    np.testing.assert_allclose(logits, h @ p["head"]["kernel"] + p["head"]["bias"], atol=1e-4)


def test_without_a_bias_of_the_head_the_rest_is_the_same():
    x = np.random.default_rng(0).normal(size=(4, 784)).astype(np.float32)
    with_bias, params = init(Model(hidden=(20,)))
    without, fewer = init(Model(hidden=(20,), head_bias=False))
    assert fewer["head"].keys() == {"kernel"}
    jax.tree.map(np.testing.assert_array_equal, fewer, params | {"head": {"kernel": params["head"]["kernel"]}})
    logits = with_bias.apply({"params": params}, x)[0] - params["head"]["bias"][None]
    np.testing.assert_allclose(without.apply({"params": fewer}, x)[0], logits, atol=1e-5)


def test_last_layer_act_switches_the_last_hidden_activation():
    x = np.random.default_rng(0).normal(size=(50, 784)).astype(np.float32)
    with_act, params = init(Model(hidden=(20, 15)))
    without, _ = init(Model(hidden=(20, 15), last_layer_act=False))
    rectified, linear = (m.apply({"params": params}, x)[1][-1] for m in (with_act, without))
    assert linear.min() < 0
    np.testing.assert_allclose(rectified, np.maximum(linear, 0), atol=1e-6)


def test_smooth_leaky_relu_meets_the_assumption():
    x = jnp.linspace(-30, 30, 2001)
    slope = jax.vmap(jax.grad(smooth_leaky_relu))(x)
    assert 0.1 <= slope.min() <= slope.max() <= 1
    assert jnp.all(jnp.abs(smooth_leaky_relu(x)) <= jnp.abs(x) + 1e-6)
    assert jnp.all(jnp.diff(slope) >= -1e-6)
