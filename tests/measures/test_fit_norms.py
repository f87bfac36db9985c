"""Accuracy, loss and parameter norms against numbers worked out by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.families.fit import FIT, fit
from collapse_jax.measures.families.norms import NORMS, norms

LOGITS = jnp.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 5.0]])
LABELS = jnp.array([0, 1, 1, 0])


def squared(logits, labels):
    return jnp.sum((logits - jax.nn.one_hot(labels, 3)) ** 2, axis=1)


def probe(logits, labels=LABELS):
    return Probe(features=jnp.zeros((len(labels), 2)), labels=labels, logits=logits)


def test_accuracy_and_loss_by_hand():
    # Row 3 is a tie that goes to class 0, row 4 is wrong: 2 of 4 right. Losses 2, 4, 1, 26.
    values = fit(Snapshot(probe(LOGITS)), loss=squared)
    assert set(values) == {"train_accuracy", "train_loss"}
    assert float(values["train_accuracy"]) == 0.5
    assert float(values["train_loss"]) == pytest.approx(33 / 4)


def test_cross_entropy_of_equal_logits_and_both_probes():
    cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels
    snapshot = Snapshot(probe(LOGITS), probe(jnp.zeros((2, 3)), jnp.array([0, 2])))
    values = fit(snapshot, loss=cross_entropy)
    assert set(values) == set(FIT.variables)
    assert float(values["test_loss"]) == pytest.approx(np.log(3))
    assert float(values["test_accuracy"]) == 0.5
    assert float(values["train_accuracy"]) == 0.5


def test_probe_without_logits_is_left_out():
    assert fit(Snapshot(probe(None), probe(LOGITS)), loss=squared).keys() == {"test_accuracy", "test_loss"}


def test_nan_logits_give_nan():
    values = fit(Snapshot(probe(LOGITS.at[1, 2].set(jnp.nan)), probe(LOGITS)), loss=squared)
    assert np.isnan(values["train_accuracy"])
    assert np.isnan(values["train_loss"])
    assert float(values["test_accuracy"]) == 0.5


def test_loss_must_be_per_example():
    with pytest.raises(ValueError, match=r"^options.loss='<lambda>': returned shape \(\); .* \(4,\)"):
        fit(Snapshot(probe(LOGITS)), loss=lambda logits, labels: squared(logits, labels).mean())


def test_norms_by_hand():
    params = {"a": {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.array([3.0, -4.0])}, "b": jnp.array(-2.0)}
    values = norms(Snapshot(probe(None), params=params, head_kernel=params["a"]["kernel"]))
    assert set(values) == set(NORMS.variables)
    assert float(values["weight_norm"]) == pytest.approx(np.sqrt(36 + 25 + 4))
    assert float(values["weight_norm_sum"]) == pytest.approx(6 + 5 + 2)
    assert float(values["last_layer_norm"]) == pytest.approx(6)


def test_norms_of_the_scaled_uniform_initialisation():
    """An MLP 784-200-200-10, every tensor uniform in +-8 / sqrt(fan_in): expected norms in closed form."""
    sizes = [784, 200, 200, 10]
    rng = np.random.default_rng(0)
    params = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        limit = 8 / np.sqrt(fan_in)
        params += [rng.uniform(-limit, limit, (fan_in, fan_out)), rng.uniform(-limit, limit, fan_out)]
    values = norms(Snapshot(probe(None), params=params, head_kernel=jnp.asarray(params[-2])))
    assert float(values["weight_norm_sum"]) == pytest.approx(153.23, rel=0.01)
    assert float(values["weight_norm"]) == pytest.approx(93.672, rel=0.01)
    assert float(values["last_layer_norm"]) == pytest.approx(14.6059, rel=0.03)


def test_norms_without_parameters():
    assert norms(Snapshot(probe(None))) == {}
    assert norms(Snapshot(probe(None), head_kernel=jnp.eye(2))).keys() == {"last_layer_norm"}


def test_half_precision_parameters_do_not_overflow():
    values = norms(Snapshot(probe(None), params=[jnp.full((1000,), 300.0, jnp.float16)]))
    assert float(values["weight_norm"]) == pytest.approx(300 * np.sqrt(1000), rel=1e-4)


def test_batched_runs_equal_single_runs():
    logits = jnp.stack([LOGITS, -LOGITS])
    batch = Snapshot(Probe(jnp.zeros((2, 4, 2)), jnp.stack([LABELS] * 2), logits), params=[logits])
    fits = jax.vmap(lambda snapshot: fit(snapshot, loss=squared))(batch)
    lengths = jax.vmap(norms)(batch)
    for run in range(2):
        alone = fit(Snapshot(probe(logits[run])), loss=squared)
        assert {name: float(v[run]) for name, v in fits.items()} == pytest.approx(
            {name: float(v) for name, v in alone.items()}
        )
    assert np.allclose(lengths["weight_norm"], jnp.linalg.norm(LOGITS))
