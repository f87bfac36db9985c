"""The arrays of the cases: small, and such that float32 holds every number exactly."""

import math

import numpy as np
from scipy.special import ndtri

Arrays = dict[str, np.ndarray]
CLASSES, DIM, TRAIN, TEST = 4, 5, 24, 16


def normal(seed: int, *shape: int, step: float = 1 / 64) -> np.ndarray:
    """Normal deviates, rounded to multiples of `step`, from the raw bits of PCG64: they are those of any numpy."""
    raw = np.random.PCG64(seed).random_raw(math.prod(shape))
    deviates = ndtri(((raw >> np.uint64(11)) + 0.5) / 2.0**53)
    return np.round(deviates / step).reshape(shape) * step + 0.0


def sets(train: np.ndarray, test: np.ndarray, train_labels: np.ndarray, test_labels: np.ndarray) -> Arrays:
    """Two sets of features with their labels."""
    return {
        "train_features": train,
        "train_labels": train_labels,
        "test_features": test,
        "test_labels": test_labels,
    }


def general() -> Arrays:
    """Classes of 10, 7, 4 and 3 examples with overlap, a head with bias, features from elsewhere."""
    train_labels, test_labels = np.repeat(range(CLASSES), (10, 7, 4, 3)), np.repeat(range(CLASSES), (5, 5, 4, 2))
    means = 1 + normal(1, CLASSES, DIM)
    train = means[train_labels] + normal(2, TRAIN, DIM) / 2
    test = means[test_labels] + normal(3, TEST, DIM)
    head = {"head_kernel": means.T + normal(4, DIM, CLASSES) / 2, "head_bias": normal(5, CLASSES) / 4}
    return sets(train, test, train_labels, test_labels) | head | {"ood_features": 1 + normal(6, 12, DIM)}


def balanced() -> Arrays:
    """Like `general`, with classes of equal size, 6 and 4, and a head without bias: many definitions agree here."""
    train_labels, test_labels = np.repeat(range(CLASSES), 6), np.repeat(range(CLASSES), 4)
    means = 1 + normal(11, CLASSES, DIM)
    train = means[train_labels] + normal(12, TRAIN, DIM) / 2
    test = means[test_labels] + normal(13, TEST, DIM)
    head = {"head_kernel": means.T + normal(14, DIM, CLASSES) / 2}
    return sets(train, test, train_labels, test_labels) | head


def collapsed() -> Arrays:
    """Classes that have contracted to some 10^-5 of the size of the features, where float32 rounds class means."""
    train_labels, test_labels = np.repeat(range(CLASSES), (10, 7, 4, 3)), np.repeat(range(CLASSES), (5, 5, 4, 2))
    means = np.clip(1 + normal(1, CLASSES, DIM, step=1 / 16), -3.5, 3.5)
    train = means[train_labels] + np.clip(normal(22, TRAIN, DIM, step=1 / 8), -3, 3) / 2**17
    test = means[test_labels] + np.clip(normal(23, TEST, DIM, step=1 / 8), -3, 3) / 2**17
    return sets(train, test, train_labels, test_labels) | {"head_kernel": normal(24, DIM, CLASSES)}


def shifted() -> Arrays:
    """`general` with 1024 added to every feature: sums of squares minus squared means have lost their digits."""
    arrays = general()
    kernel = arrays["head_kernel"]
    kernel = kernel - np.round(kernel.mean(axis=0, keepdims=True) * 64) / 64
    moved = {name: arrays[name] + 1024 for name in ("train_features", "test_features")}
    return arrays | moved | {"head_kernel": kernel, "head_bias": np.zeros(CLASSES)}


def outlier() -> Arrays:
    """`general` with its row of the largest norm made four times longer."""
    arrays = general()
    features = arrays["train_features"].copy()
    row = np.argmax(np.linalg.norm(features, axis=1))
    features[row] *= 4
    return arrays | {"train_features": features}


def simplex() -> Arrays:
    """Every example at its corner of a regular tetrahedron, the head proportional to it."""
    corners = np.array([[1.0, 1, 1, 0, 0], [1, -1, -1, 0, 0], [-1, 1, -1, 0, 0], [-1, -1, 1, 0, 0]])
    train_labels, test_labels = np.repeat(range(CLASSES), 6), np.repeat(range(CLASSES), 4)
    return sets(corners[train_labels], corners[test_labels], train_labels, test_labels) | {
        "head_kernel": corners.T / 2
    }


def orthogonal() -> Arrays:
    """Every example at its class mean, the means orthogonal and of norm 2."""
    means = 2 * np.eye(CLASSES, DIM)
    train_labels, test_labels = np.repeat(range(CLASSES), 6), np.repeat(range(CLASSES), 4)
    return sets(means[train_labels], means[test_labels], train_labels, test_labels) | {
        "head_kernel": np.eye(DIM, CLASSES)
    }


def absent() -> Arrays:
    """`general` without the examples of class 2, of which the head still has a column; test keeps them."""
    arrays = general()
    labels = arrays["train_labels"]
    return arrays | {"train_labels": np.where(labels == 2, 3, labels)}


def equal_means() -> Arrays:
    """Four classes of 4 with one mean, the origin, exactly so in float32: rows and their negatives."""
    labels = np.tile(range(CLASSES), TEST // CLASSES)
    half = normal(31, TEST // 2, DIM)
    features = np.concatenate([half, -half])
    return sets(features, features, labels, labels) | {"head_kernel": normal(32, DIM, CLASSES)}


FEATURES = (general, balanced, collapsed, shifted, outlier, simplex, orthogonal, absent, equal_means)
