"""Sequences of vectors, and the scores that attention gives to their tokens."""

import numpy as np
from inputs import CLASSES, TEST, TRAIN, Arrays, general, normal

TOKENS = 5


def sequences(scores: int = TOKENS) -> Arrays:
    """`general` with scores of the tokens as its first layer and true labels, of which every fourth is not told."""
    arrays = general()
    true = arrays["train_labels"].copy()
    arrays["train_labels"] = np.where(np.arange(TRAIN) % 4 == 1, (true + 1) % CLASSES, true)
    layers = {"train_layers/0": normal(71, TRAIN, scores), "train_layers/1": arrays["train_features"]}
    layers |= {"test_layers/0": normal(72, TEST, scores), "test_layers/1": arrays["test_features"]}
    return arrays | layers | {"train_true_labels": true, "inputs": normal(73, TRAIN, TOKENS, 3)}


def class_token() -> Arrays:
    """The same with one score more than there are tokens."""
    return sequences(TOKENS + 1)


SEQUENCES = (sequences, class_token)
