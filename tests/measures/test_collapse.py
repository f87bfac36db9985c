"""Collapse geometry against closed forms, reference numbers and a plain float64 re-implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.collapse import COLLAPSE, VARIABLES, collapse

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
        "nc1": within / between,
        "nc1_pinv": np.trace(covariance @ np.linalg.pinv(centred.T @ centred / k, rcond=1e-10)) / k,
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


def test_reference_vector():
    step = np.arange(360).reshape(60, 6)
    labels = np.arange(60) % 3
    features = np.maximum(np.sin(0.37 * step) + 2 * np.eye(6)[labels], 0)
    expected = {
        "within_class_variance": 1.1859900915795196,
        "between_class_variance": 1.8902778334369286,
        "nc1": 0.6274157503867984,  # with 1e-8 in its denominator: a relative difference of 5e-9
        "rnc1_mean_norm": 0.23638759255556008,
        "rnc1": 0.09841912039074499,
        "nc2_condition": 1.7260550891435562,
    }
    values = measure(features, labels, 3)
    assert_values(values, expected, rel=1e-6, abs=0)
    mean_norm = np.sqrt(values["within_class_variance"] / values["rnc1_mean_norm"])
    assert mean_norm == pytest.approx(2.239897739712677, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_equals_plain_float64(seed):
    features, labels, kernel = example(seed)
    other, other_labels, _ = example(seed + 100)
    values = measure(features, labels, CLASSES, test=(other, other_labels), kernel=kernel)
    assert_values(values, plain(features, labels, kernel))
    own = plain(other, other_labels, kernel)
    assert_values(values, {f"{name}_test": value for name, value in own.items()})


def test_around_train_means_equals_plain_float64():
    features, labels, kernel = example(5)
    other, other_labels, _ = example(6)
    values = measure(features, labels, CLASSES, test=(other, other_labels), kernel=kernel)
    means = np.stack([features[labels == c].astype(float).mean(0) for c in range(CLASSES)])
    within = np.mean([np.sum((g - means[y]) ** 2) for g, y in zip(other, other_labels, strict=True)])
    between = DIM * np.mean((means[other_labels] - means[other_labels].mean(0)) ** 2)
    norms = np.linalg.norm(other.astype(float), axis=1)
    expected = {
        "within_class_variance": within,
        "between_class_variance": between,
        "nc1": within / between,
        "rnc1": within / norms.max() ** 2,
        "rnc1_mean_norm": within / norms.mean() ** 2,
    }
    assert_values(values, {f"{name}_test_around_train": value for name, value in expected.items()})
    assert values["within_class_variance_test_around_train"] > 1.01 * values["within_class_variance_test"]


def test_simplex_frame():
    labels = np.repeat(np.arange(CLASSES), 15)
    frame = simplex(2.0)
    values = measure(frame[labels], labels, CLASSES, kernel=3 * frame.T)
    assert values["within_class_variance"] == 0
    assert values["nc1"] == values["rnc1"] == values["nc1_pinv"] == 0
    assert values["between_class_variance"] == pytest.approx(4, rel=1e-6)
    assert values["nc2_equinorm"] < 1e-6
    assert values["nc2_etf_error"] < 1e-6
    assert values["nc3_self_duality"] < 1e-6
    assert values["nc2_condition"] > 1e6  # centred means have rank K-1


def test_head_opposed_to_the_means_is_two():
    labels = np.repeat(np.arange(CLASSES), 15)
    frame = simplex(2.0)
    values = measure(frame[labels], labels, CLASSES, kernel=-frame.T)
    assert values["nc3_self_duality"] == pytest.approx(2, rel=1e-6)


def test_condition_number_of_frame_with_offset_and_of_orthonormal_means():
    labels = np.repeat(np.arange(CLASSES), 15)
    frame = simplex(2.0)
    normal = np.linalg.svd(frame)[2][-1]  # orthogonal to every row of the frame
    values = measure((frame + 1.5 * normal)[labels], labels, CLASSES, kernel=frame.T)
    assert values["nc2_condition"] == pytest.approx(2.25, rel=1e-5)
    assert values["nc2_etf_error"] < 1e-6
    orthonormal = np.linalg.qr(np.random.default_rng(3).normal(size=(DIM, DIM)))[0][:CLASSES]
    values = measure(7 * orthonormal[labels], labels, CLASSES, kernel=frame.T)
    assert values["nc2_condition"] == pytest.approx(1, rel=1e-5)
    assert values["nc2_etf_error"] < 1e-6


def test_isotropic_noise_around_frame():
    dim, spread, norm = 200, 0.3, 2.0
    noise = isotropic(dim, 250, spread)
    labels = np.repeat(np.arange(CLASSES), 250)
    features = simplex(norm, dim)[labels] + np.tile(noise, (CLASSES, 1))
    values = measure(features, labels, CLASSES)
    assert values["within_class_variance"] == pytest.approx(dim * spread**2, rel=1e-5)
    assert values["nc1"] == pytest.approx(4.5, rel=1e-5)
    assert values["nc1_pinv"] == pytest.approx(0.18225, rel=1e-5)


def test_invariances():
    features, labels, kernel = example(7)
    logits = features @ kernel
    base = measure(features, labels, CLASSES, kernel=kernel, logits=logits)
    rng = np.random.default_rng(8)
    rotation = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    order, relabel = rng.permutation(len(labels)), rng.permutation(CLASSES)
    changed = {
        "rotated": (features @ rotation, labels, rotation.T @ kernel, logits),
        "samples permuted": (features[order], labels[order], kernel, logits[order]),
        "classes renamed": (
            features,
            relabel[labels],
            kernel[:, np.argsort(relabel)],
            logits[:, np.argsort(relabel)],
        ),
    }
    for case in changed.values():
        values = measure(case[0], case[1], CLASSES, kernel=case[2], logits=case[3])
        assert_values(values, base, rel=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 300.0, 1e6])
def test_scaling_changes_variances_only(scale):
    features, labels, kernel = example(9)
    logits = features @ kernel
    base = measure(features, labels, CLASSES, kernel=kernel, logits=logits)
    values = measure(features * np.float32(scale), labels, CLASSES, kernel=kernel, logits=logits)
    for name in ("within_class_variance", "between_class_variance"):
        assert values.pop(name) == pytest.approx(base.pop(name) * scale**2, rel=1e-4, abs=0)
    assert_values(values, base, rel=1e-4)


def test_the_two_rnc1_differ_by_the_norms():
    features, labels, _ = example(10)
    values = measure(features, labels, CLASSES)
    norms = np.linalg.norm(features, axis=1)
    ratio = (norms.max() / norms.mean()) ** 2
    assert values["rnc1_mean_norm"] / values["rnc1"] == pytest.approx(ratio, rel=1e-5)
    assert 0 < values["rnc1"] <= 1


@pytest.mark.parametrize("log_rnc1", [-6, -9, -11, -13])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_tiny_variance_in_float32(log_rnc1, offset):
    rng = np.random.default_rng(11)
    labels = np.arange(150) % CLASSES
    centres = np.abs(rng.normal(size=(CLASSES, DIM))) + offset
    spread = 10 ** (log_rnc1 / 2) * np.linalg.norm(centres, axis=1).max() / np.sqrt(DIM)
    features = (centres[labels] + spread * rng.normal(size=(150, DIM))).astype(np.float32)
    expected = plain(features, labels)  # of the float32 features: rounding the input is not the measure's doing
    assert np.log10(expected["rnc1"]) == pytest.approx(log_rnc1, abs=1.1)
    values = measure(features, labels, CLASSES)
    for name in ("within_class_variance", "rnc1", "rnc1_mean_norm", "nc1", "nc1_pinv"):
        assert values[name] == pytest.approx(expected[name], rel=1e-5, abs=0)


def test_many_samples_keep_their_digits():
    rng = np.random.default_rng(12)
    labels = np.arange(20_000) % 2
    features = (5 + labels[:, None] + 1e-3 * rng.normal(size=(20_000, 4))).astype(np.float32)
    values = measure(features, labels, 2)
    wide = features.astype(np.float64)
    within = sum(wide[labels == c].var(axis=0).sum() for c in (0, 1)) / 2
    assert values["within_class_variance"] == pytest.approx(within, rel=1e-5, abs=0)


def test_nearest_centre_agreement_equals_sklearn():
    features, labels, kernel = example(13)
    other, other_labels, _ = example(14)
    logits, other_logits = features @ kernel, 0.3 * other @ kernel
    other_logits[np.arange(len(other)), other_labels] += 5
    values = measure(
        features, labels, CLASSES, (other, other_labels), kernel, logits=logits, test_logits=other_logits
    )

    def agreement(centre_features, centre_labels, features, logits):
        nearest = NearestCentroid().fit(centre_features, centre_labels).predict(features)
        return np.mean(nearest == logits.argmax(1))

    expected = {
        "nc4_agreement": agreement(features, labels, features, logits),
        "nc4_agreement_test": agreement(other, other_labels, other, other_logits),
        "nc4_agreement_test_around_train": agreement(features, labels, other, other_logits),
    }
    assert len({round(value, 3) for value in expected.values()}) == 3
    assert_values(values, expected)


def test_nearest_centre_survives_a_large_common_offset():
    labels = np.repeat(np.arange(CLASSES), 15)
    features = simplex(0.01)[labels] + 1000  # |g|^2 is 10^11 times the squared distances
    values = measure(features, labels, CLASSES, logits=np.eye(CLASSES)[labels])
    assert values["nc4_agreement"] == 1


def test_missing_class_is_left_out():
    features, labels, kernel = example(15)
    labels = np.where(np.isin(labels, [0, 4]), 5, labels)
    logits = features @ kernel + np.where(np.isin(np.arange(CLASSES), [0, 4]), 50, 0)
    values = measure(features, labels, CLASSES, kernel=kernel, logits=logits)
    assert_values(values, plain(features, labels, kernel))
    assert values["nc4_agreement"] == 0  # the network predicts only classes that have no centre


def test_test_class_without_train_mean_is_left_out_of_the_variances():
    features, labels, _ = example(16)
    other, other_labels, _ = example(17)
    labels = np.where(labels == 3, 4, labels)
    values = measure(features, labels, CLASSES, test=(other, other_labels))
    known, known_labels = other[other_labels != 3].astype(float), other_labels[other_labels != 3]
    means = np.stack([features[labels == (4 if c == 3 else c)].astype(float).mean(0) for c in range(CLASSES)])
    within = np.sum((known - means[known_labels]) ** 2) / len(known)
    between = DIM * means[known_labels].var(axis=0).mean()
    assert values["within_class_variance_test_around_train"] == pytest.approx(within, rel=1e-5)
    assert values["between_class_variance_test_around_train"] == pytest.approx(between, rel=1e-5)
    sup = np.linalg.norm(other.astype(float), axis=1).max()
    assert values["rnc1_test_around_train"] == pytest.approx(within / sup**2, rel=1e-5)


@pytest.mark.parametrize("dim", [3, 9])
def test_fewer_features_than_classes(dim):
    features, labels, kernel = example(18)
    features, kernel = features[:, :dim], kernel[:dim]
    values = measure(features, labels, CLASSES, kernel=kernel)
    expected = plain(features, labels, kernel)
    expected["nc2_condition"] = np.inf
    assert_values(values, expected)


def test_two_classes_with_one_mean_leave_the_pseudo_inverse_finite():
    features, _, kernel = example(27)
    labels = np.arange(150) % CLASSES
    features[labels == 9] = features[labels == 8]
    values = measure(features, labels, CLASSES, kernel=kernel)
    expected = plain(features, labels, kernel)
    assert values["nc2_condition"] > 1e6
    expected.pop("nc2_condition")
    assert_values(values, expected)


def test_one_class_only():
    features, _, kernel = example(19)
    values = measure(features, np.zeros(len(features), int), CLASSES, kernel=kernel)
    assert values["rnc1"] > 0
    assert values["between_class_variance"] == 0
    assert values["nc1"] == np.inf
    assert values["nc2_condition"] == 1
    for name in ("nc1_pinv", "nc2_equinorm", "nc2_etf_error", "nc3_self_duality"):
        assert np.isnan(values[name])


def test_identical_features():
    _, labels, kernel = example(20)
    point = np.random.default_rng(21).normal(size=DIM)
    values = measure(np.tile(point, (len(labels), 1)), labels, CLASSES, kernel=kernel)
    for name in ("within_class_variance", "between_class_variance", "rnc1", "rnc1_mean_norm"):
        assert values[name] == 0
    for name in ("nc1", "nc1_pinv", "nc2_equinorm", "nc2_etf_error", "nc3_self_duality"):
        assert np.isnan(values[name])
    assert values["nc2_condition"] > 1e6


def test_zero_features():
    _, labels, kernel = example(22)
    values = measure(np.zeros((len(labels), DIM)), labels, CLASSES, kernel=kernel)
    assert values["within_class_variance"] == 0
    for name in set(values) - {"within_class_variance", "between_class_variance", "nc4_agreement"}:
        assert np.isnan(values[name])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_diverged_features_are_nan(bad):
    features, labels, kernel = example(23)
    broken = features.copy()
    broken[17, 2] = bad
    values = measure(
        features,
        labels,
        CLASSES,
        (broken, labels),
        kernel,
        logits=features @ kernel,
        test_logits=features @ kernel,
    )
    for name, value in values.items():
        reads_bad = "_test" in name and name != "between_class_variance_test_around_train"
        assert np.isnan(value) == reads_bad, name


def test_nan_logits_reach_nc4_only():
    features, labels, kernel = example(24)
    logits = features @ kernel
    logits[3, 3] = np.nan
    values = measure(features, labels, CLASSES, kernel=kernel, logits=logits)
    assert [name for name, value in values.items() if np.isnan(value)] == ["nc4_agreement"]


def test_variables_follow_what_is_given():
    features, labels, kernel = example(25)
    logits = features @ kernel
    full = measure(features, labels, CLASSES, (features, labels), kernel, logits, logits)
    assert set(full) == set(VARIABLES) == set(COLLAPSE.variables)
    bare = jax.eval_shape(collapse, Snapshot(Probe(features, labels), num_classes=CLASSES))
    assert set(bare) == {name for name in VARIABLES if "_test" not in name and not name.startswith(("nc3", "nc4"))}
    for name, variable in VARIABLES.items():
        assert variable.units == ("feature^2" if "variance" in name else "1")
        assert len({text for text in variable.attrs().values() if text}) == 3
    assert len({variable.definition for variable in VARIABLES.values()}) == len(VARIABLES)


def test_batched_runs_equal_single_runs():
    runs = [example(seed, scale=10.0**seed) for seed in range(3)]
    runs[1][0][0, 0] = np.nan  # a diverged run between two healthy ones
    single = [measure(*run[:2], CLASSES, kernel=run[2]) for run in runs]
    features, labels, kernel = (jnp.stack([run[i] for run in runs]) for i in range(3))
    batch = Snapshot(Probe(features, labels), head_kernel=kernel, num_classes=CLASSES)
    for batched in (jax.jit(jax.vmap(collapse))(batch), jax.lax.map(collapse, batch)):
        for run in range(3):
            values = {name: float(value[run]) for name, value in batched.items()}
            single[run].pop("nc4_agreement", None)
            assert values == pytest.approx(single[run], rel=1e-5, nan_ok=True)
            assert np.isnan(values["nc2_condition"]) == (run == 1)


def test_half_precision_features_are_summed_in_float32():
    features, labels, _ = example(26)
    half = jnp.asarray(features, jnp.bfloat16)
    values = _collapse(Snapshot(Probe(half, jnp.asarray(labels)), num_classes=CLASSES))
    assert values["rnc1"].dtype == jnp.float32
    assert float(values["rnc1"]) == pytest.approx(plain(np.asarray(half, float), labels)["rnc1"], rel=1e-5)


def test_number_of_classes_is_needed():
    with pytest.raises(ValueError, match=r"snapshot\.num_classes: 0"):
        collapse(Snapshot(Probe(jnp.ones((4, 2)), jnp.zeros(4, int))))
