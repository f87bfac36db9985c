"""Theorems 3.2 and 4.1: closed forms, a float64 implementation by loops, and that the bound is one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from collapse_oracles import assert_values, isotropic

from collapse_jax.measures import measure_arrays
from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.families.generalisation import VARIABLES, generalisation

_measure = jax.jit(generalisation)
BOUNDS = ("test_error", "test_error_bound_directional", "test_error_bound")


def measure(train, test, kernel, bias=None, params=None, inputs=None):
    """Variables as floats; `train` and `test` are (features, labels)."""
    bias = np.zeros(kernel.shape[1]) if bias is None else bias

    def probe(features, labels, inputs=None):
        features = jnp.asarray(features, jnp.float32)
        logits = jnp.asarray(np.asarray(features, np.float64) @ kernel + bias, jnp.float32)
        return Probe(features, jnp.asarray(labels, jnp.int32), logits, inputs)

    snapshot = Snapshot(
        train=probe(*train, inputs),
        test=probe(*test),
        head_kernel=jnp.asarray(kernel, jnp.float32),
        head_bias=jnp.asarray(bias, jnp.float32),
        params=params,
        num_classes=kernel.shape[1],
    )
    return {name: float(value) for name, value in _measure(snapshot).items()}


def plain(features, labels, kernel, bias):
    """Error and the two bounds, pair by pair, in float64 and as the theorem is printed: with B_g and directions."""
    features = np.asarray(features, np.float64)
    largest = max(np.linalg.norm(g) for g in features)
    bound = directional = 0.0
    for c in sorted(set(labels.tolist())):
        members = features[labels == c] / largest
        mean = members.mean(0)
        centred = members - mean
        covariance = centred.T @ centred / len(members)
        for k in range(kernel.shape[1]):
            if k == c:
                continue
            length = np.linalg.norm(kernel[:, c] - kernel[:, k])
            u = (kernel[:, c] - kernel[:, k]) / length
            m = max(mean @ u + (bias[c] - bias[k]) / (largest * length), 0)
            bound += np.mean(labels == c) / (1 + m**2 / np.trace(covariance))
            directional += np.mean(labels == c) / (1 + m**2 / (u @ covariance @ u))
    error = np.mean(np.argmax(features @ kernel + bias, axis=1) != labels)
    return {"error": error, "error_bound": bound, "error_bound_directional": directional}


def example(seed, classes=5, dim=12, noise=0.6, n=120, spare=0):
    """Train and test sets of unbalanced noisy clusters, a head that reads them, and its bias."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, dim))
    shares = np.arange(1, classes - spare + 1) / np.arange(1, classes - spare + 1).sum()
    labels = [rng.choice(classes - spare, n, p=shares) for _ in range(2)]
    sets = [(centres[y] + noise * rng.normal(size=(n, dim)), y) for y in labels]
    return *sets, centres.T + 0.2 * rng.normal(size=(dim, classes)), 0.5 * rng.normal(size=classes)


@pytest.mark.parametrize("spare", [0, 1])  # with 1, the last class has no member
def test_against_loops_in_float64(spare):
    train, test, kernel, bias = example(0, spare=spare)
    values = measure(train, test, kernel, bias)
    expected = {f"test_{k}": v for k, v in plain(*test, kernel, bias).items()}
    expected |= {f"train_{k}": v for k, v in plain(*train, kernel, bias).items()}
    largest = max(np.linalg.norm(g) for g in np.concatenate([train[0], test[0]]))
    for kind, (features, labels) in (("train", train), ("test", test)):
        means = {c: features[labels == c].mean(0) for c in set(labels.tolist())}
        squares = [np.sum((g - means[y]) ** 2) for g, y in zip(features, labels.tolist(), strict=True)]
        expected[f"variance_{kind}"] = np.mean(squares) / largest**2
    expected["variance_gap"] = abs(expected["variance_test"] - expected["variance_train"])
    expected["smallest_class"] = min(np.bincount(train[1])[: 5 - spare])
    assert set(values) == set(VARIABLES) - {"spectral_complexity"}
    assert_values(values, expected)


def test_two_classes_with_exact_isotropic_noise():
    """Means at distance a from the boundary, variance s^2 in each of d directions: 1/(1 + a^2/(d s^2))."""
    dim, a, s = 8, 1.5, 0.4
    noise = isotropic(dim, 40, s)
    mean = np.eye(dim)[0] * a
    data = np.concatenate([noise + mean, noise - mean]), np.repeat([0, 1], 40)
    kernel = np.stack([np.eye(dim)[0], -np.eye(dim)[0]], axis=1) * 0.3
    values = measure(data, data, kernel)
    assert_values(
        values,
        {
            "test_error_bound": 1 / (1 + a**2 / (dim * s**2)),
            "test_error_bound_directional": 1 / (1 + a**2 / s**2),
            "variance_gap": 0,
            "variance_test": dim * s**2 / np.max(np.sum(data[0] ** 2, axis=1)),
        },
    )


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_the_bound_is_one(bias):
    """error <= directional <= bound <= K - 1 on any network and data: noisy, collapsed, and hopeless."""
    for seed in range(6):
        for noise in (3.0, 0.6, 0.1, 1e-4):
            train, test, kernel, b = example(seed, noise=noise)
            values = measure(train, test, kernel * (-1) ** (seed == 5), bias * b)
            error, directional, bound = (values[name] for name in BOUNDS)
            assert error <= directional * (1 + 1e-5) + 1e-6
            assert directional <= bound * (1 + 1e-5) + 1e-6
            assert bound <= 4 + 1e-5


def test_the_directional_bound_can_speak_where_the_theorem_s_cannot():
    rng = np.random.default_rng(0)
    labels = np.arange(4000) % 10
    centres = np.linalg.qr(rng.normal(size=(200, 200)))[0][:10]
    features = centres[labels] + 0.15 * rng.normal(size=(4000, 200)) / np.sqrt(0.5)
    values = measure((features, labels), (features, labels), centres.T)
    assert 0 < values["test_error"] < 0.03
    assert values["test_error_bound"] > 2
    assert values["test_error_bound_directional"] < 0.8


def test_collapsed_and_degenerate_features():
    train, test, kernel, _ = example(1)
    means = 3 * kernel.T  # every class at its own weight: far from all boundaries
    collapsed = measure(train, (means[test[1]], test[1]), kernel)
    assert [collapsed[name] for name in BOUNDS] == pytest.approx([0, 0, 0], abs=1e-10)
    assert collapsed["variance_test"] == pytest.approx(0, abs=1e-12)
    # One point for all: every pair has m <= 0 on one side or spread 0; at zero all terms are 1.
    point = measure(train, (np.zeros_like(test[0]), test[1]), kernel)
    assert point["test_error_bound"] == pytest.approx(4)
    # Equal class weights: the boundary is nowhere, and the biases alone decide.
    equal = np.repeat(kernel[:, :1], 5, axis=1)
    values = measure(train, test, equal, np.array([4.0, 3, 2, 1, 0]))
    shares = np.bincount(test[1], minlength=5) / len(test[1])
    assert values["test_error_bound"] == pytest.approx(shares @ np.arange(5), rel=1e-5)
    zero = measure((train[0] * 0, train[1]), (test[0] * 0, test[1]), kernel)
    assert np.isnan([zero["variance_train"], zero["variance_test"], zero["variance_gap"]]).all()


def test_scaling_and_rotation_change_nothing():
    train, test, kernel, bias = example(2)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    expected = measure(train, test, kernel, bias)
    turned = measure((train[0] @ rotation, train[1]), (test[0] @ rotation, test[1]), rotation.T @ kernel, bias)
    assert_values(turned, expected, rel=1e-4)
    for scale in (1e-6, 1e4):
        scaled = measure((scale * train[0], train[1]), (scale * test[0], test[1]), kernel, scale * bias)
        assert_values(scaled, expected, rel=1e-4)


def test_nan_features_and_heads_give_nan():
    train, test, kernel, bias = example(3)
    broken = test[0].copy()
    broken[5, 2] = np.nan
    values = measure(train, (broken, test[1]), kernel, bias)
    names = [*BOUNDS, "variance_test", "variance_gap"]
    assert np.isnan([values[name] for name in names]).all()
    assert np.isfinite(values["train_error"])
    kernel[0, 1] = np.nan
    values = measure(train, test, kernel, bias)
    assert np.isnan([values[name] for name in BOUNDS]).all()
    assert np.isfinite(values["variance_gap"])


def test_spectral_complexity_by_hand_and_at_least_one_without_biases():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(30, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    labels = np.arange(30) % 2
    kernel = rng.normal(size=(6, 2))
    params = {"hidden_0": {"kernel": 3 * turn}, "hidden_1": {"kernel": 0.5 * turn}, "head": {"kernel": kernel}}
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params)
    linear = 1.5 * inputs @ turn @ turn
    values = measure((linear, labels), (linear, labels), kernel, params=params, inputs=jnp.asarray(inputs))
    assert values["spectral_complexity"] == pytest.approx(1, rel=1e-4)
    relu = np.maximum(np.maximum(3 * inputs @ turn, 0) @ turn * 0.5, 0)
    values = measure((relu, labels), (relu, labels), kernel, params=params, inputs=jnp.asarray(inputs))
    lengths = [np.max(np.linalg.norm(a, axis=1)) for a in (inputs, relu)]
    assert values["spectral_complexity"] == pytest.approx(1.5 * lengths[0] / lengths[1], rel=1e-4)
    assert values["spectral_complexity"] >= 1


def test_arrays_of_another_framework_suffice():
    train, test, kernel, bias = example(4)
    values = measure_arrays(
        "generalisation",
        train_features=train[0],
        train_labels=train[1],
        test_features=test[0],
        test_labels=test[1],
        head_kernel=kernel,
        head_bias=bias,
    )
    assert_values(values, measure(train, test, kernel, bias))
    alone = measure_arrays("generalisation", train_features=train[0], train_labels=train[1])
    assert set(alone) == {"variance_train", "smallest_class"}
