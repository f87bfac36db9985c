"""Dropout: a step against plain numpy under the mask that it drew, where networks drop, and where nothing is."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from runs import assert_same_bits, begin, distance, one, take, train

from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Optimizer, Training
from collapse_jax.models import make_model
from collapse_jax.training import network_of, observe_probe
from collapse_jax.training.run import update
from collapse_jax.training.trees import transposed

RATE, WIDTH, ETA = 0.3, 400, 0.01


@pytest.fixture(scope="module")
def stepped():
    """Return a step of one example, the state before and the data: a step of gradient descent at rate `ETA`."""
    from conftest import tiny_experiment

    experiment = tiny_experiment(
        model=Model(hidden=(WIDTH,), activation="tanh", dropout=RATE),
        optimizer=Optimizer("sgd"),
        grid=Grid(weight_decay=(0.0,), learning_rate=(ETA,), init_scale=(1.0,)),
    )
    recipe, h, data = one(experiment)
    batch = (data.train_inputs[:1], data.train_labels[:1], None)
    step = jax.jit(lambda s, h, t: transposed(update(recipe, transposed(s), h, batch, t)))
    return recipe, step, h, begin(recipe, h, data), data


def dropped_in(before, after):
    """Return which hidden units had no part in a step: their rows of the head stay as they were."""
    return np.all(np.equal(before["head"]["kernel"], after["head"]["kernel"]), axis=1)


def test_a_step_is_that_of_plain_numpy_without_the_units_that_it_drops(stepped):
    _, step, h, state, data = stepped
    after = step(state, h, jnp.int32(0)).params
    before = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params)
    kept = ~dropped_in(state.params, after) / (1 - RATE)
    x = np.asarray(data.train_inputs[0], np.float64).ravel()
    hidden = np.tanh(x @ before["hidden_0"]["kernel"] + before["hidden_0"]["bias"])
    slope = 2 * ((hidden * kept) @ before["head"]["kernel"] + before["head"]["bias"])
    slope[int(data.train_labels[0])] -= 2
    below = (before["head"]["kernel"] @ slope) * kept * (1 - hidden**2)
    expected = {
        "head": {"kernel": np.outer(hidden * kept, slope), "bias": slope},
        "hidden_0": {"kernel": np.outer(x, below), "bias": below},
    }
    for name, layer in expected.items():
        for part, gradient in layer.items():
            moved = before[name][part] - ETA * gradient
            np.testing.assert_allclose(after[name][part], moved, rtol=1e-4, atol=1e-6)


def test_each_step_and_each_seed_drops_its_own_share_of_the_units(stepped):
    _, step, h, state, _ = stepped
    other = h.changed(seed=jnp.uint32(7))
    masks = [dropped_in(state.params, step(state, *which).params) for which in ((h, 0), (h, 1), (other, 0))]
    for mask in masks:
        assert abs(mask.sum() - RATE * WIDTH) < 5 * np.sqrt(RATE * (1 - RATE) * WIDTH)
    for a, b in ((0, 1), (0, 2)):  # independent masks differ in 2 p (1 - p) of the units
        assert 0.25 < np.mean(masks[a] != masks[b]) < 0.6


def test_nothing_is_dropped_where_a_network_is_evaluated(stepped):
    recipe, _, h, state, data = stepped
    network = network_of(recipe, state, h, data)
    seen = observe_probe(recipe, network, data.test_inputs, data.test_labels)
    x = np.asarray(data.test_inputs, np.float64).reshape(len(data.test_labels), -1)
    layer = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params["hidden_0"])
    np.testing.assert_allclose(seen.features, np.tanh(x @ layer["kernel"] + layer["bias"]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (Model(hidden=(8, 7, 6), dropout=0.2), 3),
        (Model("vgg11", width=1, dropout=0.2), 10),
        (Model("resnet18", width=1, dropout=0.2), 1),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_blocks_of_a_plain_network_and_the_stem_of_a_resnet_drop_their_outputs(model, count):
    network, seen = make_model(model, 10), []

    def called(call, args, kwargs, context):
        out = call(*args, **kwargs)
        if isinstance(context.module, nn.Dropout):
            seen.append((context.module.rate, context.module.deterministic))
        return out

    images = jax.ShapeDtypeStruct((2, 28, 28, 1), np.float32)
    variables = jax.eval_shape(network.init, jax.random.key(0), images)
    for rngs, drops in ((None, False), ({"dropout": jax.random.key(1)}, True)):
        seen.clear()
        with nn.intercept_methods(called):
            jax.eval_shape(functools.partial(network.apply, rngs=rngs), variables, images)
        assert seen == [(0.2, not drops)] * count


def test_a_training_with_dropout_may_be_cut_anywhere_and_differs_from_one_without(tiny):
    experiment = tiny(
        model=Model(hidden=(16, 12), norm="batch", dropout=0.2), training=Training(scheme="layerwise")
    )
    whole = train(experiment)
    assert_same_bits(whole, train(experiment, cuts=(1, 20)))
    plain = dataclasses.replace(experiment, model=Model(hidden=(16, 12), norm="batch"))
    assert distance(take(whole, 0).params, take(train(plain), 0).params) > 1e-3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Model(hidden=(8,), dropout=1.0), r"model\.dropout=1\.0: must be in \[0, 1\)"),
        (Model(hidden=(8,), dropout=-0.1), r"model\.dropout=-0\.1: must be in"),
        (Model("cnn", dropout=0.2), r"model\.dropout=0\.2: the model 'cnn' has no such field"),
    ],
)
def test_dropout_that_is_no_share_or_of_another_model_is_refused(tiny, model, message):
    with pytest.raises(ConfigError, match=message):
        validate(tiny(model=model))
