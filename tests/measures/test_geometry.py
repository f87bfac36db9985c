"""CDNV and hyperspherical energies against closed forms, loops in float64, and documented limits."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from collapse_oracles import CLASSES, DIM, assert_values, example, isotropic, simplex
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_jax import measure_arrays
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.geometry import VARIABLES, geometry

_geometry = jax.jit(geometry)


def snapshot_of(features, labels, num_classes=CLASSES):
    return Snapshot(Probe(jnp.asarray(features, jnp.float32), jnp.asarray(labels)), num_classes=num_classes)


def values_of(features, labels, num_classes=CLASSES):
    return {name: float(v) for name, v in _geometry(snapshot_of(features, labels, num_classes)).items()}


def plain(features, labels):
    features = np.asarray(features, np.float64)
    present = sorted(set(labels.tolist()))
    mean = {c: features[labels == c].mean(0) for c in present}
    spread = {c: np.mean([np.sum((g - mean[c]) ** 2) for g in features[labels == c]]) for c in present}
    average = np.mean(list(mean.values()), axis=0)
    unit = {c: (mean[c] - average) / np.linalg.norm(mean[c] - average) for c in present}
    pairs = list(itertools.combinations(present, 2))
    cdnv = [(spread[a] + spread[b]) / (2 * np.sum((mean[a] - mean[b]) ** 2)) for a, b in pairs]
    distance = np.array([np.linalg.norm(unit[a] - unit[b]) for a, b in pairs])
    k = len(present)
    return {
        "cdnv": np.mean(cdnv),
        "cdnv_max": np.max(cdnv),
        "gnc2_log": np.mean(-np.log(distance)),
        "gnc2_log_std": np.std(-np.log(distance)),
        "gnc2_log_excess": np.mean(-np.log(distance)) + 0.5 * np.log(2 * k / (k - 1)),
        "gnc2_inverse": np.mean(1 / distance),
        "gnc2_inverse_std": np.std(1 / distance),
        "gnc2_inverse_excess": np.mean(1 / distance) - np.sqrt((k - 1) / (2 * k)),
    }


@pytest.mark.parametrize("seed", range(3))
def test_equals_plain_float64(seed):
    features, labels, _ = example(seed)
    assert_values(values_of(features, labels), plain(features, labels))


def test_test_features_around_their_own_means():
    features, labels, _ = example(3)
    other, other_labels, _ = example(4)
    values = measure_arrays(
        "geometry",
        train_features=features,
        train_labels=labels,
        test_features=other,
        test_labels=other_labels,
    )
    assert list(values) == list(VARIABLES)
    assert_values(values, {f"{name}_test": value for name, value in plain(other, other_labels).items()})


def test_isotropic_noise_around_a_simplex():
    dim, spread, norm = 200, 0.3, 2.0
    labels = np.repeat(np.arange(CLASSES), 250)
    features = simplex(norm, dim)[labels] + np.tile(isotropic(dim, 250, spread), (CLASSES, 1))
    values = values_of(features, labels)
    assert values["cdnv"] == pytest.approx(2.025, rel=1e-5)  # d s^2 (K-1) / (2 K a^2)
    assert values["cdnv_max"] == pytest.approx(2.025, rel=1e-5)
    assert values["gnc2_log"] == pytest.approx(-0.5 * np.log(20 / 9), rel=1e-5)
    assert values["gnc2_inverse"] == pytest.approx(np.sqrt(9 / 20), rel=1e-5)


@pytest.mark.parametrize("classes", [2, 3, CLASSES])
def test_a_simplex_has_the_least_energy(classes):
    labels = np.repeat(np.arange(classes), 3)
    values = values_of(simplex(3.0, classes=classes)[labels], labels, classes)
    assert values["cdnv"] == 0
    for kernel in ("log", "inverse"):
        assert abs(values[f"gnc2_{kernel}_excess"]) < 1e-6
        assert values[f"gnc2_{kernel}_std"] < 1e-6


def test_more_classes_than_dimensions_plus_one():
    """K points on a circle: distances 2 sin(pi j / K), whose product over j is K."""
    angles = 2 * np.pi * np.arange(CLASSES) / CLASSES
    values = values_of(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.arange(CLASSES))
    assert values["gnc2_log"] == pytest.approx(-np.log(CLASSES) / (CLASSES - 1), rel=1e-5)
    assert values["gnc2_log_excess"] > 0.1


def test_labels_without_relation_to_the_features():
    rng = np.random.default_rng(5)
    labels = np.arange(1000) % CLASSES
    values = values_of(rng.normal(size=(1000, DIM)), rng.permutation(labels))
    assert values["cdnv"] == pytest.approx(50, rel=0.2)  # n_c / 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(-6, 6))
def test_scaling_rotation_shift_and_order_change_nothing(seed, exponent):
    rng = np.random.default_rng(seed)
    features, labels, _ = example(seed)
    base = values_of(features, labels)
    rotation = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    order, relabel = rng.permutation(len(labels)), rng.permutation(CLASSES)
    changed = 10**exponent * ((features + rng.normal(size=DIM)) @ rotation)
    assert_values(values_of(changed[order], relabel[labels][order]), base, rel=1e-3, abs=1e-4)
    assert min(base["gnc2_log_excess"], base["gnc2_inverse_excess"]) > -1e-6


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_tiny_variance_in_float32(offset):
    rng = np.random.default_rng(6)
    labels = np.arange(150) % CLASSES
    centres = np.abs(rng.normal(size=(CLASSES, DIM))) + offset
    features = (centres[labels] + 1e-5 * rng.normal(size=(150, DIM))).astype(np.float32)
    expected = plain(features, labels)
    assert expected["cdnv"] < 1e-9
    assert_values(values_of(features, labels), expected, rel=1e-4, abs=0)


def test_vmapped_equals_alone():
    runs = [snapshot_of(*example(seed)[:2]) for seed in range(3)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *runs)
    together = jax.jit(jax.vmap(geometry))(stacked)
    for i, run in enumerate(runs):
        assert_values({n: float(v[i]) for n, v in together.items()}, jax.tree.map(float, _geometry(run)), rel=1e-5)


def test_a_bad_run_leaves_the_others_alone():
    features, labels, _ = example(7)
    bad = features.copy()
    bad[3, 2] = np.nan
    stacked = jax.tree.map(lambda *a: jnp.stack(a), snapshot_of(features, labels), snapshot_of(bad, labels))
    together = jax.jit(jax.vmap(geometry))(stacked)
    assert all(np.isfinite(value[0]) and np.isnan(value[1]) for value in together.values())


def test_missing_class_is_left_out():
    features, labels, _ = example(8)
    labels = np.where(np.isin(labels, [0, 4]), 5, labels)
    assert_values(values_of(features, labels), plain(features, labels))


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (np.ones((20, 6)), np.arange(20) % 4),
        (np.zeros((20, 6)), np.arange(20) % 4),
        (np.random.default_rng(9).normal(size=(20, 6)), np.zeros(20, int)),
    ],
    ids=["constant", "zero", "one_class"],
)
def test_nothing_to_compare_is_nan(features, labels):
    assert all(np.isnan(value) for value in values_of(features, labels, 4).values())


def test_two_classes_in_one_place():
    features, labels = np.eye(4)[[0, 0, 1, 1, 1, 1]], np.array([0, 0, 1, 1, 2, 2])
    values = values_of(features, labels, 3)
    assert np.isnan(values["cdnv"])  # 0 / 0: both are points
    assert values["gnc2_log"] == values["gnc2_inverse"] == np.inf
    features[4, 3] += 1  # unequal means again, one class no longer a point
    assert np.isfinite(values_of(features, labels, 3)["cdnv"])
    features[5, 3] -= 1  # equal means, one class no point
    assert values_of(features, labels, 3)["cdnv"] == values_of(features, labels, 3)["cdnv_max"] == np.inf
