"""NC5 and NECO against sklearn, closed forms, and documented limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from collapse_oracles import CLASSES, DIM, assert_values, example
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from collapse_jax import measure_arrays
from collapse_jax.measures.estimators.class_geometry import principal_axes
from collapse_jax.measures.families.ood import VARIABLES, auroc, false_positive_rate

_COMPARED = ("nc5_orthogonality", "neco_auroc", "neco_fpr95")
NULLS = tuple(f"{name}_{kind}" for name in _COMPARED for kind in ("null", "p"))


def arrays(seed=0):
    train, labels, _ = example(seed)
    test, test_labels, _ = example(seed + 50, n=120)
    foreign = np.abs(np.random.default_rng(seed).normal(size=(90, DIM))).astype(np.float32)
    return {
        "train_features": train,
        "train_labels": labels,
        "test_features": test,
        "test_labels": test_labels,
        "ood_features": foreign,
    }


def cosine(a, b):
    return abs(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b))


@pytest.mark.parametrize("scaling", ["none", "standard"])
def test_equals_sklearn(scaling):
    given = {name: np.asarray(value, np.float64) for name, value in arrays().items()}
    given = given | {name: given[name].astype(int) for name in ("train_labels", "test_labels")}
    train, test, foreign = given["train_features"], given["test_features"], given["ood_features"]
    means = [train[given["train_labels"] == c].mean(0) for c in range(CLASSES)]
    expected = {
        "nc5_orthogonality": np.mean([cosine(mean, foreign.mean(0)) for mean in means]),
        "nc5_orthogonality_test": np.mean([cosine(mean, test.mean(0)) for mean in means]),
    }
    if scaling == "standard":
        scaler = StandardScaler().fit(train)
        train, test, foreign = (scaler.transform(x) for x in (train, test, foreign))
    axes = PCA(CLASSES - 1).fit(train).components_
    inside, outside = (np.linalg.norm(x @ axes.T, axis=1) / np.linalg.norm(x, axis=1) for x in (test, foreign))
    threshold = next(s for s in sorted(inside, reverse=True) if np.mean(inside >= s) >= 0.95)
    expected |= {
        "neco": inside.mean(),
        "neco_ood": outside.mean(),
        "neco_auroc": roc_auc_score(np.r_[np.ones(len(inside)), np.zeros(len(outside))], np.r_[inside, outside]),
        "neco_fpr95": np.mean(outside >= threshold),
    }
    values = measure_arrays("ood", **given, scaling=scaling)
    assert list(values) == list(VARIABLES)
    assert_values({name: values[name] for name in expected}, expected, rel=1e-4)


def test_the_axes_are_the_principal_subspace():
    train = arrays(1)["train_features"]
    _, axes = principal_axes(jnp.asarray(train))
    expected = PCA(5).fit(train.astype(np.float64)).components_
    assert scipy.linalg.subspace_angles(np.asarray(axes[:5], np.float64).T, expected.T).max() < 1e-3


def test_orthogonal_classes_and_a_foreign_direction():
    """Means a e_c, foreign features along e_K: NC5 0, NECO 0 outside and sqrt(1 - 1/K) inside, all told apart."""
    labels = np.arange(40) % CLASSES
    basis = np.eye(DIM)
    foreign = 3 * np.tile(basis[CLASSES], (7, 1))
    values = measure_arrays("ood", train_features=2 * basis[labels], train_labels=labels, ood_features=foreign)
    expected = {
        "nc5_orthogonality": 0,
        "neco": np.sqrt(1 - 1 / CLASSES),
        "neco_ood": 0,
        "neco_auroc": 1,
        "neco_fpr95": 0,
    }
    # No test features: the train features are inside.
    assert expected.keys() == {name for name in values if not name.startswith(NULLS)}
    assert_values({name: values[name] for name in expected}, expected)


def test_no_number_of_rows_takes_a_direction(rng):
    """NECO of 20,000 train rows whose directions, after the first, are 1e-3 as wide."""
    train = rng.normal(size=(20_000, CLASSES + 2)) * np.r_[1, np.full(CLASSES - 2, 1e-3), np.full(3, 1e-6)]
    foreign = rng.normal(size=(200, CLASSES + 2))
    labels = np.arange(20_000) % CLASSES
    axes = np.linalg.svd(train - train.mean(0), full_matrices=False)[2][: CLASSES - 1]
    expected = np.mean(np.linalg.norm(foreign @ axes.T, axis=1) / np.linalg.norm(foreign, axis=1))
    given = {"train_features": train.astype(np.float32), "ood_features": foreign.astype(np.float32)}
    values = measure_arrays("ood", train_labels=labels, **given)
    assert values["neco_ood"] == pytest.approx(expected, rel=1e-3)
    assert expected > 0.8  # 0.24 with the first direction alone


def test_the_same_features_outside_are_not_told_apart():
    given = arrays(2)
    given["ood_features"] = given["test_features"]
    values = measure_arrays("ood", **given)
    assert values["neco_auroc"] == pytest.approx(0.5, abs=1e-6)
    assert values["neco_fpr95"] == pytest.approx(0.95, abs=0.01)
    assert values["nc5_orthogonality"] == values["nc5_orthogonality_test"]


def test_scale_and_rotation_change_nothing():
    given = arrays(3)
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(DIM, DIM)))[0]
    changed = {n: 1e-3 * v @ rotation if n.endswith("features") else v for n, v in given.items()}
    assert_values(measure_arrays("ood", **changed), measure_arrays("ood", **given), rel=1e-3)


def test_ties_and_small_samples():
    inside, outside = jnp.array([1.0, 2.0, 2.0, 3.0]), jnp.array([2.0, 0.0])
    labels = [1] * 4 + [0] * 2
    assert auroc(inside, outside) == roc_auc_score(labels, np.r_[inside, outside])
    assert false_positive_rate(inside, outside, 0.95) == 0.5  # all four reach 1, so does the 2
    assert false_positive_rate(inside[:1], outside, 0.95) == 0.5
    assert np.isnan(auroc(inside.at[0].set(jnp.nan), outside))


def test_limits():
    given = arrays(5)
    repeated = np.tile(given["ood_features"][:1], (90, 1))
    before = measure_arrays("ood", **given | {"ood_features": repeated})
    repeated[:9] = 0
    after = measure_arrays("ood", **given | {"ood_features": repeated})
    assert after["neco_ood"] == pytest.approx(before["neco_ood"] * 0.9, rel=1e-5)
    constant = measure_arrays("ood", **given | {"train_features": np.ones((150, DIM))})
    assert all(np.isnan(value) for name, value in constant.items() if name.startswith("neco"))
    assert constant["nc5_orthogonality"] > 0
    all_directions = measure_arrays("ood", **given, directions=10_000)
    assert all_directions["neco"] == pytest.approx(1, rel=1e-5)
    zero = measure_arrays("ood", **given | {"ood_features": np.zeros((90, DIM))})
    assert np.isnan(zero["nc5_orthogonality"])
    assert zero["neco_ood"] == 0
    bad = given["ood_features"].copy()
    bad[0, 0] = np.nan
    values = measure_arrays("ood", **given | {"ood_features": bad})
    affected = ("nc5_orthogonality", "neco_ood", "neco_auroc", "neco_fpr95")
    assert {name for name, value in values.items() if np.isnan(value) and not name.startswith(NULLS)} == set(
        affected
    )
    assert all(np.isnan(value) for name, value in values.items() if name.startswith(NULLS))


def test_missing_class_is_left_out_of_nc5():
    given = arrays(6)
    labels = np.where(given["train_labels"] == 9, 8, given["train_labels"])
    values = measure_arrays("ood", **given | {"train_labels": labels})
    features, foreign = given["train_features"], given["ood_features"].mean(0)
    expected = np.mean([cosine(features[labels == c].mean(0), foreign) for c in range(9)])
    assert values["nc5_orthogonality"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ood_features": None}, "measures='ood': needs 'ood'; give ood_features"),
        ({"ood_features": np.ones((3, 2))}, "ood_features: shape"),
        ({"directions": 0}, "directions=0"),
        ({"scaling": "some"}, "scaling='some'"),
    ],
)
def test_errors_name_the_argument(change, message):
    with pytest.raises(ValueError, match=message) as error:
        measure_arrays("ood", **arrays() | change)
    assert "\n" not in str(error.value)


def test_vmapped_equals_alone():
    from collapse_jax.measures.array_inputs import read_snapshot
    from collapse_jax.measures.families.ood import ood

    runs = [read_snapshot(**arrays(seed), head_kernel=None, head_bias=None, inputs=None) for seed in (7, 8)]
    together = jax.jit(jax.vmap(ood))(jax.tree.map(lambda *a: jnp.stack(a), *runs))
    for i, seed in enumerate((7, 8)):
        assert_values(
            {n: float(v[i]) for n, v in together.items()}, measure_arrays("ood", **arrays(seed)), rel=1e-4
        )


def test_null_of_nc5_permutes_the_labels(rng):
    """By numpy; foreign inputs beside half of the classes, which permuted labels do not know of."""
    labels = np.arange(200) % CLASSES
    train = np.eye(DIM)[labels] + 0.05 * rng.normal(size=(200, DIM))
    foreign = 0.05 * rng.normal(size=(50, DIM)) + np.where(np.arange(DIM) < CLASSES // 2, 1, -1) * (
        np.arange(DIM) < CLASSES
    )
    values = measure_arrays("ood", train_features=train, train_labels=labels, ood_features=foreign)

    def nc5(labels):
        return np.mean([cosine(train[labels == c].mean(0), foreign.mean(0)) for c in range(CLASSES)])

    draws = np.array([nc5(rng.permutation(labels)) for _ in range(200)])
    assert values["nc5_orthogonality"] == pytest.approx(nc5(labels), rel=1e-3)
    spread = draws.std(ddof=1)
    assert values["nc5_orthogonality_null"] == pytest.approx(draws.mean(), abs=5 * spread / np.sqrt(20))
    assert values["nc5_orthogonality_null_sd"] == pytest.approx(spread, rel=0.8)
    # Small is evidence: these classes are further from orthogonal than any partition, those of no meaning are not.
    assert values["nc5_orthogonality_p"] > 0.9
    meaningless = measure_arrays(
        "ood", train_features=train, train_labels=rng.permutation(labels), ood_features=foreign
    )
    assert 1e-4 < meaningless["nc5_orthogonality_p"] < 1 - 1e-4


def test_null_permutes_what_is_inside(rng):
    """Mann and Whitney's mean and variance of the area; a p-value where both kinds are the same and are not."""
    given = arrays()
    values = measure_arrays("ood", **given, permutations=200)
    inside, outside = len(given["test_features"]), len(given["ood_features"])
    spread = np.sqrt((inside + outside + 1) / (12 * inside * outside))
    assert values["neco_auroc_null"] == pytest.approx(0.5, abs=5 * spread / np.sqrt(200))
    assert values["neco_auroc_null_sd"] == pytest.approx(spread, rel=0.3)
    assert values["neco_fpr95_null"] == pytest.approx(0.95, abs=0.02)
    same = rng.permutation(given["test_features"])
    half = measure_arrays(
        "ood",
        **given | {"test_features": same[:60], "test_labels": given["test_labels"][:60], "ood_features": same[60:]},
    )
    assert half["neco_auroc_p"] > 1e-4
    far = np.eye(DIM)[-1] + 0 * given["ood_features"]
    apart = measure_arrays("ood", **given | {"ood_features": far})
    assert apart["neco_auroc_p"] < 1e-4
