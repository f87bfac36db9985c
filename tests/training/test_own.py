"""Optimizers and losses from a file: the same bits as the package's own, and wrong ones in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax
from collapse_jax.engine.compile import check_model
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Optimizer
from collapse_jax.models.losses import stablemax_cross_entropy
from collapse_jax.tasks import load
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.optimizers import optimizer_of
from collapse_jax.workdir.record import read_record

RIGHT = """
import jax.numpy as jnp
from collapse_jax.training import LOSSES, Loss, OwnOptimizer
from collapse_jax.training.optimizers import adamw

LOSS = Loss(LOSSES["squared_error_sum"].per_example, summed=True, units="1")
OPT = OwnOptimizer(lambda h: adamw(h.learning_rate, h.weight_decay, 0.9, 0.999, 1e-8))
"""
WRONG = """
import jax, jax.numpy as jnp, optax
from collapse_jax.training import Loss, OwnOptimizer

SCALAR = Loss(lambda logits, labels: jnp.sum(logits), summed=True, units="1")
RAISES = Loss(lambda logits, labels: logits["x"], summed=True, units="1")
NOTHING = OwnOptimizer(lambda h: None)
NO_SUCH = OwnOptimizer(lambda h: optax.adam(h.lr))
def grows(g, state, params):
    return g, jnp.zeros(3)
GROWS = OwnOptimizer(lambda h: optax.GradientTransformation(lambda p: jnp.zeros(2), grows))
"""


def test_the_packages_own_rules_from_a_file_have_the_same_bits(tiny, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(RIGHT)
    own = tiny(loss=f"{file}:LOSS", optimizer=Optimizer(f"{file}:OPT"))
    found, right = collapse_jax.train(own, tmp_path / "own"), collapse_jax.train(tiny(), tmp_path / "package")
    for name in right.data_vars:
        np.testing.assert_array_equal(found[name].values, right[name].values)
    assert read_record(tmp_path / "own")["sources"].keys() == {"optimizer.name", "loss"}


@pytest.mark.parametrize(
    ("field", "name", "expected"),
    [
        ("loss", "SCALAR", r"must map logits \[N, K\] and labels \[N\] to real losses \[N\]"),
        ("loss", "RAISES", r"own\.py, line 6: TypeError"),
        ("loss", "NOTHING", "unknown Loss in"),
        ("optimizer.name", "NOTHING", "make must return an optax transformation, not None"),
        ("optimizer.name", "NO_SUCH", r"own\.py, line 8: .*lr"),
        ("optimizer.name", "GROWS", "its state must keep structure, shapes and types"),
        ("optimizer.name", "SCALAR", "unknown OwnOptimizer in"),
    ],
)
def test_a_wrong_one_is_one_line_before_anything_compiles(tiny, tmp_path, field, name, expected):
    file = tmp_path / "own.py"
    file.write_text(WRONG)
    where = f"{file}:{name}"
    experiment = tiny(loss=where) if field == "loss" else tiny(optimizer=Optimizer(where))
    with pytest.raises(ConfigError, match=expected) as error:
        check_model(validate(experiment), load(experiment.task))
    assert error.value.field == field
    assert "\n" not in str(error.value)


def test_what_is_unknown_or_has_no_such_option_is_told(tiny):
    with pytest.raises(ConfigError, match=r"did you mean 'lion'.*or FILE\.py:NAME"):
        validate(tiny(optimizer=Optimizer("lien")))
    with pytest.raises(ConfigError, match=r"cross_entropy.*or FILE\.py:NAME"):
        validate(tiny(loss="cross_entrpy"))
    with pytest.raises(ConfigError, match="lion"):
        validate(tiny(optimizer=Optimizer("lion", eps=1e-3)))


def steps_of(name, count, gradients, **options):
    """Return a vector [2] after some steps, from (1, -2)."""
    h = Hyperparameters({"learning_rate": jnp.float32(0.1), "weight_decay": jnp.float32(0.5)})
    rule = optimizer_of(Optimizer(name, **options))(h)
    params = {"w": jnp.array([1.0, -2.0])}
    state = rule.init(params)
    for gradient in gradients[:count]:
        updates, state = rule.update({"w": jnp.asarray(gradient)}, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return np.asarray(params["w"])


def test_lion_is_its_three_lines():
    gradients = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    w, m = np.array([1.0, -2.0]), np.zeros(2)
    for g in gradients:
        w = w - 0.1 * (np.sign(0.9 * m + 0.1 * g) + 0.5 * w)
        m = 0.99 * m + 0.01 * g
    np.testing.assert_allclose(steps_of("lion", 5, gradients), w, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"), [("adamw", {}), ("sgd", {"momentum": 0.5}), ("lion", {}), ("muon", {})]
)
def test_the_decay_can_leave_out_biases_and_scales(name, options):
    """With no gradient only the decay moves anything, by 1 - eta lambda (SGD adds it to the gradient)."""
    h = Hyperparameters({"learning_rate": jnp.float32(0.1), "weight_decay": jnp.float32(0.5)})
    params = {"dense": {"kernel": jnp.full((3, 2), 2.0), "bias": jnp.full(2, 2.0)}}
    zero = jax.tree.map(jnp.zeros_like, params)
    for decay, bias in (("all", 1.9), ("matrices", 2.0)):
        rule = optimizer_of(Optimizer(name, decay=decay))(h)
        updates, _ = rule.update(zero, rule.init(params), params)
        after = jax.tree.map(jnp.add, params, updates)["dense"]
        np.testing.assert_allclose(after["kernel"], 1.9, rtol=1e-6)
        np.testing.assert_allclose(after["bias"], bias, rtol=1e-6)


@pytest.mark.parametrize(("shape", "factor"), [((8, 2), 2.0), ((2, 8), 1.0)])  # [out, in], as in training
def test_muon_scales_by_the_root_of_outputs_over_inputs(shape, factor):
    h = Hyperparameters({"learning_rate": jnp.float32(0.1), "weight_decay": jnp.float32(0.0)})
    rule = optimizer_of(Optimizer("muon"))(h)
    params = {"dense": {"kernel": jnp.zeros(shape)}, "head": {"kernel": jnp.zeros(shape)}}
    gradient = jax.tree.map(lambda p: jax.random.normal(jax.random.key(0), p.shape), params)
    updates, _ = rule.update(gradient, rule.init(params), params)
    values = np.linalg.svd(np.asarray(updates["dense"]["kernel"]), compute_uv=False) / 0.1 / factor
    assert np.all((values > 0.6) & (values < 1.3))
    np.testing.assert_allclose(np.abs(updates["head"]["kernel"]), 0.1 * (1 + 0.09 / 0.19), rtol=1e-4)  # Adam's


def test_muon_moves_a_matrix_by_an_orthogonal_one():
    """The first update of a matrix of full rank has singular values near 1 (Newton-Schulz), times the rate."""
    h = Hyperparameters({"learning_rate": jnp.float32(0.1), "weight_decay": jnp.float32(0.0)})
    rule = optimizer_of(Optimizer("muon"))(h)
    params = {"kernel": jnp.zeros((6, 6)), "bias": jnp.zeros(6)}
    gradient = {"kernel": jax.random.normal(jax.random.key(0), (6, 6)), "bias": jnp.ones(6)}
    updates, _ = rule.update(gradient, rule.init(params), params)
    values = np.linalg.svd(np.asarray(updates["kernel"]), compute_uv=False) / 0.1
    assert np.all((values > 0.5) & (values < 1.5))
    # The first step of Adam with Nesterov's look ahead: (b1 (1 - b1) / (1 - b1^2) + 1) of the rate.
    np.testing.assert_allclose(updates["bias"], -0.1 * (1 + 0.09 / 0.19), rtol=1e-5)


def test_stablemax_by_hand_and_its_gradient():
    logits = jnp.array([[1.0, -1.0, 0.0], [0.0, 0.0, 0.0], [1e30, 0.0, -1e30]])
    values = stablemax_cross_entropy(logits, jnp.array([0, 2, 0]))
    np.testing.assert_allclose(values, [np.log(3.5 / 2), np.log(3), 0], atol=1e-6)
    gradient = jax.grad(lambda f: stablemax_cross_entropy(f[None], jnp.array([1]))[0])(logits[0])
    # s = (2, 1/2, 1), s' = (1, 1/4, 1), sum 3.5
    np.testing.assert_allclose(gradient, [1 / 3.5, 0.25 / 3.5 - 0.5, 1 / 3.5], rtol=1e-6)
