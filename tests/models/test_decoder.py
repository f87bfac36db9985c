"""The networks of token sequences against numpy, and against the sizes of the paper's code."""

import dataclasses

import jax
import numpy as np
import pytest

from collapse_jax import models
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Model, Task

SHAPES = {"one layer": (1, 242_547), "two layers": (2, 440_819)}


def initial(model, length=4):
    return jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, length), np.int32))["params"]


@pytest.mark.parametrize("case", SHAPES)
def test_parameters_are_as_many_as_in_the_code_of_the_paper(case):
    depth, expected = SHAPES[case]
    leaves = jax.tree.leaves(initial(models.make_model(Model("decoder", depth=depth), 115, 115)))
    assert sum(leaf.size for leaf in leaves) == expected
    assert sum(leaf.ndim > 1 for leaf in leaves) == 3 + 6 * depth


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def norm(x, p):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * p["scale"] + p["bias"]


def dense(x, p):
    return x @ p["kernel"] + p["bias"]


def gelu(x):
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def decoder_by_hand(params, tokens, heads):
    """Sequence by sequence, head by head, in float64."""
    outputs = []
    for sequence in tokens:
        x = params["tokens"]["embedding"][sequence] + params["positions"]["embedding"][: len(sequence)]
        layers = []
        for name in sorted(name for name in params if name.startswith("layer_")):
            p = params[name]
            q, k, v = (np.split(dense(x, p["attention"][part]), heads, axis=1) for part in "qkv")
            mixed = [softmax(a @ b.T / np.sqrt(b.shape[1])) @ c for a, b, c in zip(q, k, v, strict=True)]
            x = norm(x + dense(np.concatenate(mixed, axis=1), p["attention"]["out"]), p["norm1"])
            x = norm(x + dense(gelu(dense(x, p["linear1"])), p["linear2"]), p["norm2"])
            layers.append(x[-1])
        outputs.append((dense(x[-1], params["head"]), *layers))
    return [np.stack(each) for each in zip(*outputs, strict=True)]


def perturbed(params, rng):
    """So that biases and gains are not what hides a mistake."""
    return jax.tree.map(lambda leaf: np.asarray(leaf + 0.1 * rng.normal(size=leaf.shape), np.float32), params)


def test_the_decoder_is_what_numpy_says(rng):
    model = models.make_model(Model("decoder", width=12, depth=2, heads=3), 7, 9)
    tokens = rng.integers(0, 9, (5, 4)).astype(np.int32)
    params = perturbed(model.init(jax.random.key(1), tokens)["params"], rng)
    logits, layers = model.apply({"params": params}, tokens)
    expected = decoder_by_hand(jax.tree.map(np.float64, params), tokens, 3)
    for found, right in zip((logits, *layers), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


def test_the_embedding_mlp_is_what_numpy_says(rng):
    model = models.make_model(Model("embedding_mlp", width=5, hidden=(11, 6)), 7, 9)
    tokens = rng.integers(0, 9, (5, 4)).astype(np.int32)
    params = perturbed(model.init(jax.random.key(1), tokens)["params"], rng)
    first = np.maximum(dense(params["tokens"]["embedding"][tokens].reshape(5, -1), params["hidden_0"]), 0)
    second = dense(first, params["hidden_1"])
    logits, layers = model.apply({"params": params}, tokens)
    for found, right in zip((*layers, logits), (first, second, dense(second, params["head"])), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


def test_the_last_token_sees_every_other_and_their_order(rng):
    model = models.make_model(Model("decoder", width=8, heads=2), 5, 6)
    tokens = np.array([[0, 1, 2, 3], [4, 1, 2, 3], [1, 0, 2, 3]], np.int32)
    params = perturbed(model.init(jax.random.key(1), tokens)["params"], rng)
    logits = np.asarray(model.apply({"params": params}, tokens)[0])
    assert min(np.abs(logits[0] - logits[1]).max(), np.abs(logits[0] - logits[2]).max()) > 1e-3


def test_initial_embeddings_and_kernels_have_the_variance_that_is_said():
    params = models.make_model(Model("decoder"), 115, 115).init(jax.random.key(0), np.zeros((1, 4), np.int32))[
        "params"
    ]
    for leaf, fan in (
        (params["tokens"]["embedding"], 128),
        (params["positions"]["embedding"], 128),
        (params["layer_0"]["linear2"]["kernel"], 512),
        (params["head"]["kernel"], 128),
    ):
        assert np.std(leaf) == pytest.approx(fan**-0.5, rel=0.03)


def test_what_does_not_fit_is_refused(tiny):
    tokens = Task("modular", modulus=7, form="tokens", train_size=20)
    for task, model, message in (
        (tokens, Model("decoder", width=10, heads=4), "model.heads=4: must divide the width, 10"),
        (tokens, Model("mlp"), "model.name='mlp': takes image or vector data, task.dataset='modular' is tokens"),
        (dataclasses.replace(tokens, form="one_hot"), Model("decoder"), "takes tokens data"),
        (tokens, Model("decoder", hidden=(8,)), "model.hidden=.*has no such field"),
    ):
        with pytest.raises(ConfigError, match=message):
            validate(tiny(task=task, model=model))
    with pytest.raises(ConfigError, match="has 3 positions, as many as tokens; the sequences are 4 long"):
        initial(models.make_model(Model("decoder"), 3, 3))
