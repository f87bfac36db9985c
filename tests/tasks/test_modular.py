"""Modular addition against the sums themselves."""

import numpy as np
import pytest

from collapse_jax import tasks
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Task


def pairs_of(inputs, p):
    first, second = inputs[:, :p], inputs[:, p:]
    for half in (first, second):
        assert set(np.unique(half)) == {0.0, 1.0}
        assert np.all(half.sum(axis=1) == 1)
    return first.argmax(axis=1), second.argmax(axis=1)


@pytest.mark.parametrize("balanced", [False, True])
def test_every_pair_is_there_once_with_its_sum(balanced):
    task = Task("modular_addition", modulus=7, train_size=21, balanced=balanced)
    info, data = tasks.check_task(task), tasks.load(task)
    assert (info.kind, info.num_classes, info.train_size, info.test_size) == ("vector", 7, 48, 28)
    assert data.train_inputs.shape == (21, 14)
    assert data.train_inputs.dtype == np.float32
    a, b = pairs_of(np.concatenate([data.train_inputs, data.test_inputs]), 7)
    labels = np.concatenate([data.train_labels, data.test_labels])
    np.testing.assert_array_equal(labels, (a + b) % 7)
    assert sorted(7 * a + b) == list(range(49))
    if balanced:
        assert np.bincount(data.train_labels).tolist() == [3] * 7


def test_training_sets_are_nested_and_the_split_never_changes():
    small, large = (tasks.load(Task("modular_addition", modulus=11, train_size=n)) for n in (30, 60))
    np.testing.assert_array_equal(small.train_inputs, large.train_inputs[:30])
    capped = tasks.load(Task("modular_addition", modulus=11, train_size=60, test_size=5))
    np.testing.assert_array_equal(capped.test_inputs, large.test_inputs[:5])
    a, b = pairs_of(small.train_inputs[:4], 11)
    assert (11 * a + b).tolist() == [48, 94, 95, 8]


def test_label_noise_leaves_the_test_pairs_alone():
    clean, noisy = (
        tasks.load(Task("modular_addition", modulus=7, train_size=20, label_noise=noise)) for noise in (0.0, 0.25)
    )
    assert np.sum(clean.train_labels != noisy.train_labels) == 5
    np.testing.assert_array_equal(clean.test_labels, noisy.test_labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modulus": 1}, "task.modulus=1: must be in 2 ... 256"),
        ({"modulus": 257}, "task.modulus=257: must be in 2 ... 256"),
        ({"modulus": 5, "train_size": 25}, "task.train_size=25: must be in 1 ... 24"),
        ({"modulus": 5, "train_size": 20, "test_size": 6}, r"task.test_size=6: must be in 0 ... 5"),
        ({"modulus": 5, "train_size": 0}, "task.train_size=0: must be >= 1"),
        ({"modulus": 5, "train_size": 20, "order": "tfds"}, "task.order='?tfds'?: modular_addition has one order"),
        ({"modulus": 5, "train_size": 12, "balanced": True}, "a multiple of its 5 classes"),
    ],
)
def test_bad_input_is_refused_in_one_line(changes, message):
    with pytest.raises(ConfigError, match=message) as refused:
        tasks.check_task(Task("modular_addition", **changes))
    assert "\n" not in str(refused.value)


def test_a_modulus_beside_another_data_set_is_refused():
    with pytest.raises(ConfigError, match=r"task\.modulus=5: only beside 'modular_addition', not 'mnist'"):
        tasks.check_task(Task("mnist", modulus=5))
