"""The linear probe of every layer against normal equations in float64, and where its answer is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax import measure_arrays
from collapse_jax.errors import ConfigError
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.layer_probe import VARIABLES, layer_probe

CLASSES, TRAIN, TEST = 4, 90, 70


def layers_of(rng, widths, count):
    labels = np.arange(count) % CLASSES
    return [0.5 * np.eye(CLASSES, w)[labels] + rng.normal(size=(count, w)) for w in widths], labels


def plain(train, labels, test, ridge):
    """Scores of both sets by the normal equations of D x D."""
    one_hot, mean = np.eye(CLASSES)[labels], train.mean(0)
    centred = train - mean
    gram = centred.T @ centred
    constant = ridge * np.trace(gram) / len(gram)
    kernel = np.linalg.solve(gram + constant * np.eye(len(gram)), centred.T @ (one_hot - one_hot.mean(0)))
    return [(rows - mean) @ kernel + one_hot.mean(0) for rows in (train, test)]


def measured(train, labels, test, test_labels, **options):
    return measure_arrays(
        "layer_probe",
        train_features=train[-1],
        train_labels=labels,
        test_features=test[-1],
        test_labels=test_labels,
        train_layers=train,
        test_layers=test,
        **options,
    )


@pytest.mark.parametrize("ridge", [1e-3, 0.3])
def test_accuracies_are_those_of_the_normal_equations(ridge, rng):
    """Of a narrow layer, and of one wider than the examples, which goes another way."""
    (train, labels), (test, test_labels) = (layers_of(rng, (7, 120), n) for n in (TRAIN, TEST))
    values = measured(train, labels, test, test_labels, ridge=ridge, permutations=0)
    assert set(values) == {"layer_probe_accuracy", "layer_probe_accuracy_test"}
    for i in (0, 1):
        scores = plain(train[i], labels, test[i], ridge)
        right = [np.mean(s.argmax(1) == y) for s, y in zip(scores, (labels, test_labels), strict=True)]
        found = [values[f"layer_probe_accuracy{suffix}"][i] for suffix in ("", "_test")]
        np.testing.assert_allclose(found, right, atol=0.015)  # one example may lie between two classes


def test_scale_rotation_and_shift_change_nothing(rng):
    (train, labels), (test, test_labels) = (layers_of(rng, (7,), n) for n in (TRAIN, TEST))
    rotation = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    moved = [[1e-3 * rows @ rotation + 5 for rows in part] for part in (train, test)]
    plain_values = measured(train, labels, test, test_labels, permutations=0)
    values = measured(moved[0], labels, moved[1], test_labels, permutations=0)
    for name in values:
        np.testing.assert_allclose(values[name], plain_values[name], atol=0.015)


def test_labels_in_the_features_are_read_and_permuted_ones_are_chance(rng):
    labels, test_labels = np.arange(400) % CLASSES, np.arange(200) % CLASSES
    train, test = (np.eye(CLASSES)[y] + 0.05 * rng.normal(size=(len(y), CLASSES)) for y in (labels, test_labels))
    values = measured([train], labels, [test], test_labels, permutations=40)
    assert values["layer_probe_accuracy_test"] == 1
    assert values["layer_probe_accuracy_test_null"][0] == pytest.approx(1 / CLASSES, abs=0.08)
    assert values["layer_probe_accuracy_test_p"] < 1e-3
    assert set(values) == set(VARIABLES)


def test_a_layer_without_variance_and_one_with_nan():
    labels = jnp.array([0, 0, 0, 1, 2])
    layers = (jnp.ones((5, 3)), jnp.full((5, 3), jnp.nan))
    snapshot = Snapshot(Probe(layers[-1], labels, layers=layers), num_classes=3)
    values = layer_probe(snapshot, permutations=0)
    np.testing.assert_allclose(values["layer_probe_accuracy"], [0.6, np.nan])
    assert layer_probe(Snapshot(Probe(layers[0], labels), num_classes=3)) == {}


def test_wrong_options():
    snapshot = Snapshot(Probe(jnp.ones((5, 3)), jnp.zeros(5, int)), num_classes=3)
    with pytest.raises(ConfigError, match=r"ridge=0: must be > 0"):
        layer_probe(snapshot, ridge=0)
    with pytest.raises(ConfigError, match="permutations=-1"):
        layer_probe(snapshot, permutations=-1)
