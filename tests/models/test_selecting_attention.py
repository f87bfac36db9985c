"""Attention that selects tokens: its function, and its steps without d against automatic differentiation."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs

from collapse_jax import models, tasks
from collapse_jax.engine.chunks import chunks_of
from collapse_jax.engine.compile import check_model, observed_shapes
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Packing, Task
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.experiment.training import Levels, Training
from collapse_jax.measures.families.attention import attention
from collapse_jax.training import forward_of, init_run, make_recipe, network_of
from collapse_jax.training.hyperparameters import stack_hyperparameters

D = 50  # below the 60 tokens: nothing in the kernel form needs d > N T
STEPS = 200
GRID = Grid(weight_decay=(0.0, 0.1), learning_rate=(0.05,), init_scale=(1.0,), signal_norm=(2.0, 12.0), seed=(1,))


def experiment(form="kernel", trained="both", **changes):
    fields = {
        "grid": GRID,
        "steps": STEPS,
        "batch_size": 0,
        "loss": "cross_entropy",
        "task": Task("token_selection", train_size=10, test_size=20, tokens=6, dimension=D, label_noise=0.2),
        "model": Model("token_selection", trained=trained, form=form),
        "optimizer": Optimizer("gd", momentum=0.0 if trained == "both" else 0.5),
    }
    return Experiment(**fields | changes)


def networks(e):
    """Return the trained parameters of all runs."""
    recipe = make_recipe(e, data := tasks.load(e.task, e.dtype))
    states, h = runs.train(e), stack_hyperparameters(grid_runs(e.grid))
    if recipe.coordinates is None:
        return [runs.take(states.params, i) for i in range(len(grid_runs(e.grid)))]
    whole = jax.jit(lambda s, h: network_of(recipe, s, h, data.of(h)))
    return [whole(runs.take(states, i), runs.take(h, i)) for i in range(len(grid_runs(e.grid)))]


@pytest.mark.parametrize("trained", ["both", "query"])
def test_its_function_is_that_of_the_paper(trained, rng):
    model = models.make_model(Model("token_selection", trained=trained), num_classes=2)
    x, w, p = rng.normal(size=(4, 6, D + 1)), rng.normal(size=(D, D)) / 7, rng.normal(size=D)
    params = {"query": p} | ({"attention": {"kernel": w.T}} if trained == "both" else {})
    logits, (scores, pooled) = model.apply({"params": params}, jnp.asarray(x))
    for i, one in enumerate(x):
        tokens, worth = one[:, :-1], one[:, -1]
        u = tokens @ w @ p if trained == "both" else tokens @ p
        s = np.exp(u) / np.exp(u).sum()
        f = worth @ s
        np.testing.assert_allclose(scores[i], u, rtol=2e-4, atol=1e-5)
        np.testing.assert_allclose(pooled[i], tokens.T @ s, rtol=2e-3, atol=1e-5)
        # The loss of the paper, log(1 + exp(-y f)), y = 1 for class 0.
        loss = -jax.nn.log_softmax(logits[i])
        np.testing.assert_allclose(loss, np.log1p(np.exp([-f, f])), rtol=1e-4)


@pytest.mark.parametrize("trained", ["both", "query"])
def test_the_kernel_form_is_the_step_of_automatic_differentiation(trained):
    """With weight decay and momentum; parameters move by more than 0.1 and agree to 1e-6."""
    for a, b in zip(networks(experiment("kernel", trained)), networks(experiment("direct", trained)), strict=True):
        assert a.keys() == b.keys()
        assert float(np.abs(a["query"]).max()) > 0.1
        np.testing.assert_allclose(a["query"], b["query"], atol=1e-6)
        if trained == "both":
            np.testing.assert_allclose(a["attention"]["kernel"], b["attention"]["kernel"], atol=1e-6)


@pytest.mark.parametrize("trained", ["both", "query"])
def test_the_network_as_a_function_of_inputs_is_that_of_its_parameters(trained):
    """In coordinates W p needs no W; with decay, so that W_0 has lost a share."""
    e = experiment("kernel", trained)
    recipe, states = make_recipe(e, data := tasks.load(e.task, e.dtype)), runs.train(e)
    state, h = runs.take(states, 3), runs.take(stack_hyperparameters(grid_runs(e.grid)), 3)

    @jax.jit
    def both(state, h):
        own = data.of(h)
        params = network_of(recipe, state, h, own)
        return forward_of(recipe, state, h, own)(own.test_inputs), recipe.model.apply(
            {"params": params}, own.test_inputs
        )

    (logits, layers), expected = both(state, h)
    assert float(jnp.abs(layers[0]).max()) > 1
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), (logits, layers), expected)


def test_one_step_is_gradient_descent_on_the_loss_of_the_paper(rng):
    """Against the gradient written out in numpy, from parameters that are not the initial ones."""
    e = experiment()
    data, h = tasks.load(e.task, e.dtype), runs.take(stack_hyperparameters(grid_runs(e.grid)), 2)
    own = jax.jit(data.of)(h)
    before, after = (networks(dataclasses.replace(e, steps=steps))[2] for steps in (30, 31))
    x, worth = np.asarray(own.train_inputs[..., :-1], float), np.asarray(own.train_inputs[..., -1], float)
    y = 1 - 2 * np.asarray(own.train_labels, float)
    w, p = np.asarray(before["attention"]["kernel"], float).T, np.asarray(before["query"], float)
    u = x @ w @ p
    s = np.exp(u) / np.exp(u).sum(1, keepdims=True)
    f = (s * worth).sum(1)
    slope = -y / (1 + np.exp(y * f)) / len(y)
    g = slope[:, None] * s * (worth - f[:, None])
    grad_w, grad_p = np.einsum("ntd,nt,e->de", x, g, p), np.einsum("ntd,nt->d", x @ w, g)
    eta, decay = 0.05, 0.1
    np.testing.assert_allclose(after["query"], p - eta * (grad_p + decay * p), atol=1e-6)
    np.testing.assert_allclose(after["attention"]["kernel"].T, w - eta * (grad_w + decay * w), atol=1e-6)


@pytest.mark.bits
def test_a_run_is_the_same_alone_and_however_it_is_cut():
    """Vmapped over signal norms it agrees to rounding."""
    e = experiment()
    whole = runs.train(e)
    runs.assert_same_bits(runs.train(e, cuts=(1, 17, 100)), whole)
    alone = dataclasses.replace(e, grid=dataclasses.replace(GRID, weight_decay=(0.1,), signal_norm=(12.0,)))
    runs.assert_same_bits(runs.take(runs.train(alone), 0), runs.take(whole, 3))


def test_runs_of_a_tile_agree_with_runs_one_by_one():
    assert runs.distance(runs.train(experiment(), layout=Packing(1, 4)), runs.train(experiment())) < 2e-5


def test_other_steps_than_those_of_the_kernel_form_are_refused():
    kernel = experiment()
    for change, message in (
        (
            {"optimizer": Optimizer("adamw")},
            "optimizer.name='adamw': the model 'token_selection' in model.form='kernel'",
        ),
        (
            {"optimizer": Optimizer("sgd"), "batch_size": 5},
            "optimizer.name='sgd': .* none but 'gd'; model.form='direct'",
        ),
        ({"optimizer": Optimizer("gd", decay="matrices")}, "optimizer.decay='matrices': .* none but 'all'"),
        ({"training": Training(terms=("fixed_norm",))}, r"training.terms=\('fixed_norm',\): .* none but"),
        (
            {"grid": dataclasses.replace(GRID, weight_noise=(0.1,))},
            r"training.terms=\('weight_noise',\): .* none but",
        ),
        ({"training": Training(levels=Levels(steps=50))}, "training.levels.steps=50: .* none but 0"),
        ({"training": Training(mask="m.npz")}, "training.mask='m.npz': .* none but ''"),
        ({"model": Model("token_selection", form="dual")}, "model.form='?dual'?"),
        ({"model": Model("token_selection", trained="value")}, "model.trained='?value'?"),
    ):
        with pytest.raises(ConfigError, match=message) as refused:
            validate(dataclasses.replace(kernel, **change))
        assert "\n" not in str(refused.value)
    direct = dataclasses.replace(
        kernel, model=Model("token_selection", form="direct"), optimizer=Optimizer("adamw")
    )
    assert validate(direct).optimizer.name == "adamw"


def test_calls_of_a_training_in_coordinates_end_at_boundaries_alone():
    kernel, direct = (chunks_of(experiment(form)) for form in ("kernel", "direct"))
    assert (kernel.end(3, 1000), direct.end(3, 1000)) == (1000, 4)


def test_a_measure_of_the_head_says_that_there_is_none():
    e = validate(experiment(measures=("fit", "margins")))
    with pytest.raises(
        ConfigError, match="measures='margins': needs 'head', which the model token_selection does not"
    ):
        check_model(e, tasks.load(e.task, e.dtype))


def test_the_encoder_is_what_its_formula_says(rng):
    d, tokens, width = 7, 5, 11
    model = models.make_model(Model("token_encoder", width=width), num_classes=2)
    x = rng.normal(size=(3, tokens, d + 1))
    params = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape) / 2, model.init(jax.random.key(0), jnp.asarray(x))["params"]
    )
    logits, (scores, z) = model.apply({"params": params}, jnp.asarray(x))

    def norm(name, h):
        centred = h - h.mean(-1, keepdims=True)
        centred = centred / np.sqrt(h.var(-1, keepdims=True) + 1e-5)
        return centred * params[name]["scale"] + params[name]["bias"]

    def dense(name, h):
        return h @ params[name]["kernel"] + params[name].get("bias", 0)

    for i, one in enumerate(x):
        c = params["class_token"]
        normed = norm("norm_attention", np.concatenate([one[:, :-1], c[None]]))
        u = dense("k", normed) @ dense("q", normed[-1]) / np.sqrt(d)
        s = np.exp(u) / np.exp(u).sum()
        h = c + s @ dense("v", normed)
        a = dense("hidden", norm("norm_hidden", h))
        gelu = a * np.array([0.5 * (1 + math.erf(value / np.sqrt(2))) for value in a])
        expected = h + dense("out", gelu)
        np.testing.assert_allclose(scores[i], u, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(z[i], expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(logits[i], dense("head", expected), rtol=1e-3, atol=1e-3)


def test_the_encoder_s_attention_is_measured():
    """It has a score of its own beside those of the tokens."""
    e = validate(experiment(model=Model("token_encoder", width=8), measures=("fit", "attention", "margins")))
    data = tasks.load(e.task, e.dtype)
    check_model(e, data)
    recipe, h = make_recipe(e, data), runs.take(stack_hyperparameters(grid_runs(e.grid)), 0)
    state = jax.eval_shape(lambda h: init_run(recipe, h, data), h)
    found = jax.eval_shape(attention, observed_shapes(recipe, (state, h), data))
    assert found["attention_clean"].shape == (4,)
