"""Documented values where the collapse measures meet missing classes, few features or bad numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from collapse_oracles import CLASSES, DIM, assert_values, example, measure, plain

from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.families.collapse import COLLAPSE, VARIABLES, collapse


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
    values = jax.jit(collapse)(Snapshot(Probe(half, jnp.asarray(labels)), num_classes=CLASSES))
    assert values["rnc1"].dtype == jnp.float32
    assert float(values["rnc1"]) == pytest.approx(plain(np.asarray(half, float), labels)["rnc1"], rel=1e-5)


def test_number_of_classes_is_needed():
    with pytest.raises(ValueError, match=r"snapshot\.num_classes: 0"):
        collapse(Snapshot(Probe(jnp.ones((4, 2)), jnp.zeros(4, int))))
