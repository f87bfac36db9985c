"""From two splits and the choices of a `config.Task` to the arrays of a `Dataset`, and their checksums."""

import hashlib
from typing import Any

import numpy as np

from collapse_jax.experiment import config
from collapse_jax.tasks import images, subset, text
from collapse_jax.tasks.base import Dataset, Split

ARRAYS = ("train_inputs", "train_labels", "test_inputs", "test_labels")


def assemble(task: config.Task, kind: str, train: Split, test: Split, num_classes: int) -> Dataset:
    """Choose the examples, corrupt the training labels where asked, and make the inputs of a network.

    Args:
      task: the choices, checked.
      kind: "image", "vector", "text" or "tokens".
      train: all training examples there are; those of texts define the vocabulary, used or not.
      test: all test examples.
      num_classes: K.
    """
    chosen = subset.choose(task, train, num_classes)
    tested = subset.first(task, test, task.test_size)
    vocabulary_size = 0
    if kind == "text":
        train_inputs, test_inputs, vocabulary_size = text.encode(task, train, test, chosen, tested)
    elif kind == "tokens":
        train_inputs, test_inputs = train.inputs(chosen), test.inputs(tested)
    else:
        train_inputs, test_inputs = images.normalise(
            train.inputs(chosen), test.inputs(tested), task.normalisation, task.dataset
        )
    labels = train.labels(chosen)
    noisy = task.label_noise > 0 or task.random_labels
    arrays: dict[str, Any] = {
        "train_inputs": train_inputs,
        "train_labels": subset.corrupt(task, labels, num_classes).astype(np.int32),
        "train_true_labels": labels.astype(np.int32) if noisy else None,
        "test_inputs": test_inputs,
        "test_labels": test.labels(tested).astype(np.int32),
    }
    return Dataset(**arrays, num_classes=num_classes, vocabulary_size=vocabulary_size)


def record(data: Dataset) -> dict[str, Any]:
    """Describe loaded data for the manifest; `sha256` (of type, shape and bytes) binds who continues the sweep."""
    arrays = {name: np.ascontiguousarray(getattr(data, name)) for name in ARRAYS}
    return {
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "num_classes": data.num_classes,
        "vocabulary_size": data.vocabulary_size,
        "train_class_counts": np.bincount(arrays["train_labels"], minlength=data.num_classes).tolist(),
        "test_class_counts": np.bincount(arrays["test_labels"], minlength=data.num_classes).tolist(),
        "sha256": {name: _sha256(array) for name, array in arrays.items()},
    }


def _sha256(array: np.ndarray) -> str:
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(array.data)
    return digest.hexdigest()
