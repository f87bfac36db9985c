"""Features and head trained freely end in the closed form of collapse, and the measures say so."""

import numpy as np
import pytest

from collapse_jax import measure_arrays

CLASSES, PER_CLASS, DIMENSION = 4, 5, 6
DECAY_W, DECAY_H = 0.01, 0.02


def train(steps=20_000, rate=2.0):
    """Gradient descent in float64 on ||WH - Y||^2 / 2N + decay_w ||W||^2 / 2 + decay_h ||H||^2 / 2."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), PER_CLASS)
    target = np.eye(CLASSES)[:, labels]
    w, h = rng.normal(size=(CLASSES, DIMENSION)), rng.normal(size=(DIMENSION, len(labels)))
    for _ in range(steps):
        error = (w @ h - target) / len(labels)
        w, h = w - rate * (error @ h.T + DECAY_W * w), h - rate * (w.T @ error + DECAY_H * h)
    return w, h, labels


def test_the_minimum_of_the_unconstrained_features_model():
    """WH = alpha Y, ||h_i||^2 = sigma sqrt(decay_w/decay_h) / n, zero within-class variance (Zhou et al. 2022)."""
    w, h, labels = train()
    alpha = 1 - CLASSES * np.sqrt(PER_CLASS) * np.sqrt(DECAY_W * DECAY_H)
    assert alpha == pytest.approx(0.8735088935932649, abs=1e-12)
    np.testing.assert_allclose(w @ h, alpha * np.eye(CLASSES)[:, labels], atol=1e-6)
    np.testing.assert_allclose((h**2).sum(axis=0), 0.276227766016838, atol=1e-6)
    values = measure_arrays("collapse", train_features=h.T, train_labels=labels, head_kernel=w.T)
    assert values["rnc1"] < 1e-12
    assert values["nc1"] < 1e-12
    assert values["nc2_condition"] == pytest.approx(1, abs=1e-5)
    assert values["nc2_equinorm"] < 1e-5
    assert values["nc2_etf_error"] < 1e-5
    assert values["nc4_agreement"] == 1
    # Orthogonal means of squared norm m: sum_c (1/K) ||mu_c - mu||^2 = m (K - 1) / K.
    assert values["between_class_variance"] == pytest.approx(0.276227766016838 * 3 / 4, rel=1e-5)
