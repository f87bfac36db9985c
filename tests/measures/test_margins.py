"""Margins against numpy loops, the geometry of the boundary, and documented limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from collapse_oracles import CLASSES, DIM, example

from collapse_jax import measure_arrays
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.margins import MARGINS, PAIRS, QUANTILES, VARIABLES, margins, pair_margins

BIAS = np.random.default_rng(0).normal(size=CLASSES).astype(np.float32)


def plain(features, labels, kernel, bias, pairs=PAIRS):
    features, kernel, bias = (np.asarray(x, np.float64) for x in (features, kernel, bias))
    result = {"margin_quantiles": [], "margin_error": [], "margin_min": []}
    for a, b in pairs:
        normal = kernel[:, a] - kernel[:, b]
        m = np.array([(normal @ g + bias[a] - bias[b]) / np.linalg.norm(normal) for g in features])
        first, second = m[labels == a], m[labels == b]
        result["margin_quantiles"].append([np.quantile(first, QUANTILES), np.quantile(second, QUANTILES)])
        result["margin_error"].append([np.mean(first <= 0), np.mean(second >= 0)])
        result["margin_min"].append(min(first.min(), -second.max()))
    nearest = []
    for g, y in zip(features, labels, strict=True):
        f = g @ kernel + bias
        others = [k for k in range(len(bias)) if k != y]
        nearest.append(min((f[y] - f[k]) / np.linalg.norm(kernel[:, y] - kernel[:, k]) for k in others))
    return result | {
        "nearest_margin_min": np.min(nearest),
        "nearest_margin_median": np.median(nearest),
        "largest_norm": np.linalg.norm(features, axis=1).max(),
    }


def values_of(features, labels, kernel, bias=BIAS, **more):
    return measure_arrays(
        "margins", train_features=features, train_labels=labels, head_kernel=kernel, head_bias=bias, **more
    )


def assert_equal(values, expected, rtol=1e-4):
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=rtol, atol=1e-5, err_msg=name)


def test_equals_plain_float64():
    features, labels, kernel = example(0)
    other, other_labels, _ = example(1, n=110)
    values = values_of(features, labels, kernel, test_features=other, test_labels=other_labels)
    assert list(values) == list(VARIABLES)
    assert values["margin_quantiles"].shape == (3, 2, len(QUANTILES))
    assert values["margin_error"].shape == (3, 2)
    assert_equal(values, plain(features, labels, kernel, BIAS))
    assert_equal(values, {f"{n}_test": v for n, v in plain(other, other_labels, kernel, BIAS).items()})


def test_pairs_of_choice_and_no_bias():
    features, labels, kernel = example(2)
    values = values_of(features, labels, kernel, bias=None, pairs=[[3, 1], (0, 9)])
    assert_equal(values, plain(features, labels, kernel, np.zeros(CLASSES), ((3, 1), (0, 9))))


def test_it_is_the_distance_to_where_two_logits_are_equal():
    """The closest point of the boundary is m(x) away along the normal, so the bias enters as b_a - b_b."""
    features, _, kernel = example(3)
    m = np.asarray(pair_margins(features, kernel, BIAS, (2, 7)), np.float64)
    normal = (kernel[:, 2] - kernel[:, 7]).astype(np.float64)
    feet = features - m[:, None] * normal / np.linalg.norm(normal)
    logits = feet @ kernel + BIAS
    np.testing.assert_allclose(logits[:, 2], logits[:, 7], atol=1e-4)
    logits = features @ kernel + BIAS
    assert ((m > 0) == (logits[:, 2] > logits[:, 7])).all()
    wrong_sign = m + 2 * (BIAS[7] - BIAS[2]) / np.linalg.norm(normal)
    assert ((wrong_sign > 0) != (m > 0)).any()  # so the sign of the bias matters here


def test_antisymmetry_and_collapsed_classes():
    features, labels, kernel = example(4)
    np.testing.assert_allclose(
        pair_margins(features, kernel, BIAS, (1, 4)), -pair_margins(features, kernel, BIAS, (4, 1)), rtol=1e-6
    )
    # Orthonormal means and their own head, no bias: every margin is 1/sqrt(2).
    eye = np.eye(DIM)[:CLASSES]
    values = values_of(eye[labels], labels, eye.T, bias=None)
    np.testing.assert_allclose(np.abs(values["margin_quantiles"]), 0.5**0.5, rtol=1e-6)
    assert values["nearest_margin_min"] == pytest.approx(0.5**0.5)
    assert not values["margin_error"].any()


def test_rotation_scaling_and_order():
    features, labels, kernel = example(5)
    base = values_of(features, labels, kernel)
    rng = np.random.default_rng(6)
    rotation, order = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0], rng.permutation(len(labels))
    assert_equal(values_of((features @ rotation)[order], labels[order], rotation.T @ kernel), base)
    scaled = values_of(7 * features, labels, kernel, 7 * BIAS)
    for name, value in base.items():
        np.testing.assert_allclose(scaled[name], value if name == "margin_error" else 7 * value, rtol=1e-4)
    # A larger head, bias included, moves no boundary.
    assert_equal(values_of(features, labels, 9 * kernel, 9 * BIAS), base)


def test_default_pairs_follow_the_classes():
    features, labels, kernel = example(7)
    few = labels < 6
    values = values_of(features[few], labels[few], kernel[:, :6], BIAS[:6])
    assert_equal(values, plain(features[few], labels[few], kernel[:, :6], BIAS[:6], PAIRS[:2]))
    two = labels < 2
    assert values_of(features[two], labels[two], kernel[:, :2], BIAS[:2])["margin_min"].shape == (1,)


def test_missing_class():
    features, labels, kernel = example(8)
    labels = np.where(labels == 4, 5, labels)
    values = values_of(features, labels, kernel)
    assert np.isnan(values["margin_quantiles"][1, 0]).all()
    assert np.isnan(values["margin_error"][1, 0])
    assert np.isnan(values["margin_min"][1])
    kept = np.isfinite(values["margin_error"])
    assert kept.sum() == 5
    assert np.isfinite(values["nearest_margin_min"])


def test_equal_columns_have_no_boundary():
    features, labels, kernel = example(9)
    kernel[:, 1] = kernel[:, 0]
    values = values_of(features, labels, kernel)
    assert np.isnan(values["margin_quantiles"][0]).all()
    assert np.isnan(values["margin_error"][0]).all()
    assert np.isnan(values["nearest_margin_min"])
    assert np.isfinite(values["margin_quantiles"][1:]).all()


def test_zero_features_and_a_point_on_the_boundary():
    features, labels, kernel = example(10)
    values = values_of(0 * features, labels, kernel, bias=None)
    assert not values["margin_quantiles"].any()
    assert (values["margin_error"] == 1).all()  # on the boundary counts as wrong
    assert values["largest_norm"] == 0


def snapshot_of(features, labels, kernel):
    return Snapshot(
        Probe(jnp.asarray(features), jnp.asarray(labels)),
        head_kernel=jnp.asarray(kernel),
        head_bias=jnp.asarray(BIAS),
        num_classes=CLASSES,
    )


def test_vmapped_equals_alone_and_nan_stays_in_its_class():
    features, labels, kernel = example(11)
    bad = features.copy()
    bad[np.flatnonzero(labels == 8)[0]] = np.nan
    runs = [snapshot_of(x, labels, kernel) for x in (features, bad)]
    together = jax.jit(jax.vmap(margins))(jax.tree.map(lambda *a: jnp.stack(a), *runs))
    expected = plain(features, labels, kernel, BIAS)
    assert_equal({name: value[0] for name, value in together.items()}, expected)
    second = {name: np.asarray(value[1]) for name, value in together.items()}
    np.testing.assert_allclose(second["margin_error"][:2], expected["margin_error"][:2], atol=1e-6)
    assert np.isnan(second["margin_quantiles"][2, 0]).all()
    assert np.isfinite(second["margin_quantiles"][2, 1]).all()
    assert np.isnan(second["margin_min"][2])
    assert np.isnan([second[name] for name in ("nearest_margin_min", "nearest_margin_median")]).all()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(0, 12)], r"pairs=\(0, 12\): must be two different classes of 0 to 9"),
        ([(3, 3)], r"pairs=\(3, 3\)"),
        ([(0, 1, 2)], r"pairs=\(0, 1, 2\)"),
        ([(-1, 2)], r"pairs=\(-1, 2\)"),
        ([(0, 1.5)], r"pairs=\(0, 1.5\)"),
        ([], r"pairs=\(\): name at least one"),
        ([4], "pairs=4"),
    ],
)
def test_bad_pairs_are_named(pairs, message):
    features, labels, kernel = example(12)
    with pytest.raises(ValueError, match=message):
        values_of(features, labels, kernel, pairs=pairs)


def test_without_a_head_or_with_one_class():
    features, labels, _ = example(13)
    with pytest.raises(ValueError, match="measures='margins': needs 'head'; give head_kernel"):
        measure_arrays("margins", train_features=features, train_labels=labels)
    with pytest.raises(ValueError, match="num_classes=1: a margin needs at least 2 classes"):
        values_of(features, 0 * labels, np.ones((DIM, 1)), np.ones(1))
    assert MARGINS.needs == ("train", "head")
