"""Parameter counts, shapes, masks and the rules of the initial scale."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from collapse_jax import models
from collapse_jax.errors import ConfigError
from collapse_jax.experiment import config
from collapse_jax.models.images import as_images
from collapse_jax.models.layers import max_pool
from collapse_jax.models.transformer import SelfAttention, Transformer

COUNTS = [
    ("cnn", (28, 28, 1), 809_034),
    ("cnn", (32, 32, 3), 2_117_962),
    ("transformer", (28, 28, 1), 201_738),
    ("resnet18", (32, 32, 3), 11_173_962),
    ("resnet34", (32, 32, 3), 21_282_122),
    ("conv2", (28, 28, 1), 3_317_450),  # 640 + 36,928 + 3,211,520 + 65,792 + 2,570
    ("conv2", (32, 32, 3), 4_301_642),
    ("resnet20", (32, 32, 3), 272_474),
    ("resnet50", (32, 32, 3), 23_520_842),
    ("resnet101", (32, 32, 3), 42_512_970),
    ("resnet152", (32, 32, 3), 58_156_618),
    ("vgg11", (32, 32, 3), 9_758_474),  # 9,220,480 of convolutions, 525,312 dense, 7,552 BatchNorm, 5,130 head
]


def shapes_of(name, shape):
    model = models.make_model(config.Model(name), 10)
    return model, jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, *shape)))


@pytest.mark.parametrize(("name", "shape", "count"), COUNTS, ids=lambda value: str(value))
def test_parameter_counts(name, shape, count):
    _, shapes = shapes_of(name, shape)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == count
    assert set(shapes["params"]["head"]) == {"kernel", "bias"}


def test_parameter_count_of_a_text_transformer():
    model = models.make_model(config.Model("transformer"), 6, vocabulary_size=1000)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, 16), jnp.int32))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 128 * 1000 + 198_272 + 129 * 6


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("cnn", [(28, 28, 16), (14, 14, 32), (128,)]),
        ("transformer", [(128,), (128,)]),
        ("conv2", [(28, 28, 64), (14, 14, 64), (256,), (256,)]),
        ("resnet20", [(16,), (16,), (32,), (64,)]),
        ("resnet18", [(64,), (64,), (128,), (256,), (512,)]),
        ("resnet50", [(64,), (256,), (512,), (1024,), (2048,)]),
    ],
)
def test_layers_end_with_the_features(name, shapes):
    model, variables = shapes_of(name, (28, 28, 1))
    logits, layers = jax.eval_shape(model.apply, variables, jnp.zeros((2, 28, 28, 1)))
    assert logits.shape == (2, 10)
    assert [layer.shape[1:] for layer in layers] == shapes


@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1)])
def test_images_in_any_form(shape):
    pixels = np.arange(2 * 784, dtype=np.float32)
    np.testing.assert_array_equal(as_images(pixels.reshape(2, *shape)), pixels.reshape(2, 28, 28, 1))


def test_rows_of_colour_images():
    images = np.arange(2 * 5 * 5 * 3).reshape(2, 5, 5, 3)
    np.testing.assert_array_equal(as_images(images.reshape(2, 75)), images)


@pytest.mark.parametrize("pixels", [785, 2])
def test_rows_that_are_no_square_images(pixels):
    with pytest.raises(ConfigError, match="square"):
        as_images(jnp.zeros((2, pixels)))


def test_padding_changes_nothing():
    model = Transformer(3, 9, width=8, depth=2, heads=2)
    text = np.array([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0]], np.int32)
    variables = jax.jit(model.init)(jax.random.key(0), text)
    np.testing.assert_array_equal(variables["params"]["embedding"][0], 0)
    logits = jax.jit(lambda x: model.apply(variables, x)[0])
    short, longer = logits(text), logits(np.pad(text, ((0, 0), (0, 4))))
    np.testing.assert_allclose(short, longer, atol=1e-6)
    np.testing.assert_allclose(short[1], logits(text[1:, :2])[0], atol=1e-6)
    assert np.abs(short[0] - logits(np.array([[3, 1, 4, 0, 0]] * 2, np.int32))[0]).max() > 1e-3  # tokens do count


@pytest.mark.parametrize("masked", [False, True])
def test_attention_from_the_first_token_alone(masked):
    with jax.enable_x64(True):
        x = jax.random.normal(jax.random.key(0), (3, 6, 8), jnp.float64)
        mask = jnp.arange(6)[None] < jnp.array([[1], [4], [6]]) if masked else None
        whole, first = (SelfAttention(2, first=only) for only in (False, True))
        variables = jax.tree.map(  # biases begin at zero
            lambda leaf: leaf + jnp.linspace(-1, 1, leaf.size).reshape(leaf.shape),
            jax.jit(whole.init)(jax.random.key(1), x, mask),
        )

        def loss(variables, x, model):
            return (model.apply(variables, x, mask)[:, 0] ** 3).sum()

        for order in (loss, jax.grad(loss, (0, 1))):
            some, every = (jax.jit(functools.partial(order, model=model))(variables, x) for model in (first, whole))
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10), some, every)


def test_too_many_tokens_and_too_small_images():
    with pytest.raises(ConfigError, match=r"task\.max_tokens=513"):
        Transformer(3, 9, width=8).init(jax.random.key(0), jnp.zeros((1, 513), jnp.int32))
    with pytest.raises(ConfigError, match=r"model\.patch_size=4: must be at most"):
        Transformer(3, width=8).init(jax.random.key(0), jnp.zeros((1, 3, 3, 1)))


SCALED = {
    ("mlp", "default"): {"hidden_0", "hidden_1", "hidden_2", "norm_0", "norm_1", "norm_2", "head"},
    ("mlp", "linear"): {"hidden_0", "hidden_1", "hidden_2", "head"},
    ("cnn", "default"): {"hidden", "head"},
    ("cnn", "all"): {"conv_0", "conv_1", "hidden", "head"},
    ("transformer", "default"): {"layer_0/linear1", "layer_0/linear2", "head"},
    ("resnet18", "default"): {"head"},
}


@pytest.mark.parametrize(("name", "init"), SCALED)
def test_what_the_initial_scale_multiplies(name, init):
    c = config.Model(name, norm="layer" if name == "mlp" else "none")
    model = models.make_model(c, 10)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((2, 28, 28, 1)))["params"]
    rule = models.initial_scale(models.find_model(name), init)
    scaled = rule(jax.tree.map(lambda leaf: np.ones(leaf.shape[-1:]), shapes), 8.0)
    modules = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(scaled):
        assert set(np.unique(leaf)) in ({1.0}, {8.0})
        module = jax.tree_util.keystr(path[:-1], simple=True, separator="/")
        modules.setdefault(module, set()).add(float(leaf[0]))
    assert {module for module, factors in modules.items() if 8.0 in factors} == SCALED[name, init]
    assert all(len(factors) == 1 for factors in modules.values())


def test_zero_last_layer():
    rule = models.initial_scale(models.find_model("cnn"), "zero_last_layer")
    scaled = rule({"conv_0": {"kernel": jnp.ones(2)}, "head": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}, 8.0)
    assert scaled["conv_0"]["kernel"].tolist() == [8, 8]
    assert scaled["head"]["kernel"].tolist() == scaled["head"]["bias"].tolist() == [0, 0]


def test_pooling_equals_that_of_flax_and_the_first_maximum_has_the_gradient():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    np.testing.assert_array_equal(max_pool(jnp.asarray(x)), nn.max_pool(x, (2, 2), strides=(2, 2)))
    gradient = jax.grad(lambda x: max_pool(x).sum())(jnp.ones((1, 2, 2, 1)))
    assert gradient.ravel().tolist() == [1, 0, 0, 0]
