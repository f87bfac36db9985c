"""Angles and duality against closed forms, numpy in float64, invariances and chance."""

import itertools

import numpy as np
import pytest
from collapse_oracles import assert_values, simplex

from collapse_jax import measure_arrays
from collapse_jax.errors import ConfigError
from collapse_jax.measures.families.angles import VARIABLES

LABELS = np.repeat(np.arange(4), (10, 7, 4, 3))


def values_of(features, labels=LABELS, head=None, **options):
    return measure_arrays("angles", train_features=features, train_labels=labels, head_kernel=head, **options)


def by_numpy(features, labels, head, exponent):
    means = np.array([features[labels == c].mean(0) for c in np.unique(labels)])
    spreads = [np.mean(np.sum((features[labels == c] - m) ** 2, axis=1)) for c, m in enumerate(means)]
    centred, weights, pairs = means - means.mean(0), head.T, list(itertools.combinations(range(len(means)), 2))

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    duals = [cosine(w, m) for w, m in zip(weights, centred, strict=True)]
    of_weights = np.array([cosine(weights[a], weights[b]) for a, b in pairs])
    ratios = [
        (spreads[a] + spreads[b]) / (2 * np.linalg.norm(means[a] - means[b]) ** (2 * exponent)) for a, b in pairs
    ]
    lengths = np.linalg.norm(weights, axis=1)
    return {
        "nc2_equiangularity": np.std([cosine(centred[a], centred[b]) for a, b in pairs]),
        "nc3_cosine": np.mean(duals),
        "unc3": np.std(duals),
        "cdnv_power": np.mean(ratios),
        "nc2_equinorm_head": np.std(lengths) / np.mean(lengths),
        "nc2_equiangularity_head": np.std(of_weights),
        "nc2_etf_error_head": np.mean(np.abs(of_weights + 1 / 3)),
    }


def clusters(rng, dim=6):
    return rng.normal(size=(4, dim))[LABELS] + rng.normal(size=(24, dim)) / 3, rng.normal(size=(dim, 4))


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_equals_numpy(rng, exponent):
    features, head = clusters(rng)
    assert_values(values_of(features, head=head, exponent=exponent), by_numpy(features, LABELS, head, exponent))


def test_exponent_one_is_cdnv(rng):
    features, _ = clusters(rng)
    right = measure_arrays("geometry", train_features=features, train_labels=LABELS)["cdnv"]
    assert values_of(features, exponent=1.0)["cdnv_power"] == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize(("noise", "exponent"), [(0.3, 1.0), (0.3, 2.0)])
def test_simplex_with_isotropic_spread(noise, exponent):
    """Spread d s^2 at a simplex of norm a = 2, of squared edges 2 a^2 K / (K - 1); head three times the means."""
    corners, dim = simplex(2.0, dim=20), 20
    labels = np.repeat(np.arange(10), 2 * dim)
    steps = noise * np.sqrt(dim) * np.concatenate([np.eye(dim), -np.eye(dim)])
    values = values_of(corners[labels] + np.tile(steps, (10, 1)), labels, 3 * corners.T, exponent=exponent)
    expected = {
        "nc2_equiangularity": 0,
        "nc3_cosine": 1,
        "unc3": 0,
        "cdnv_power": dim * noise**2 / (2 * 4 * 10 / 9) ** exponent,
        "nc2_equinorm_head": 0,
        "nc2_equiangularity_head": 0,
        "nc2_etf_error_head": 0,
    }
    assert values == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_orthogonal_weights_are_equiangular_without_a_simplex():
    """cos 0 for all pairs: spread 0, 1/(K - 1) from a simplex; cos(e_c, e_c - mean) = sqrt((K - 1) / K)."""
    values = values_of(np.eye(4, 5)[LABELS], head=np.eye(5, 4))
    assert values["nc2_equiangularity_head"] == 0
    assert values["nc2_etf_error_head"] == pytest.approx(1 / 3)
    assert values["nc3_cosine"] == pytest.approx(np.sqrt(3 / 4))
    assert values["unc3"] == pytest.approx(0, abs=1e-6)


def test_scale_rotation_and_order_change_nothing(rng):
    features, head = clusters(rng)
    turn, order, classes = np.linalg.qr(rng.normal(size=(6, 6)))[0], rng.permutation(24), rng.permutation(4)
    relabelled = np.argsort(classes)[LABELS[order]]
    moved = values_of(7 * (features[order] @ turn + 3), relabelled, (5 * turn.T @ head)[:, classes])
    first = values_of(features, head=head)
    assert moved.pop("cdnv_power") == pytest.approx(first.pop("cdnv_power") / 7**2, rel=1e-3)
    assert_values(moved, first, rel=1e-3)


def test_chance_has_the_spread_of_the_dimension(rng):
    labels = np.repeat(np.arange(30), 3)
    values = values_of(rng.normal(size=(90, 400)), labels, rng.normal(size=(400, 30)))
    for name in ("unc3", "nc2_equiangularity_head"):
        assert values[name] == pytest.approx(1 / 20, rel=0.6)
    assert abs(values["nc3_cosine"]) < 6 / 20 / np.sqrt(30)


def test_absent_classes_are_left_out(rng):
    features, head = clusters(rng)
    wider = np.concatenate([head, rng.normal(size=(6, 1))], axis=1)
    right = values_of(features, head=head)
    assert_values(values_of(features, head=wider), right)


def test_test_has_its_own_and_what_is_not_defined_is_nan(rng):
    features, head = clusters(rng)
    bad = np.where(np.arange(6) == 0, np.nan, features)
    values = measure_arrays(
        "angles",
        train_features=features,
        train_labels=LABELS,
        test_features=bad,
        test_labels=LABELS,
        head_kernel=head,
    )
    assert values.keys() == VARIABLES.keys()
    assert all(np.isnan(value) == name.endswith("_test") for name, value in values.items())
    alone = values_of(features, np.zeros(24, int))
    assert all(np.isnan(value) for value in alone.values())
    assert not any("head" in name or "nc3" in name for name in alone)


def test_an_exponent_of_nothing_is_refused(rng):
    with pytest.raises(ConfigError, match="exponent"):
        values_of(clusters(rng)[0], exponent=0.0)
