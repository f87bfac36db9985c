"""Each term of the step against one step by hand; of strength 0 it is none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same_bits, begin, distance, one, take, train

from collapse_jax.engine import packing
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Optimizer, Packing, Training
from collapse_jax.experiment.keys import Purpose
from collapse_jax.experiment.training import Levels
from collapse_jax.training import TERMS, advance_run, terms
from collapse_jax.training.terms import SWITCHED, factorising, norm_cutoff, weight_noise

RATE = 1e-4


def plain(tiny, training=None, steps=1, init="all", **axes):
    """Return runs of full-batch gradient descent, whose step by hand is short."""
    grid = Grid(**{"weight_decay": (0.0,), "learning_rate": (RATE,), "init_scale": (1.0,), "seed": (1,)} | axes)
    model = Model(hidden=(8, 6), init=init)
    return tiny(
        grid=grid,
        steps=steps,
        batch_size=0,
        optimizer=Optimizer("gd"),
        training=training or Training(),
        model=model,
    )


def loss_of(recipe, data):
    return lambda params: recipe.loss.objective(
        recipe.model.apply({"params": params}, data.train_inputs)[0], data.train_labels, None
    )


def test_the_gradient_is_taken_at_noisy_weights_and_the_step_from_the_others(tiny):
    experiment = plain(tiny, weight_noise=(0.1,))
    recipe, h, data = one(experiment)
    params = begin(recipe, h, data).params
    key = jax.random.fold_in(h.key(Purpose.WEIGHT_NOISE), 0)
    noisy = weight_noise(params, h.weight_noise, key)
    gradient = jax.jit(jax.grad(loss_of(recipe, data)))(noisy)
    expected = jax.tree.map(lambda p, g: p - RATE * g, params, gradient)
    found = take(train(experiment), 0).params
    assert distance(found, expected) < 1e-6
    assert distance(found, params) > 1e-4
    assert distance(found, take(train(plain(tiny)), 0).params) > 1e-4


def test_weight_noise_is_normal_and_new_in_every_leaf_and_step():
    params = {"a": jnp.zeros(4000), "b": jnp.ones((50, 80))}
    key = jax.random.key(3)
    noise = [weight_noise(params, jnp.float32(0.3), jax.random.fold_in(key, step)) for step in (0, 1)]
    draws = np.stack([(tree[n] - params[n]).ravel() / 0.3 for tree in noise for n in params])
    np.testing.assert_allclose(draws.mean(1), 0, atol=5 / 4000**0.5)
    np.testing.assert_allclose(draws.std(1), 1, atol=5 / 8000**0.5)
    correlation = np.corrcoef(draws) - np.eye(4)
    assert np.abs(correlation).max() < 5 / 4000**0.5


def test_the_l1_penalty_adds_the_sign_of_every_parameter_to_the_gradient(tiny):
    recipe, h, data = one(plain(tiny))
    before = begin(recipe, h, data).params
    without, with_l1 = (take(train(plain(tiny, **axes)), 0).params for axes in ({}, {"l1": (5.0,)}))
    expected = jax.tree.map(lambda p, q: q - RATE * 5.0 * np.sign(p), before, without)
    assert distance(with_l1, expected) < 1e-7
    assert distance(with_l1, without) == pytest.approx(RATE * 5.0, rel=1e-2)


def test_the_norm_cutoff_pulls_only_arrays_beyond_it():
    """a = |w| / size is 0.5 and 0.1; with c = 0.2 the first alone is penalised, by (0.5 - 0.2)^2."""
    params = {"large": jnp.array([[1.0, 1.0], [1.0, 1.0]]), "small": jnp.array([0.2]) / 2, "zero": jnp.zeros(3)}
    value, gradient = jax.value_and_grad(norm_cutoff)(params, 0.2)
    assert value == pytest.approx(0.09)
    # 2 (a - c) w / (|w| size)
    np.testing.assert_allclose(gradient["large"], 2 * 0.3 / (2 * 4), rtol=1e-6)
    assert float(jnp.abs(gradient["small"]).max()) == float(jnp.abs(gradient["zero"]).max()) == 0


def test_terms_of_strength_0_are_none(tiny):
    """To rounding: the program, here of all of them, is another one."""
    strengths = dict.fromkeys(("weight_noise", "l1", "grokfast", "spectral_entropy"), (0.0,))
    experiment = tiny(grid=Grid(weight_decay=(0.1, 0.01), seed=(1, 2), init_scale=(1.0,), **strengths))
    assert distance(train(experiment).params, train(tiny()).params) < 1e-6


@pytest.mark.parametrize("init", ["all", "zero_last_layer"])
def test_the_norm_of_the_kernels_stays_the_initial_one(tiny, init):
    """That of theta_0 before its last layer is set to zero; biases are free."""

    def norm(params):
        return np.sqrt(sum(np.sum(np.square(layer["kernel"], dtype=float)) for layer in params.values()))

    grid = Grid(weight_decay=(0.5,), learning_rate=(1e-2,), init_scale=(3.0,), seed=(1, 2))
    start = take(train(tiny(steps=0, grid=grid)), 1).params
    model = Model(hidden=(16, 12), init=init)
    held = tiny(grid=grid, model=model, training=Training(terms=("fixed_norm",)))
    states = train(held)
    assert norm(take(states, 1).params) == pytest.approx(norm(start), rel=1e-6)
    free = take(train(tiny(grid=grid, model=model)), 1).params
    assert abs(norm(free) / norm(start) - 1) > 0.02
    assert_same_bits(states, train(held, cuts=(1, 17)))


def test_a_held_norm_multiplies_the_kernels_alone(tiny):
    free, held = (
        take(train(plain(tiny, Training(terms=terms), weight_decay=(1.0,), learning_rate=(1e-3,))), 0).params
        for terms in ((), ("fixed_norm",))
    )
    factors = np.concatenate([(held[n]["kernel"] / free[n]["kernel"]).ravel() for n in free])
    assert factors.std() < 1e-6 < abs(factors.mean() - 1)
    assert_same_bits({n: free[n]["bias"] for n in free}, {n: held[n]["bias"] for n in held})


def test_presence_is_static_and_strength_is_traced(tiny):
    texts = []
    for noise in ((0.1,), (0.7,), ()):
        recipe, h, data = one(plain(tiny, weight_noise=noise))
        state = begin(recipe, h, data)
        advance = jax.jit(lambda s, h, d, recipe=recipe: advance_run(recipe, s, h, d, jnp.int32(0), jnp.int32(1)))
        texts.append(advance.lower(state, h, data).as_text())
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (("l1",), r"training\.terms='l1': has a strength: give it values with grid\.l1"),
        (("fixed_nrom",), r"training\.terms='fixed_nrom': .*did you mean 'fixed_norm'"),
    ],
)
def test_a_wrong_term_is_refused(tiny, terms, message):
    with pytest.raises(ConfigError, match=message):
        validate(tiny(training=Training(terms=terms)))


def test_every_term_is_switched_on_or_has_an_axis():
    from collapse_jax.experiment.axes import TRACED

    assert {*TERMS} == {*SWITCHED} | ({*TERMS} & {*TRACED})


def test_terms_that_factorise_need_one_run_per_tile_on_cpu_with_an_old_jax(monkeypatch):
    monkeypatch.setitem(TERMS, "test_svd", TERMS["l1"].__class__(TERMS["l1"].function, factorises=True))
    found = factorising(("l1", "test_svd"))
    assert found == ("test_svd",)
    with pytest.raises(ConfigError, match=r"packing\.runs_per_tile=2: test_svd factorises .* jax 0\.10\.2 on CPU"):
        packing.require_one_by_one(found, Packing(2, 2), "0.10.2")
    for names, asked, version in (
        (found, 2, "0.12.0.1"),
        (found, 1, "0.10.2"),
        (found, 0, "0.10.2"),
        ((), 2, "0.9.1"),
    ):
        packing.require_one_by_one(names, Packing(2, asked), version)


def test_grokfast_adds_the_running_mean_of_the_gradients():
    gradients = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    rule = terms.grokfast(jnp.float32(2.0))
    state = rule.init({"w": jnp.zeros(5)})
    mean = gradients[0]
    for gradient in gradients:
        mean = 0.98 * mean + 0.02 * gradient
        found, state = rule.update({"w": jnp.asarray(gradient)}, state)
        np.testing.assert_allclose(found["w"], gradient + 2 * mean, rtol=1e-5)


def test_the_orthogonal_gradient_is_orthogonal_and_as_long(tiny):
    rng = np.random.default_rng(0)
    weights, gradient = ({"a": rng.normal(size=(4, 3)), "b": np.zeros(3), "c": rng.normal(size=5)} for _ in "wg")
    gradient["b"] = rng.normal(size=3)
    found, _ = terms.orthogonal_gradient().update(gradient, terms.orthogonal_gradient().init(weights), weights)
    for name, w in weights.items():
        assert abs(np.vdot(w, found[name])) < 1e-5
        assert np.linalg.norm(found[name]) == pytest.approx(np.linalg.norm(gradient[name]), rel=1e-5)
    np.testing.assert_allclose(found["b"], gradient["b"], rtol=1e-6)  # no direction to be orthogonal to


def test_under_orthogonal_gradient_descent_weights_can_only_grow(tiny):
    """|w - eta g|^2 = |w|^2 + eta^2 |g|^2 for every array, whatever the loss wants; cut anywhere, the same bits."""
    runs = [take(train(plain(tiny, Training(terms=("orthogonal_gradient",)), steps=n)), 0).params for n in (0, 1)]
    recipe, _, data = one(plain(tiny))
    gradient = jax.grad(loss_of(recipe, data))(runs[0])
    for before, after, g in zip(*map(jax.tree.leaves, (*runs, gradient)), strict=True):
        expected = np.sum(np.square(before, dtype=float)) + RATE**2 * np.sum(np.square(g, dtype=float))
        assert np.sum(np.square(after, dtype=float)) == pytest.approx(expected, rel=1e-5)


def test_filters_keep_their_state_over_cuts(tiny):
    experiment = tiny(
        grid=Grid(weight_decay=(0.1,), seed=(1,), init_scale=(1.0,), grokfast=(0.5, 2.0)),
        training=Training(terms=("orthogonal_gradient",)),
    )
    whole = train(experiment)
    assert_same_bits(whole, train(experiment, cuts=(1, 17)))
    assert distance(take(whole, 0).params, take(whole, 1).params) > 1e-4


def test_a_clamped_norm_is_a_multiple_of_the_initial_one(tiny):
    """The one of theta_0; the multiple is traced, and 1 is the term `fixed_norm`."""
    grid = {"weight_decay": (0.5,), "learning_rate": (1e-2,), "seed": (1,)}
    start = float(terms.kernel_norm(take(train(plain(tiny, **grid, steps=0)), 0).params))
    clamped = train(plain(tiny, **grid, steps=3, norm_clamp=(0.5, 1.0, 3.0)))
    for index, multiple in enumerate((0.5, 1.0, 3.0)):
        assert float(terms.kernel_norm(take(clamped, index).params)) == pytest.approx(multiple * start, rel=1e-6)
    held = train(plain(tiny, Training(terms=("fixed_norm",)), **grid, steps=3))
    assert distance(take(clamped, 1).params, take(held, 0).params) < 1e-6


@pytest.mark.parametrize("scheme", ["end_to_end", "layerwise"])
def test_the_temperature_divides_the_outputs_that_the_loss_sees(tiny, scheme):
    """By hand, squared error and its gradient at f / T; heads of layers have the same temperature."""
    experiment = plain(tiny, Training(scheme=scheme), temperature=(1.0, 4.0))
    recipe, h, data = one(experiment)
    before = jax.tree.map(np.asarray, begin(recipe, h, data).params)
    states = train(experiment)
    inputs, hidden = np.asarray(data.train_inputs).reshape(100, -1), before["hidden_0"]
    hidden = np.maximum(inputs @ hidden["kernel"] + hidden["bias"], 0) @ before["hidden_1"]["kernel"]
    hidden, head = np.maximum(hidden + before["hidden_1"]["bias"], 0), before["head"]
    for index, temperature in enumerate((1.0, 4.0)):
        error = (hidden @ head["kernel"] + head["bias"]) / temperature - np.eye(10)[np.asarray(data.train_labels)]
        step = RATE * 2 / temperature * error
        found = take(states, index).params["head"]
        np.testing.assert_allclose(found["bias"], head["bias"] - step.sum(0), atol=1e-6)
        np.testing.assert_allclose(found["kernel"], head["kernel"] - hidden.T @ step, atol=1e-6)
    if scheme == "layerwise":
        local = [take(states, index).params["local_heads"] for index in (0, 1)]
        assert distance(*local) > 1e-4


def test_one_norm_is_held_once(tiny):
    grid = Grid(weight_decay=(0.1,), seed=(1,), norm_clamp=(1.0,))
    with pytest.raises(ConfigError, match=r"training\.terms='fixed_norm': the norm is held by grid\.norm_clamp"):
        validate(tiny(grid=grid, training=Training(terms=("fixed_norm",))))


def test_a_sharpness_aware_step_takes_the_gradient_uphill(tiny):
    """theta - eta grad L(theta + rho g / |g|), by hand; of radius 0 gradient descent."""
    experiment = plain(tiny, sam_radius=(0.0, 0.5))
    recipe, h, data = one(experiment)
    params = begin(recipe, h, data).params
    gradient = jax.jit(jax.grad(loss_of(recipe, data)))
    first = gradient(params)
    length = np.sqrt(sum(float(jnp.sum(jnp.square(leaf))) for leaf in jax.tree.leaves(first)))
    uphill = gradient(jax.tree.map(lambda p, g: p + 0.5 * g / length, params, first))
    states = train(experiment)
    for index, used in enumerate((first, uphill)):
        expected = jax.tree.map(lambda p, g: p - RATE * g, params, used)
        assert distance(take(states, index).params, expected) < 1e-6
    assert distance(first, uphill) > 1e-2
    flat = terms.sharpest({"w": jnp.ones(3)}, {"w": jnp.zeros(3)}, jnp.float32(0.1))
    np.testing.assert_array_equal(flat["w"], np.ones(3))


def test_pruned_weights_do_not_ascend(tiny):
    """The length is that of the gradient of what was kept; cut anywhere, the same bits."""
    levels = Training(levels=Levels(5, prune=0.5))
    experiment = tiny(grid=Grid(seed=(1,), init_scale=(1.0,), sam_radius=(0.05,)), steps=10, training=levels)
    whole = train(experiment)
    for kept, leaf in zip(jax.tree.leaves(whole.mask), jax.tree.leaves(whole.params), strict=True):
        assert not np.any(leaf[~kept])
    assert_same_bits(whole, train(experiment, cuts=(3, 7)))
