"""The collapse measures against closed forms and an independent implementation."""

import numpy as np
import pytest
from collapse_oracles import CLASSES, DIM, assert_values, example, isotropic, measure, plain, simplex
from sklearn.neighbors import NearestCentroid


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
    assert values["nc2_condition"] == np.inf  # centred means have rank K-1


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
