"""The spectral measures against closed forms, scipy, and documented limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from collapse_oracles import assert_values, simplex
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse_jax import measure_arrays
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.spectrum import VARIABLES, spectrum

_spectrum = jax.jit(spectrum)


def snapshot_of(features):
    features = jnp.asarray(features, jnp.float32)
    return Snapshot(Probe(features, jnp.zeros(len(features), jnp.int32)), num_classes=1)


def values_of(features):
    return {name: float(value) for name, value in _spectrum(snapshot_of(features)).items()}


def with_spectrum(singular_values, rows=60, seed=0):
    """Centred features [rows, len(singular_values)] with these singular values, in random directions."""
    rng = np.random.default_rng(seed)
    dim = len(singular_values)
    left = np.linalg.qr(np.column_stack([np.ones(rows), rng.normal(size=(rows, dim))]))[0][:, 1:]
    return left * np.asarray(singular_values) @ np.linalg.qr(rng.normal(size=(dim, dim)))[0]


def test_equal_eigenvalues():
    values = values_of(with_spectrum(np.ones(12)))
    expected = {
        "spectral_entropy": np.log(12),
        "spectral_entropy_normalised": 1,
        "effective_rank": 12,
        "participation_ratio": 12,
        "stable_rank": 12,
    }
    assert_values(values, expected)


def test_rank_one():
    values = values_of(with_spectrum([5.0] + [0] * 11) + 3)
    assert values["spectral_entropy"] < 1e-5
    for name in ("effective_rank", "participation_ratio", "stable_rank"):
        assert values[name] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("ratio", [0.5, 0.9])
def test_geometric_spectrum(ratio):
    """p_i = (1-r) r^i / (1 - r^n): H = -log((1-r)/(1-r^n)) - log r (r/(1-r) - n r^n/(1-r^n))."""

    def entropy(r, n):
        return -np.log((1 - r) / (1 - r**n)) - np.log(r) * (r / (1 - r) - n * r**n / (1 - r**n))

    n = 12
    values = values_of(with_spectrum(ratio ** (np.arange(n) / 2)))
    total = (1 - ratio**n) / (1 - ratio)
    expected = {
        "spectral_entropy": entropy(ratio, n),
        "spectral_entropy_normalised": entropy(ratio, n) / np.log(n),
        "effective_rank": np.exp(entropy(ratio**0.5, n)),
        "participation_ratio": total**2 * (1 - ratio**2) / (1 - ratio ** (2 * n)),
        "stable_rank": total,
    }
    assert_values(values, expected)


@pytest.mark.parametrize("shape", [(50, 12), (12, 50)])
def test_equals_scipy_in_float64(shape):
    features = np.random.default_rng(1).gamma(1, size=shape).astype(np.float32)
    singular = np.linalg.svd(features - features.astype(np.float64).mean(0), compute_uv=False)
    singular = singular[: min(shape[0] - 1, shape[1])]
    eigenvalues = singular**2
    expected = {
        "spectral_entropy": scipy.stats.entropy(eigenvalues),
        "effective_rank": np.exp(scipy.stats.entropy(singular)),
        "participation_ratio": eigenvalues.sum() ** 2 / (eigenvalues**2).sum(),
        "stable_rank": eigenvalues.sum() / eigenvalues.max(),
    }
    assert_values(values_of(features), expected, rel=1e-4)


@pytest.mark.parametrize("spread", [0.0, 1e-4])
def test_collapsed_classes_use_one_direction_less_than_there_are_classes(spread):
    labels = np.arange(600) % 10
    noise = spread * np.random.default_rng(2).normal(size=(600, 200))
    values = values_of(simplex(2.0, dim=200)[labels] + noise + 5)
    assert values["spectral_entropy"] == pytest.approx(np.log(9), rel=1e-4)
    assert values["participation_ratio"] == pytest.approx(9, rel=1e-4)
    assert values["stable_rank"] == pytest.approx(9, rel=1e-3)
    assert values["effective_rank"] == pytest.approx(9, abs=0.01 if spread == 0 else 1)


def test_isotropic_noise_has_the_participation_ratio_of_its_sample_size():
    values = values_of(np.random.default_rng(3).normal(size=(300, 100)))
    assert values["participation_ratio"] == pytest.approx(300 * 100 / 401, rel=0.02)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(-17, 17))
def test_scaling_rotation_shift_and_order_change_nothing(seed, exponent):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(60, 12)) * rng.gamma(1, size=12)
    changed = 10**exponent * (rng.permutation(features) @ np.linalg.qr(rng.normal(size=(12, 12)))[0] + 1)
    assert_values(values_of(changed), values_of(features), rel=1e-3)


def test_train_and_test_have_their_own():
    first, second = with_spectrum(np.ones(12)), with_spectrum(0.8 ** np.arange(12), seed=1)
    labels = np.zeros(60, int)
    values = measure_arrays(
        "spectrum", train_features=first, train_labels=labels, test_features=second, test_labels=labels
    )
    assert list(values) == list(VARIABLES)
    assert_values(values, values_of(first))
    assert_values(values, {f"{name}_test": value for name, value in values_of(second).items()})


@pytest.mark.parametrize("fill", [0.0, 1.7, np.nan, np.inf])
def test_nothing_to_decompose_is_nan(fill):
    assert all(np.isnan(value) for value in values_of(np.full((60, 12), fill)).values())
    assert all(np.isnan(value) for value in values_of(np.full((1, 12), fill)).values())


def test_vmapped_equals_alone_beside_a_bad_run():
    good, bad = with_spectrum(0.9 ** np.arange(12)), with_spectrum(np.ones(12))
    bad[5, 5] = np.nan
    stacked = jax.tree.map(lambda *a: jnp.stack(a), snapshot_of(good), snapshot_of(bad))
    together = jax.jit(jax.vmap(spectrum))(stacked)
    assert_values({name: float(value[0]) for name, value in together.items()}, values_of(good), rel=1e-4)
    assert all(np.isnan(value[1]) for value in together.values())


def test_one_column():
    values = values_of(np.arange(5.0)[:, None])
    assert np.isnan(values.pop("spectral_entropy_normalised"))
    assert values == {"spectral_entropy": 0, "effective_rank": 1, "participation_ratio": 1, "stable_rank": 1}
