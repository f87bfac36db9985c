"""Training against an independent float64 loop in numpy: forward, backward, update, same batches."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from collapse_jax import tasks
from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Task
from collapse_jax.training import make_recipe
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.optimizers import adamw
from collapse_jax.training.run import RunState, transposed, update

LEARNING_RATE, WEIGHT_DECAY, STEPS = 2e-3, 0.05, 100


def loss_gradient(name, logits, labels):
    """Gradient of the batch objective with respect to the logits."""
    target = np.eye(logits.shape[1])[labels]
    if name == "cross_entropy":
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shifted / shifted.sum(axis=1, keepdims=True) - target) / len(labels)
    return 2 * (logits - target) / (1 if name == "squared_error_sum" else logits.size)


def backward(weights, name, x, labels):
    """Gradients of a ReLU network given as [(W, b), ...]."""
    inputs = [x]
    for i, (w, b) in enumerate(weights):
        x = x @ w + b
        if i < len(weights) - 1:
            x = np.maximum(x, 0)
        inputs.append(x)
    delta, gradients = loss_gradient(name, x, labels), []
    for i in reversed(range(len(weights))):
        gradients.append((inputs[i].T @ delta, delta.sum(axis=0)))
        delta = (delta @ weights[i][0].T) * (inputs[i] > 0)
    return gradients[::-1]


def numpy_training(weights, optimizer, loss, batches):
    """AdamW as in its paper with PyTorch's decoupled factor; Adam, or SGD with momentum, with coupled decay."""
    first = [[np.zeros_like(p) for p in layer] for layer in weights]
    second = [[np.zeros_like(p) for p in layer] for layer in weights]
    weights = [list(layer) for layer in weights]
    for t, (x, labels) in enumerate(batches, start=1):
        for i, layer in enumerate(backward(weights, loss, x, labels)):
            for j, g in enumerate(layer):
                if optimizer.name in ("adam", "adamw"):
                    coupled = optimizer.name == "adam"
                    g = g + WEIGHT_DECAY * weights[i][j] if coupled else g
                    first[i][j] = optimizer.b1 * first[i][j] + (1 - optimizer.b1) * g
                    second[i][j] = optimizer.b2 * second[i][j] + (1 - optimizer.b2) * g**2
                    m, v = first[i][j] / (1 - optimizer.b1**t), second[i][j] / (1 - optimizer.b2**t)
                    weights[i][j] = weights[i][j] * (1 if coupled else 1 - LEARNING_RATE * WEIGHT_DECAY)
                    weights[i][j] = weights[i][j] - LEARNING_RATE * m / (np.sqrt(v) + optimizer.eps)
                else:
                    first[i][j] = optimizer.momentum * first[i][j] + g + WEIGHT_DECAY * weights[i][j]
                    weights[i][j] = weights[i][j] - LEARNING_RATE * first[i][j]
    return weights


@pytest.mark.parametrize("loss", ["squared_error_sum", "squared_error_mean", "cross_entropy"])
@pytest.mark.parametrize(
    "optimizer",
    [
        Optimizer("adamw", 0.9, 0.999, 1e-8),
        Optimizer("adam", 0.9, 0.999, 1e-8),
        Optimizer("sgd", momentum=0.0),
        Optimizer("sgd", momentum=0.9),
    ],
    ids=["adamw", "adam", "sgd", "momentum"],
)
def test_hundred_steps_equal_a_float64_numpy_loop(optimizer, loss):
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(8, 6)), rng.integers(0, 4, 8)) for _ in range(STEPS)]
    experiment = Experiment(
        loss=loss, optimizer=optimizer, model=Model(hidden=(7, 5)), task=Task(train_size=8), grid=Grid()
    )
    with jax.enable_x64(True):
        data = tasks.Dataset(jnp.zeros((8, 6)), jnp.zeros(8, int), jnp.zeros((8, 6)), jnp.zeros(8, int), 4)
        recipe = make_recipe(experiment, data)
        h = Hyperparameters(
            {
                "weight_decay": jnp.float64(WEIGHT_DECAY),
                "learning_rate": jnp.float64(LEARNING_RATE),
                "init_scale": jnp.float64(1),
                "seed": jnp.uint32(0),
            }
        )
        params = recipe.model.init(jax.random.key(0), data.train_inputs)["params"]
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
        state = transposed(RunState(params, recipe.make_optimizer(h).init(params), jnp.int32(-1)))
        names = ("hidden_0", "hidden_1", "head")
        weights = [(np.asarray(params[n]["kernel"]), np.asarray(params[n]["bias"])) for n in names]
        step = jax.jit(lambda s, x, y: update(recipe, s, h, (x, y, None), jnp.int32(0)))
        for x, labels in batches:
            state = step(state, x, labels)
        state = transposed(state)
        found = [(np.asarray(state.params[n]["kernel"]), np.asarray(state.params[n]["bias"])) for n in names]
    expected = numpy_training(weights, optimizer, loss, batches)
    moved = max(
        np.abs(e - w).max()
        for layer, old in zip(expected, weights, strict=True)
        for e, w in zip(layer, old, strict=True)
    )
    assert moved > 1e-3  # the comparison below is of trained parameters
    for layer, expected_layer in zip(found, expected, strict=True):
        for array, expected_array in zip(layer, expected_layer, strict=True):
            np.testing.assert_allclose(array, expected_array, atol=1e-10, rtol=0)


def test_adamw_is_that_of_optax():
    """In float64 the folded bias corrections agree to rounding, from the first step on."""
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        params = {"w": jnp.asarray(rng.normal(size=(5, 3))), "b": jnp.asarray(rng.normal(size=3))}
        ours, reference = adamw(1e-2, 0.3, 0.9, 0.999, 1e-8), optax.adamw(1e-2, weight_decay=0.3)
        a, b = (params, ours.init(params)), (params, reference.init(params))
        for _ in range(50):
            gradient = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape)) * 1e-6, params)
            steps = [optimizer.update(gradient, s, p) for optimizer, (p, s) in ((ours, a), (reference, b))]
            a, b = ((optax.apply_updates(p, u), s) for (p, _), (u, s) in zip((a, b), steps, strict=True))
            jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-12), a[0], b[0])
