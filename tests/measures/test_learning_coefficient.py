"""The local learning coefficient on losses of which it is known: see benchmarks/learning_coefficient.py."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.learning_coefficient import aoyagi_watanabe, crossing, estimate, power, quadratic, rank
from collapse_jax.errors import ConfigError
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.learning_coefficient import VARIABLES, learning_coefficient

SHORT = {"chains": 32, "burn_in": 500, "draws": 2000}


def assert_within(values, right, errors=5.0):
    assert values["llc"] == pytest.approx(right, abs=errors * values["llc_error"])
    assert values["llc_error"] < 0.1 * right


@pytest.mark.parametrize("localisation", [0.0, 1000.0])
def test_quadratic(localisation):
    """d/2, less where the localisation outweighs the curvature, more by the length of steps: to 5 errors."""
    model = quadratic(np.geomspace(1, 10, 6), 1e3, localisation, step_size=5e-5, **SHORT)
    assert (model.exact < 2.6) if localisation else (3 < model.exact < 3.3)
    assert_within(estimate(model), model.exact)


@pytest.mark.parametrize(
    "model",
    [
        power(2, 1e3, step_size=2e-4, **SHORT),
        crossing(1, 2, 1e3, 10.0, step_size=1e-3, chains=64, burn_in=500, draws=4000),
    ],
    ids=["w^4", "w1^2 w2^4"],
)
def test_singular(model):
    """1/4 at every temperature; a crossing against the quadrature of its density."""
    assert_within(estimate(model), model.exact)


def test_reduced_rank_regression_is_far_below_half_the_parameters():
    """Rank 0 with 2 x 2 matrices: lambda = 3/2 for 8 parameters."""
    model = rank(2, 2, 2, 0, 1e3, step_size=1e-4, chains=16, burn_in=10_000, draws=20_000)
    values = estimate(model)
    assert model.known == 1.5
    assert values["llc"] == pytest.approx(1.5, abs=0.15)


@pytest.mark.parametrize(
    ("sizes", "right"),
    [((2, 2, 2, 0), 1.5), ((3, 3, 2, 2), 4.0), ((5, 1, 1, 0), 0.5), ((1, 5, 1, 0), 0.5), ((2, 2, 5, 0), 2.0)],
)
def test_theorem(sizes, right):
    """Its four cases by hand; at full rank the model is regular with (m + n - h) h / 2."""
    assert aoyagi_watanabe(*sizes) == right


def linear(rng, batch_size):
    """Least squares with two outputs: 60 examples, of which the chains see `batch_size` at a time."""
    inputs = jnp.asarray(rng.normal(size=(60, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 2, 60), jnp.int32)
    targets = np.eye(2)[labels]
    best = np.linalg.lstsq(np.asarray(inputs, float), targets, rcond=None)[0]
    snapshot = Snapshot(
        train=Probe(inputs, labels, examples=inputs),
        params={"kernel": jnp.asarray(best, jnp.float32)},
        network=lambda params, _, x: (x @ params["kernel"], ()),
        loss=lambda logits, y: jnp.sum((logits - jax.nn.one_hot(y, 2)) ** 2, axis=1),
    )
    options = {"step_size": 2e-3, "localisation": 0.0, "batch_size": batch_size} | SHORT
    return snapshot, options


@pytest.mark.parametrize("batch_size", [0, 30])
def test_a_network_with_examples_has_half_its_parameters(rng, batch_size):
    """Six; batches add noise to the gradient, by which chains spread a little further."""
    snapshot, options = linear(rng, batch_size)
    values = jax.jit(lambda s: learning_coefficient(s, **options))(snapshot)
    assert float(values["llc"]) == pytest.approx(3, rel=0.1 if batch_size else 0.04)
    assert abs(float(values["llc_drift"])) < 0.3
    assert values.keys() == VARIABLES.keys()


def test_pruned_weights_are_not_counted(rng):
    snapshot, options = linear(rng, 0)
    mask = {"kernel": jnp.asarray([[True, False]] * 3)}
    pruned = {"kernel": jnp.where(mask["kernel"], snapshot.params["kernel"], 0)}
    snapshot = dataclasses.replace(snapshot, params=pruned, mask=mask)
    values = jax.jit(lambda s: learning_coefficient(s, **options))(snapshot)
    assert float(values["llc"]) == pytest.approx(1.5, rel=0.06)


def test_what_the_loss_does_not_depend_on_has_none():
    values = estimate(quadratic(np.zeros(6), 1e3, 1.0, step_size=1e-4, chains=4, burn_in=10, draws=50))
    assert list(values.values()) == [0, 0, 0]


def test_a_diverged_chain_is_nan():
    """Steps of e a > 4, as the closed form says."""
    values = estimate(quadratic(np.ones(2), 1e3, 0.0, step_size=5e-3, chains=4, burn_in=10, draws=500))
    assert np.isnan(list(values.values())).all()


def test_one_chain_has_no_error_and_one_draw_no_drift():
    values = estimate(quadratic(np.ones(2), 1e3, 0.0, step_size=1e-4, chains=1, burn_in=10, draws=1))
    assert np.isfinite(values["llc"])
    assert np.isnan([values["llc_error"], values["llc_drift"]]).all()


def test_settings_that_mean_nothing_are_refused(rng):
    snapshot, _ = linear(rng, 0)
    for wrong in ({"chains": 0}, {"draws": 0}, {"burn_in": -1}, {"batch_size": -1}, {"step_size": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            learning_coefficient(snapshot, **wrong)
