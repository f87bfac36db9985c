"""Which probe a measure of information reads."""

import jax.numpy as jnp
import pytest

from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.estimators.probe_choice import choose_examples

TRAIN = Probe(jnp.zeros((4, 2)), jnp.arange(4))
TEST = Probe(jnp.ones((3, 2)), jnp.arange(3))
TRAIN_WITH, TEST_WITH = TRAIN.replace(inputs=jnp.zeros((4, 5, 5, 1))), TEST.replace(inputs=jnp.ones((3, 7)))


@pytest.mark.parametrize(
    ("train", "test", "split", "count", "inputs"),
    [
        (TRAIN_WITH, TEST_WITH, "auto", 3, 7),
        (TRAIN_WITH, TEST, "auto", 4, 25),
        (TRAIN_WITH, None, "auto", 4, 25),
        (TRAIN, TEST_WITH, "auto", 3, 7),
        (TRAIN, TEST, "auto", 3, None),
        (TRAIN, None, "auto", 4, None),
        (TRAIN_WITH, TEST, "test", 3, None),
        (TRAIN_WITH, TEST_WITH, "train", 4, 25),
    ],
)
def test_choice(train, test, split, count, inputs):
    examples = choose_examples(Snapshot(train, test, num_classes=4), split)
    assert examples.features.shape == (count, 2)
    assert examples.labels.shape == (count,)
    assert (None if examples.inputs is None else examples.inputs.shape) == (inputs and (count, inputs))


def test_half_precision_and_integer_inputs_are_measured_in_float32():
    probe = Probe(jnp.zeros((4, 2), jnp.bfloat16), jnp.arange(4), inputs=jnp.zeros((4, 2), jnp.uint8))
    examples = choose_examples(Snapshot(probe, num_classes=4))
    assert examples.features.dtype == jnp.float32
    assert examples.inputs.dtype == jnp.float32


def test_wrong_splits():
    with pytest.raises(ValueError, match=r"^split='valid': unknown split; known: auto, test, train"):
        choose_examples(Snapshot(TRAIN), "valid")
    with pytest.raises(ValueError, match=r"^split='test': the snapshot has no test probe"):
        choose_examples(Snapshot(TRAIN), "test")
