"""Normalised HSIC against reference numbers, closed forms, plain numpy and its invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures import measure_arrays
from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.estimators.kernels import (
    label_smoother,
    median_distance,
    smoother,
    squared_distances,
)
from collapse_jax.measures.families.nhsic import NHSIC, nhsic

STEP = np.arange(360).reshape(60, 6)
LABELS = np.arange(60) % 3
FEATURES = np.maximum(np.sin(0.37 * STEP) + 2 * np.eye(6)[LABELS], 0)
INPUTS = np.cos(0.21 * np.arange(300).reshape(60, 5))
_STATIC = ("mode", "bandwidth", "sigma", "epsilon", "rms", "batch_size", "permutations", "split")
_nhsic = jax.jit(nhsic, static_argnames=_STATIC)


def measure(features=FEATURES, labels=LABELS, inputs=INPUTS, num_classes=3, permutations=0, **options):
    inputs = None if inputs is None else jnp.asarray(inputs)
    snapshot = Snapshot(Probe(jnp.asarray(features), jnp.asarray(labels), inputs=inputs), num_classes=num_classes)
    return {name: float(value) for name, value in _nhsic(snapshot, permutations=permutations, **options).items()}


def plain(features, labels, inputs, mode):
    """One batch in float64 with explicit inverses."""
    n = len(labels)
    centring = np.eye(n) - 1 / n

    def smooth(kernel, left, right, epsilon):
        kernel = left @ kernel @ right
        return kernel @ np.linalg.inv(kernel + epsilon * n * np.eye(n))

    def gaussian(points):
        squares = np.sum((points[:, None] - points[None]) ** 2, axis=-1)
        if mode in ("reference", "bottleneck"):
            return np.exp(-squares / (50 * points.shape[1]))
        if mode == "median":
            return np.exp(-squares / (2 * np.median(np.sqrt(squares)[np.triu_indices(n, 1)]) ** 2))
        return np.exp(-squares / (2 * np.max(np.sum(points**2, axis=1))))

    one_hot = np.eye(labels.max() + 1)[labels]
    left, right, label_side, epsilon = (
        (centring,) * 3 + (1e-3,) if mode in ("median", "sup_norm") else (np.eye(n), centring, np.eye(n), 1e-5)
    )
    smooth_z, smooth_x = (smooth(gaussian(points), left, right, epsilon) for points in (features, inputs))
    if mode == "bottleneck":
        smooth_y = smooth(gaussian(one_hot), left, right, epsilon)
    else:
        smooth_y = smooth(one_hot @ one_hot.T, label_side, label_side, epsilon)
    return {"nhsic_zx": np.trace(smooth_z @ smooth_x), "nhsic_zy": np.trace(smooth_z @ smooth_y)}


def test_reference_vectors():
    with jax.enable_x64(True):
        values = measure(mode="reference")
    assert values["nhsic_zx"] == pytest.approx(1.5002663228839257, rel=1e-9)
    assert values["nhsic_zy"] == pytest.approx(1.942929738885634, rel=1e-9)
    assert values["superfluous_nhsic"] == pytest.approx(values["nhsic_zx"] - values["nhsic_zy"])
    rounded = measure(mode="reference")
    for name in ("nhsic_zx", "nhsic_zy", "superfluous_nhsic"):
        # A difference of two values has the rounding errors of both.
        assert rounded[name] == pytest.approx(values[name], rel=1e-2, abs=5e-3)


@pytest.mark.parametrize("mode", ["reference", "bottleneck", "sup_norm", "median"])
def test_plain_implementation_on_unbalanced_classes(mode):
    labels = np.minimum(np.arange(60) % 5, 2)
    options = {"mode": mode} if mode in ("reference", "bottleneck") else {"bandwidth": mode}
    expected = plain(FEATURES, labels, INPUTS, mode)
    with jax.enable_x64(True):
        exact = measure(labels=labels, **options)
    assert {name: exact[name] for name in expected} == pytest.approx(expected, rel=1e-7)
    rounded = measure(labels=labels, **options)
    assert {name: rounded[name] for name in expected} == pytest.approx(expected, rel=5e-3, abs=3e-3)


@pytest.mark.parametrize("mode", ["reference", "bottleneck"])
def test_rms_features_are_those_divided_by_the_root_of_their_mean_square(mode):
    scaled = FEATURES / np.sqrt(np.mean(FEATURES**2))
    with jax.enable_x64(True):
        assert measure(mode=mode, rms=True) == pytest.approx(measure(scaled, mode=mode), rel=1e-9, nan_ok=True)


def test_labels_with_labels_uncentred():
    """Closed form C / (1 + epsilon C)^2 for balanced one-hot labels."""
    one_hot = np.eye(10)[np.arange(100) % 10]
    with jax.enable_x64(True):
        matrix = label_smoother(jnp.asarray(one_hot), 1e-3)
        assert float(jnp.sum(matrix * matrix.T)) == pytest.approx(9.998000299960, rel=1e-11)


def test_collapsed_features_in_reference_mode():
    """An equiangular tight frame of norm 2, every class at its mean: (C-1) lambda/(lambda + eps n)/(1 + eps C)."""
    frame = 2 * np.sqrt(10 / 9) * (np.eye(10) - 0.1) @ np.eye(10, 200)
    labels = np.arange(100) % 10
    with jax.enable_x64(True):
        values = measure(frame[labels], labels, None, 10, mode="reference")
    assert values["nhsic_zy"] == pytest.approx(8.088715140959554, rel=1e-9)
    assert set(values) == {"nhsic_zy", "nhsic_zy_error"}


@pytest.mark.parametrize(("bandwidth", "exponent"), [("median", 1 / 2), ("sup_norm", 10 / 9)])
def test_collapsed_features_in_centred_mode(bandwidth, exponent):
    """The same frame: both kernels regularised, one distance between any two classes, whatever the norm."""
    frame = np.sqrt(10 / 9) * (np.eye(10) - 0.1) @ np.eye(10, 200)
    labels = np.arange(100) % 10
    smallest = 10 * (1 - np.exp(-exponent))
    expected = 9 * smallest / (smallest + 0.1) * 10 / 10.1
    for scale in (2, 1e-4):
        values = measure(scale * frame[labels], labels, None, 10, bandwidth=bandwidth)
        assert values["nhsic_zy"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [{}, {"bandwidth": "sup_norm"}, {"mode": "reference"}, {"mode": "reference", "rms": True}],
)
def test_rotation_scale_and_relabelling(options):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    value = measure(**options)
    assert measure(labels=(LABELS + 1) % 3, **options)["nhsic_zy"] == pytest.approx(value["nhsic_zy"], rel=1e-2)
    assert measure(FEATURES @ rotation, **options) == pytest.approx(value, rel=1e-2, nan_ok=True)
    scaled = measure(1e-3 * FEATURES, **options)
    expected = {"nhsic_zx": 0} if options == {"mode": "reference"} else value
    assert {name: scaled[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=0.015, nan_ok=True)


def test_isometries_of_features_and_inputs_change_nothing():
    """Among them those that move the origin, which pixels have somewhere: inverted ones are the same images."""
    value = measure()
    assert measure(5 - FEATURES, inputs=INPUTS + 7) == pytest.approx(value, rel=2e-3, abs=2e-3, nan_ok=True)


@pytest.mark.parametrize(("factor", "near"), [(3, 0.05), (1e5, 0.05)])
def test_one_far_row_is_one_row(factor, near):
    rng = np.random.default_rng(5)
    features = rng.normal(size=(10, 20))[np.arange(100) % 10] + 0.5 * rng.normal(size=(100, 20))
    moved = features.copy()
    moved[0] *= factor
    labels = np.arange(100) % 10
    value, far = (measure(z, labels, features @ np.eye(20, 30), 10) for z in (features, moved))
    for name in ("nhsic_zx", "nhsic_zy"):
        assert far[name] == pytest.approx(value[name], rel=near)
    squares = np.sum((moved[:, None] - moved[None]) ** 2, axis=-1)
    measured = median_distance(squared_distances(jnp.asarray(moved, jnp.float32)))
    assert float(measured) == pytest.approx(np.median(np.sqrt(squares)[np.triu_indices(100, 1)]), rel=1e-4)


def test_error_is_the_spread_over_fresh_samples():
    """Bandwidth included: one that all batches shared made the spread five times the error."""
    rng = np.random.default_rng(6)
    centres, width = rng.normal(size=(10, 20)), np.eye(20, 40)

    def take(sample):
        features, labels, inputs = sample
        snapshot = Snapshot(Probe(features, labels, inputs=inputs), num_classes=10)
        options = {"batch_size": 50, "permutations": 0}
        return [nhsic(snapshot, bandwidth=bandwidth, **options) for bandwidth in ("median", "sup_norm")]

    labels = rng.integers(0, 10, size=(50, 300))
    features = centres[labels] + 0.5 * rng.normal(size=(50, 300, 20))
    inputs = features @ width + 0.5 * rng.normal(size=(50, 300, 40))
    samples = jnp.asarray(features, jnp.float32), jnp.asarray(labels), jnp.asarray(inputs, jnp.float32)
    for values in jax.jit(lambda samples: jax.lax.map(take, samples))(samples):
        for name in ("nhsic_zx", "nhsic_zy", "superfluous_nhsic"):
            reported = np.sqrt(np.mean(np.square(values[f"{name}_error"])))
            assert 0.75 < reported / np.std(values[name], ddof=1) < 1.35, name


def test_superfluous_null_keeps_the_label(rng):
    """Features that know the label alone are draws of the null, which permutes within classes."""
    labels = np.arange(400) % 10
    centres_x, centres_z = 3 * rng.normal(size=(10, 20)), rng.normal(size=(10, 30))
    inputs = centres_x[labels] + rng.normal(size=(400, 20))
    features = centres_z[labels] + 0.5 * rng.normal(size=(400, 30))
    nothing = measure(features, labels, inputs, 10, permutations=20)
    assert abs(nothing["superfluous_nhsic"] - nothing["superfluous_nhsic_null"]) < (
        5 * nothing["superfluous_nhsic_null_sd"]
    )
    assert nothing["superfluous_nhsic_p"] > 1e-4
    assert nothing["nhsic_zx_p"] < 1e-9
    # Permuted across classes, both terms lose the label: another place altogether.
    across = nothing["nhsic_zx_null"] - nothing["nhsic_zy_null"]
    assert abs(nothing["superfluous_nhsic"] - across) > 5 * nothing["superfluous_nhsic_null_sd"]
    more = measure(np.concatenate([features, inputs], axis=1), labels, inputs, 10, permutations=20)
    assert more["superfluous_nhsic_p"] < 1e-9


def test_independence_is_indistinguishable_from_the_null():
    """The p-value is uniform; that of dependence is next to 0."""
    rng = np.random.default_rng(1)
    sets = 40
    features = jnp.asarray(rng.normal(size=(sets, 30, 3)), jnp.float32)
    inputs = jnp.asarray(rng.normal(size=(sets, 30, 3)), jnp.float32)
    labels = jnp.arange(30) % 2

    @jax.jit
    @jax.vmap
    def chances(features, inputs):
        snapshot = Snapshot(Probe(features, labels, inputs=inputs), num_classes=2)
        return nhsic(snapshot, epsilon=0.01)

    values = chances(features, inputs)
    for name in ("nhsic_zx_p", "nhsic_zy_p", "superfluous_nhsic_p"):
        assert np.mean(values[name]) == pytest.approx(0.5, abs=0.2), name
        assert np.std(values[name]) == pytest.approx(12**-0.5, abs=0.12), name
    assert np.max(chances(inputs, inputs)["nhsic_zx_p"]) < 1e-6


def test_unnormalised_hsic_of_independent_samples_falls_as_one_over_n():
    """Of the centred kernels alone: trace(HKH HLH) / n^2 has mean of order 1/n under independence."""
    rng = np.random.default_rng(2)
    centred = jax.jit(lambda squares: 1e4 * smoother(jnp.exp(-squares / 2), 1e4))
    means = []
    for n in (40, 160):
        values = []
        for _ in range(20):
            kernels = []
            for _ in range(2):
                squares = squared_distances(jnp.asarray(rng.normal(size=(n, 2)), jnp.float32))
                # For a large constant c the smoother is the centred kernel over c.
                kernels.append(centred(squares))
            values.append(float(jnp.sum(kernels[0] * kernels[1].T)) / n**2)
        means.append(np.mean(values))
    assert means[0] / means[1] == pytest.approx(4, rel=0.25)


def test_batches_average_and_leave_out_the_rest():
    rng = np.random.default_rng(3)
    features, inputs, labels = rng.normal(size=(250, 4)), rng.normal(size=(250, 3)), np.arange(250) % 3
    order = np.asarray(jax.random.permutation(jax.random.split(jax.random.key(0))[0], 250))
    with jax.enable_x64(True):
        joined = measure(features, labels, inputs, mode="reference")
        batches = [
            measure(features[rows], labels[rows], inputs[rows], mode="reference")
            for rows in (order[:100], order[100:200])
        ]
    for name in ("nhsic_zx", "nhsic_zy", "superfluous_nhsic"):
        parts = [batch[name] for batch in batches]
        assert joined[name] == pytest.approx(np.mean(parts), rel=1e-7)
        # The error of a mean of two, which one batch alone does not have.
        assert joined[f"{name}_error"] == pytest.approx(abs(parts[0] - parts[1]) / 2, rel=1e-6)
        assert np.isnan(batches[0][f"{name}_error"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "centered"}, "mode='centered': unknown mode; did you mean 'centred'"),
        ({"bandwidth": "mean"}, "bandwidth='mean': unknown bandwidth; .*known: median, sup_norm"),
        ({"permutations": -1}, "permutations=-1: must be an integer of at least 0"),
        ({"batch_size": 1}, "batch_size=1: must be an integer of at least 2"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        measure(**options)


def test_nan_zero_and_constant_features():
    broken = FEATURES.copy()
    broken[3, 2] = np.nan
    for options in ({}, {"mode": "reference"}, {"bandwidth": "sup_norm"}):
        assert all(np.isnan(value) for value in measure(broken, **options).values())
    assert np.isnan(measure(0 * FEATURES, bandwidth="sup_norm")["nhsic_zx"])
    for constant in (0, 1, 1e5):
        values = measure(0 * FEATURES + constant)
        assert values["nhsic_zx"] == pytest.approx(0, abs=1e-6)
    assert measure(0 * FEATURES + 1, bandwidth="sup_norm")["nhsic_zy"] == pytest.approx(0, abs=1e-6)


def test_runs_in_a_batch_equal_single_runs_and_arrays():
    batch = jnp.stack([jnp.asarray(FEATURES), jnp.asarray(FEATURES[::-1])])

    def one(features):
        return nhsic(Snapshot(Probe(features, jnp.asarray(LABELS), inputs=jnp.asarray(INPUTS)), num_classes=3))

    together = jax.jit(jax.vmap(one))(batch)
    alone = measure(FEATURES[::-1], permutations=20)
    assert {name: float(value[1]) for name, value in together.items()} == pytest.approx(
        alone, rel=2e-3, abs=1e-3, nan_ok=True
    )
    arrays = {"train_features": FEATURES[::-1], "train_labels": LABELS, "inputs": INPUTS}
    assert measure_arrays("nhsic", **arrays) == pytest.approx(alone, rel=2e-3, abs=1e-3, nan_ok=True)
    assert set(alone) == set(NHSIC.variables)
