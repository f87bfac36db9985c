"""Collapse under permuted labels: expectations in closed form, p-values where labels mean something or nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures import measure_arrays
from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.families.label_nulls import LABEL_NULLS, LAYER_LABEL_NULLS, label_nulls

CLASSES, COUNT, DIM = 5, 200, 12
LABELS = np.arange(COUNT) % CLASSES


def arrays(separation, rng):
    centres = separation * rng.normal(size=(CLASSES, DIM))
    train, test = centres[LABELS] + rng.normal(size=(2, COUNT, DIM)) + 1
    return {
        "train_features": train,
        "train_labels": LABELS,
        "test_features": test,
        "test_labels": LABELS,
        "head_kernel": centres.T + 0.1 * rng.normal(size=(DIM, CLASSES)),
    }


def test_classes_that_mean_something_are_far_from_the_null(rng):
    given = arrays(3, rng)
    values = measure_arrays("label_nulls", **given)
    assert list(values) == [name for name in LABEL_NULLS.variables if name in values]
    # Expectations over permutations: the class means take (K - 1) / (N - 1) of the variance, whatever the features.
    features = given["train_features"]
    total = np.mean(np.sum((features - features.mean(0)) ** 2, axis=1))
    rnc1 = total * (COUNT - CLASSES) / (COUNT - 1) / np.max(np.sum(features**2, axis=1))
    assert values["rnc1_null"] == pytest.approx(rnc1, abs=4 * values["rnc1_null_sd"])
    expected = {"nc1": (COUNT - CLASSES) / (CLASSES - 1), "nc4_agreement_test": 0.2}
    for name, value in expected.items():
        assert values[f"{name}_null"] == pytest.approx(value, rel=0.35), name
    assert values["cdnv_null"] > 0.6 * COUNT / CLASSES / 2
    for name in ("rnc1", "rnc1_test", "nc1", "nc1_pinv", "nc3_self_duality", "cdnv_max_test"):
        assert values[f"{name}_p"] < 1e-4, name
    # Means of permuted classes lie anywhere, so what they agree on by chance varies more: 1 is some 4 spreads away.
    assert values["nc4_agreement_p"] < 0.05


def test_labels_that_mean_nothing_have_uniform_p_values(rng):
    features = jnp.asarray(rng.normal(size=(40, 60, 4)), jnp.float32)

    @jax.jit
    def chances(features):
        def one(features):
            probe = Probe(features, jnp.arange(60) % 3, logits=features[:, :3])
            return label_nulls(Snapshot(probe, num_classes=3))

        return jax.lax.map(one, features)

    values = chances(features)
    for name in ("rnc1", "nc1", "nc2_etf_error", "cdnv", "nc4_agreement"):
        p = np.asarray(values[f"{name}_p"])
        assert np.mean(p) == pytest.approx(0.5, abs=0.24), name
        # Not the smallest: the far tail of a skewed null is heavier than that of the t distribution.
        assert np.mean(p < 0.01) <= 0.15, name


def test_the_null_is_the_measure_with_permuted_labels(rng):
    """RNC1 with few rows: the null lies among the values of all of their partitions."""
    features = rng.normal(size=(6, 3))
    every = []
    for rows in ([0, a, b] for a in range(1, 6) for b in range(a + 1, 6)):
        halves = [np.isin(np.arange(6), rows), ~np.isin(np.arange(6), rows)]
        within = sum(np.sum((features[half] - features[half].mean(0)) ** 2) for half in halves) / 6
        every.append(within / np.max(np.sum(features**2, axis=1)))
    values = measure_arrays(
        "label_nulls", train_features=features, train_labels=[0, 0, 0, 1, 1, 1], permutations=400
    )
    assert values["rnc1_null"] == pytest.approx(np.mean(every), abs=5 * np.std(every) / 20)
    assert values["rnc1_null_sd"] == pytest.approx(np.std(every), rel=0.3)


def test_every_layer_has_its_null(rng):
    given = arrays(3, rng)
    noise = rng.normal(size=(COUNT, DIM))
    layers = [noise, given["train_features"]]
    del given["test_features"], given["test_labels"]
    values = measure_arrays("layer_label_nulls", **given, train_layers=layers)
    assert set(values) <= set(LAYER_LABEL_NULLS.variables)
    assert values["layer_rnc1_p"].shape == (2,)
    for name in ("layer_rnc1_p", "layer_nc1_p", "layer_centre_accuracy_p"):
        assert values[name][0] > 1e-5 > values[name][1], name
    alone = measure_arrays("label_nulls", **given)
    assert values["layer_rnc1_null"][1] == pytest.approx(alone["rnc1_null"], rel=1e-4)
    with pytest.raises(ValueError, match="permutations=0: must be an integer of at least 1"):
        measure_arrays("label_nulls", **given, permutations=0)
