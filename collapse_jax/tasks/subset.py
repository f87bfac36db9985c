"""Which examples are used, and with which labels: every choice is a field of `config.Task`, so it is recorded."""

import numpy as np

from collapse_jax.errors import ConfigError
from collapse_jax.experiment import config
from collapse_jax.tasks.base import Split

STRATIFIED = "stratified"


def choose(task: config.Task, train: Split, num_classes: int) -> np.ndarray:
    """Return the places of the training examples used: the first of the order, or the first of each class.

    Raises:
      ConfigError: `balanced`, and the classes do not divide `train_size` or one of them is too small.
    """
    if not task.balanced:
        return first(task, train, task.train_size)
    labels = train.labels(np.arange(train.size))
    quota = task.train_size // num_classes
    counts = np.bincount(labels, minlength=num_classes)
    smallest = int(np.argmin(counts))
    if quota > counts[smallest]:
        message = (
            f"a balanced set needs {quota} examples of each class, class {smallest} has only "
            f"{counts[smallest]}; at most {counts[smallest] * num_classes}"
        )
        raise ConfigError("task.train_size", task.train_size, message)
    firsts = [np.flatnonzero(labels == c)[:quota] for c in range(num_classes)]
    return np.sort(np.concatenate(firsts))


def first(task: config.Task, split: Split, size: int) -> np.ndarray:
    """Return the places of the first `size` examples of a split, in the order of the task; 0: of all."""
    size = size or split.size
    if task.order != STRATIFIED:
        return np.arange(size)
    return stratified(split.labels(np.arange(split.size)))[:size]


def stratified(labels: np.ndarray) -> np.ndarray:
    """Return an order of examples whose beginnings have the classes in the proportions of the whole.

    Example i = 0, 1, ... of a class of n examples, in the order given, stands at the place (i + 1/2) / n of the
    whole; of equal places the example given first. The first m of N examples then hold m n / N of the class to
    within 1 + K n / 2N, where there are K classes.

    Args:
      labels: [N] classes.
    """
    places = np.empty(len(labels))
    for label in np.unique(labels):
        (own,) = np.nonzero(labels == label)
        places[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.argsort(places, kind="stable")


def corrupt(task: config.Task, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the training labels after label noise or randomisation.

    With `label_noise` p, exactly round(p n) of the n labels, drawn without replacement, become one of the K - 1
    other classes, each equally likely. With `random_labels` all n become independent uniform classes, right by
    chance in 1/K of the cases (Zhang et al. 2017, arXiv:1611.03530). The test labels are never touched.

    Args:
      task: the choices; `label_seed` fixes the draw.
      labels: [n] true classes.
      num_classes: K.
    """
    draw = np.random.default_rng(task.label_seed)
    if task.random_labels:
        return draw.integers(num_classes, size=len(labels))
    wrong = draw.permutation(len(labels))[: round(task.label_noise * len(labels))]
    labels = np.array(labels)
    labels[wrong] = (labels[wrong] + draw.integers(1, num_classes, size=len(wrong))) % num_classes
    return labels
