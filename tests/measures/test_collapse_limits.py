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
    expected = plain(features, labels, kernel) | {"nc2_condition": np.inf, "class_mean_rank": CLASSES - 2}
    assert_values(values, expected)


@pytest.mark.parametrize("scale", [1e-4, 1, 1e5])
def test_dependent_means_have_an_infinite_condition_number(rng, scale):
    """Ten means of rank 7: what is left in the eighth direction is rounding, not a condition number of 10^8."""
    means = rng.normal(size=(CLASSES, 7)) @ rng.normal(size=(7, DIM))
    labels = np.arange(150) % CLASSES
    values = measure(scale * means[labels], labels, CLASSES)
    assert values["nc2_condition"] == np.inf
    assert values["class_mean_rank"] == 7
    independent = 10.0 ** -np.linspace(0, 4, CLASSES)[:, None] * np.eye(CLASSES, DIM)
    assert measure(scale * independent[labels], labels, CLASSES)["nc2_condition"] == pytest.approx(1e4, rel=1e-3)


@pytest.mark.parametrize(("far", "rank"), [(1e3, 2), (1e7, 1)])
def test_a_direction_of_the_means_that_float32_does_not_resolve(rng, far, rank):
    """Two near means and a far one: the pseudo-inverse reads both directions, or its rank says that it does not."""
    labels = np.arange(300) % 3
    features = np.array([[0, 0], [0, 1], [far, 0]])[labels] + 0.1 * rng.normal(size=(300, 2))
    values = measure(features, labels, 3)
    assert values["class_mean_rank"] == rank
    if rank == 2:
        assert values["nc1_pinv"] == pytest.approx(plain(features.astype(np.float32), labels)["nc1_pinv"], rel=1e-3)


def test_one_row_moves_rnc1_and_hardly_its_quantile_variant():
    features, labels, _ = example(28)
    larger = features.copy()
    larger[np.linalg.norm(features, axis=1).argmax()] *= 3
    before, after = measure(features, labels, CLASSES), measure(larger, labels, CLASSES)
    # The row moves the numerator too, alike in both.
    moved = after["within_class_variance"] / before["within_class_variance"]
    assert after["rnc1"] / before["rnc1"] == pytest.approx(moved / 9, rel=1e-4)
    assert after["rnc1_q95"] / before["rnc1_q95"] == pytest.approx(moved, rel=1e-4)


def test_one_class_only():
    features, _, kernel = example(19)
    values = measure(features, np.zeros(len(features), int), CLASSES, kernel=kernel)
    assert values["rnc1"] > 0
    assert values["between_class_variance"] == 0
    assert values["nc1"] == np.inf
    for name in ("nc2_condition", "nc1_pinv", "nc2_equinorm", "nc2_etf_error", "nc3_self_duality"):
        assert np.isnan(values[name])


def test_identical_features():
    _, labels, kernel = example(20)
    point = np.random.default_rng(21).normal(size=DIM)
    values = measure(np.tile(point, (len(labels), 1)), labels, CLASSES, kernel=kernel)
    zero = ("within_class_variance", "between_class_variance", "rnc1", "rnc1_mean_norm", "rnc1_q95")
    for name in (*zero, "class_mean_rank"):
        assert values[name] == 0
    for name in ("nc1", "nc1_pinv", "nc2_equinorm", "nc2_etf_error", "nc3_self_duality"):
        assert np.isnan(values[name])
    assert values["nc2_condition"] == np.inf


def test_zero_features():
    _, labels, kernel = example(22)
    values = measure(np.zeros((len(labels), DIM)), labels, CLASSES, kernel=kernel)
    assert values["within_class_variance"] == 0
    defined = {"within_class_variance", "between_class_variance", "nc4_agreement", "class_mean_rank"}
    for name in set(values) - defined:
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
