"""Jacot's collapse bounds: a float64 implementation, that they hold, and when they say nothing."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from collapse_oracles import assert_values

from collapse_jax.measures import MEASURES
from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.families.collapse_bounds import VARIABLES, collapse_bounds

_measure = jax.jit(collapse_bounds)
RELU = lambda x: np.maximum(x, 0)  # noqa: E731
LINEAR = lambda x: x  # noqa: E731


def network(seed, widths, bias=0.3, scale=1.0):
    """Random dense layers as [(kernel, bias), ...], the last is the head."""
    rng = np.random.default_rng(seed)
    shapes = list(itertools.pairwise(widths))
    return [(scale * rng.normal(size=s) / np.sqrt(s[0]), bias * rng.normal(size=s[1])) for s in shapes]


def forward(layers, inputs, last=LINEAR):
    """Hidden outputs (ReLU, the last one `last`) and logits."""
    outputs, x = [], inputs
    for i, (kernel, bias) in enumerate(layers[:-1]):
        x = (last if i == len(layers) - 2 else RELU)(x @ kernel + bias)
        outputs.append(x)
    return outputs, x @ layers[-1][0] + layers[-1][1]


def snapshot(layers, inputs, labels, last=LINEAR):
    outputs, logits = forward(layers, inputs, last)
    names = [f"hidden_{i}" for i in range(len(layers) - 1)] + ["head"]
    tree = {n: {"kernel": k, "bias": b} for n, (k, b) in zip(names, layers, strict=True)}
    as_float = lambda a: jnp.asarray(a, jnp.float32)  # noqa: E731
    hidden = tuple(map(as_float, outputs))
    probe = Probe(hidden[-1], jnp.asarray(labels, jnp.int32), as_float(logits), as_float(inputs), hidden)
    return Snapshot(probe, params=jax.tree.map(as_float, tree), num_classes=layers[-1][0].shape[1])


def measure(*arguments, **options):
    return {name: float(value) for name, value in _measure(snapshot(*arguments, **options)).items()}


def plain(layers, inputs, labels, last=LINEAR):
    """The formulas with full singular value decompositions in float64; W_l as the paper has them, rows out."""
    outputs, logits = forward(layers, inputs, last)
    before, features = (outputs[-2] if len(outputs) > 1 else inputs).T, outputs[-1].T
    weights = [kernel.T for kernel, _ in layers]
    classes, n = weights[-1].shape[0], len(labels)
    targets = np.eye(classes)[labels].T
    norm = lambda a: np.linalg.svd(a)[1][0]  # noqa: E731
    project = targets.T @ np.linalg.pinv(targets @ targets.T) @ targets
    e1 = np.linalg.norm(logits.T - targets)
    e2 = norm(weights[-1].T @ weights[-1] - weights[-2] @ weights[-2].T)
    residual = features - (weights[-2] @ before + layers[-2][1][:, None])
    e3 = np.linalg.norm(residual - residual @ project)
    r = max(norm(before), norm(features), *map(norm, weights))
    y = np.linalg.svd(targets - layers[-1][1][:, None])[1]
    singular = np.linalg.svd(weights[-1])[1]
    dim, variance, psi = features.shape[0], np.inf, np.inf
    for k in range(1, min(classes, dim) + 1):
        unbalanced = np.sqrt(dim * e2 + np.sum(singular[k:] ** 2))
        variance = min(variance, (e1 / singular[k - 1] + unbalanced * norm(before) + e3) ** 2 / n)
        if e1 < y[k - 1]:
            psi = min(psi, r * (e1 / (y[k - 1] - e1) + unbalanced) + e3)
    shares = np.bincount(labels, minlength=classes) / n
    between = np.sqrt(1 - np.sum(shares**2)) - 2 * e1 / np.sqrt(n)
    centred = features - features @ project
    within = np.sum(centred**2) / n
    across = np.sum((features @ project - features.mean(1, keepdims=True)) ** 2) / n
    return {
        "within_class_variance_bound": variance,
        "within_class_variance_bound_jacot": psi**2 / n,
        "rnc1_bound": variance / max(np.sum(features**2, axis=0)),
        "nc1_bound": norm(weights[-1]) ** 2 * variance / between**2 if between > 0 else np.inf,
        "nc1_bound_jacot": (r * psi / between) ** 2 / n if between > 0 else np.inf,
        "jacot_e1": e1,
        "jacot_e2": e2,
        "jacot_e3": e3,
        "jacot_r": r,
        "jacot_psi": psi,
        "head_smallest_singular": singular[-1],
    }, {"within": within, "rnc1": within / max(np.sum(features**2, axis=0)), "nc1": within / across}


def fitted(seed, noise=0.02, balance=1e-3, classes=4, n=40, last=LINEAR):
    """A network close to the theorem's end: balanced last layers that nearly fit the labels from noisy clusters."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.choice(classes, n - classes)])
    inputs = np.eye(classes, 6)[labels] * 1.2 + noise * np.abs(rng.normal(size=(n, 6)))
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0][:classes]
    first = np.eye(6, 7), np.zeros(7)
    second = np.concatenate([turn, np.zeros((7 - classes, 8))]) / np.sqrt(1.2)
    head = turn.T / np.sqrt(1.2)
    second = second + balance * rng.normal(size=second.shape)
    if last is RELU:  # positive features, in the first directions alone
        second, head = np.eye(7, 8) / np.sqrt(1.2), np.eye(8, classes) / np.sqrt(1.2)
    return [first, (second, np.zeros(8)), (head, np.zeros(classes))], inputs, labels


CASES = {
    "random": (network(0, (5, 7, 6, 3)), np.random.default_rng(1).normal(size=(30, 5)), np.arange(30) % 3),
    "one hidden layer": (network(2, (5, 6, 2)), np.random.default_rng(3).normal(size=(20, 5)), np.arange(20) % 2),
    "more classes than features": (
        network(4, (5, 6, 3, 4), scale=0.3),
        np.random.default_rng(5).normal(size=(24, 5)),
        np.arange(24) % 4,
    ),
    "fitted": fitted(0),
}


@pytest.mark.parametrize("last", [LINEAR, RELU], ids=["linear", "relu"])
@pytest.mark.parametrize("case", CASES)
def test_against_float64_and_above_the_truth(case, last):
    expected, truth = plain(*CASES[case], last=last)
    values = measure(*CASES[case], last=last)
    assert set(values) == set(VARIABLES)
    assert_values(values, expected, rel=2e-3, abs=2e-5)
    above(values, truth)


def above(values, truth):
    slack = 1 + 1e-4
    assert truth["within"] <= slack * values["within_class_variance_bound"]
    assert truth["within"] <= slack * values["within_class_variance_bound_jacot"]
    assert truth["rnc1"] <= slack * values["rnc1_bound"]
    assert truth["nc1"] <= slack * values["nc1_bound"]
    assert truth["nc1"] <= slack * values["nc1_bound_jacot"]
    assert values["within_class_variance_bound"] <= slack * values["within_class_variance_bound_jacot"]


def test_the_bounds_hold_and_fall_with_the_collapse():
    previous = np.inf
    for noise, balance in ((0.1, 1e-2), (1e-2, 1e-3), (1e-3, 1e-4), (1e-4, 1e-5)):
        for last in (LINEAR, RELU):
            case = fitted(3, noise, balance, last=last)
            values = measure(*case, last=last)
            above(values, plain(*case, last=last)[1])
        case = fitted(3, noise, balance)
        bound = measure(*case)["nc1_bound"]
        assert bound < previous / 5
        previous = bound


def test_exact_balance_and_fit_bound_the_variance_by_rounding_alone():
    values = measure(*fitted(4, noise=0, balance=0))
    assert values["jacot_e3"] == pytest.approx(0, abs=1e-5)
    assert values["jacot_e1"] < 1e-5
    assert values["within_class_variance_bound"] < 1e-4
    assert np.isfinite(values["nc1_bound_jacot"])


def test_where_a_condition_fails_the_bound_is_infinite():
    layers, inputs, labels = fitted(5)
    bad = [*layers[:-1], (layers[-1][0] * 4, layers[-1][1])]  # the fit is off by a factor
    values = measure(bad, inputs, labels)
    assert values["jacot_psi"] == values["nc1_bound_jacot"] == values["nc1_bound"] == np.inf
    assert np.isfinite(values["within_class_variance_bound"])
    dead = [*layers[:-1], (layers[-1][0] * 0, layers[-1][1])]
    assert measure(dead, inputs, labels)["within_class_variance_bound"] == np.inf


def test_a_bias_that_fits_the_mean_of_the_labels_is_no_obstacle():
    """With b = 1/K the K-th direction of head and targets is empty: k = K - 1 replaces the theorem's k = K."""
    (first, second, (head, _)), inputs, labels = fitted(8, n=400)
    centred = head - head.mean(1, keepdims=True)
    case = [first, second, (centred, np.full(4, 0.25))], inputs, labels
    values = measure(*case)
    assert values["head_smallest_singular"] < 1e-5
    assert np.isfinite([values["jacot_psi"], values["within_class_variance_bound"]]).all()
    above(values, plain(*case)[1])


def test_rotating_the_features_changes_nothing():
    (first, (second, b), (head, c)), inputs, labels = fitted(6)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    expected = measure([first, (second, b), (head, c)], inputs, labels)
    turned = measure([first, (second @ turn, b @ turn), (turn.T @ head, c)], inputs, labels)
    assert_values(turned, expected, rel=1e-3, abs=1e-5)


def test_nan_parameters_give_nan_and_missing_parts_nothing():
    layers, inputs, labels = fitted(7)
    layers[1][0][0, 0] = np.nan
    values = measure(layers, inputs, labels)
    clean = {"head_smallest_singular"}
    assert all(np.isnan(value) != (name in clean) for name, value in values.items())
    whole = snapshot(*fitted(7))
    assert collapse_bounds(whole.replace(params=None)) == {}
    assert collapse_bounds(whole.replace(train=whole.train.replace(layers=None))) == {}
    assert {"layers", "parameters"} <= set(MEASURES["collapse_bounds"].needs)
