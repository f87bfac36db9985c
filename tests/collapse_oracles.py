"""An independent float64 implementation of the collapse measures, and features of known geometry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.families.collapse import collapse

CLASSES, DIM = 10, 40
_collapse = jax.jit(collapse)


def measure(features, labels, num_classes, test=None, kernel=None, logits=None, test_logits=None):
    """Variables as floats; `test` is (features, labels).

    A head and logits that a test does not care for are zero, so that all tests share a few compilations.
    """
    kernel = np.zeros((np.shape(features)[1], num_classes)) if kernel is None else kernel

    def probe(features, labels, logits):
        logits = np.zeros((len(labels), num_classes)) if logits is None else logits
        return Probe(
            jnp.asarray(features, jnp.float32),
            jnp.asarray(labels, jnp.int32),
            jnp.asarray(logits, jnp.float32),
        )

    snapshot = Snapshot(
        train=probe(features, labels, logits),
        test=None if test is None else probe(*test, test_logits),
        head_kernel=jnp.asarray(kernel, jnp.float32),
        num_classes=num_classes,
    )
    return {name: float(value) for name, value in _collapse(snapshot).items()}


def plain(features, labels, kernel=None):
    """The definitions in float64, sample by sample and with explicit D x D covariances."""
    features = np.asarray(features, np.float64)
    present = sorted(set(labels.tolist()))
    n, dim = features.shape
    mean = {c: np.mean([g for g, y in zip(features, labels, strict=True) if y == c], axis=0) for c in present}
    covariance = np.zeros((dim, dim))
    for g, y in zip(features, labels, strict=True):
        covariance += np.outer(g - mean[y], g - mean[y]) / n
    overall = features.mean(0)
    between = sum(np.sum((mean[y] - overall) ** 2) for y in labels) / n
    stacked = np.array([mean[c] for c in present])
    centred = stacked - stacked.mean(0)
    lengths = np.linalg.norm(centred, axis=1)
    k = len(present)
    angles = [
        abs(centred[a] @ centred[b] / (lengths[a] * lengths[b]) + 1 / (k - 1))
        for a in range(k)
        for b in range(k)
        if a != b
    ]
    norms = np.linalg.norm(features, axis=1)
    within = np.trace(covariance)
    result = {
        "within_class_variance": within,
        "between_class_variance": between,
        "rnc1": within / norms.max() ** 2,
        "rnc1_mean_norm": within / norms.mean() ** 2,
        "rnc1_q95": within / np.quantile(norms, 0.95) ** 2,
        "nc1": within / between,
        "nc1_pinv": np.trace(covariance @ np.linalg.pinv(centred.T @ centred / k, rcond=1e-10)) / k,
        "class_mean_rank": np.linalg.matrix_rank(centred),
        "nc2_condition": np.linalg.cond(stacked),
        "nc2_equinorm": lengths.std() / lengths.mean(),
        "nc2_etf_error": np.mean(angles),
    }
    if kernel is not None:
        kernel = np.asarray(kernel, np.float64)[:, present]
        scaled = kernel / np.sqrt(np.sum(kernel**2)) - centred.T / np.sqrt(np.sum(centred**2))
        result["nc3_self_duality"] = np.sqrt(np.sum(scaled**2))
    return result


def example(seed=0, n=150, scale=1.0):
    """Unbalanced classes of rectified features with a common offset, and a head."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(CLASSES), rng.choice(CLASSES, n - CLASSES, p=_SHARES)])
    centres = rng.normal(size=(CLASSES, DIM)) + 0.5
    features = np.maximum(centres[labels] + 0.4 * rng.normal(size=(n, DIM)), 0) * scale
    return features.astype(np.float32), labels, rng.normal(size=(DIM, CLASSES)).astype(np.float32)


_SHARES = np.arange(1, CLASSES + 1) / np.arange(1, CLASSES + 1).sum()


def simplex(norm, dim=DIM, classes=CLASSES):
    """Rows: a centred simplex equiangular tight frame whose rows have length `norm`."""
    centred = np.eye(classes) - 1 / classes
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(dim, dim)))[0][:classes]
    return norm * np.sqrt(classes / (classes - 1)) * centred @ basis


def isotropic(dim, per_class, spread):
    """Noise of exactly zero mean and covariance spread^2 I in each class."""
    raw = np.random.default_rng(2).normal(size=(per_class, dim))
    raw -= raw.mean(0)
    return spread * np.sqrt(per_class) * np.linalg.qr(raw)[0]


def assert_values(actual, expected, rel=2e-5, abs=1e-6):
    assert {name: actual[name] for name in expected} == pytest.approx(expected, rel=rel, abs=abs)
