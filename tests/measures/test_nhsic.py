"""Normalised HSIC against reference numbers, closed forms, plain numpy and its invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures import measure_arrays
from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.families.nhsic import NHSIC, label_smoother, nhsic, smoother, squared_distances

STEP = np.arange(360).reshape(60, 6)
LABELS = np.arange(60) % 3
FEATURES = np.maximum(np.sin(0.37 * STEP) + 2 * np.eye(6)[LABELS], 0)
INPUTS = np.cos(0.21 * np.arange(300).reshape(60, 5))
_nhsic = jax.jit(nhsic, static_argnames=("mode", "bandwidth", "sigma", "epsilon", "batch_size", "split"))


def measure(features=FEATURES, labels=LABELS, inputs=INPUTS, num_classes=3, **options):
    inputs = None if inputs is None else jnp.asarray(inputs)
    snapshot = Snapshot(Probe(jnp.asarray(features), jnp.asarray(labels), inputs=inputs), num_classes=num_classes)
    return {name: float(value) for name, value in _nhsic(snapshot, **options).items()}


def plain(features, labels, inputs, mode):
    """One batch in float64 with explicit inverses."""
    n = len(labels)
    centring = np.eye(n) - 1 / n

    def smooth(kernel, left, right, epsilon):
        kernel = left @ kernel @ right
        return kernel @ np.linalg.inv(kernel + epsilon * n * np.eye(n))

    def gaussian(points):
        squares = np.sum((points[:, None] - points[None]) ** 2, axis=-1)
        if mode == "reference":
            return np.exp(-squares / (50 * points.shape[1]))
        if mode == "median":
            return np.exp(-squares / (2 * np.median(np.sqrt(squares)[np.triu_indices(n, 1)]) ** 2))
        return np.exp(-squares / (2 * np.max(np.sum(points**2, axis=1))))

    one_hot = np.eye(labels.max() + 1)[labels]
    left, right, label_side, epsilon = (
        (np.eye(n), centring, np.eye(n), 1e-5) if mode == "reference" else (centring,) * 3 + (1e-3,)
    )
    smooth_z, smooth_x = (smooth(gaussian(points), left, right, epsilon) for points in (features, inputs))
    smooth_y = smooth(one_hot @ one_hot.T, label_side, label_side, epsilon)
    return {"nhsic_zx": np.trace(smooth_z @ smooth_x), "nhsic_zy": np.trace(smooth_z @ smooth_y)}


def test_reference_vectors():
    with jax.enable_x64(True):
        values = measure(mode="reference")
    assert values["nhsic_zx"] == pytest.approx(1.5002663228839257, rel=1e-9)
    assert values["nhsic_zy"] == pytest.approx(1.942929738885634, rel=1e-9)
    assert values["superfluous_nhsic"] == pytest.approx(values["nhsic_zx"] - values["nhsic_zy"])
    # A difference of two values has the rounding errors of both.
    assert measure(mode="reference") == pytest.approx(values, rel=1e-2, abs=5e-3, nan_ok=True)


@pytest.mark.parametrize("mode", ["reference", "sup_norm", "median"])
def test_plain_implementation_on_unbalanced_classes(mode):
    labels = np.minimum(np.arange(60) % 5, 2)
    options = {"mode": mode} if mode == "reference" else {"bandwidth": mode}
    expected = plain(FEATURES, labels, INPUTS, mode)
    with jax.enable_x64(True):
        exact = measure(labels=labels, **options)
    assert {name: exact[name] for name in expected} == pytest.approx(expected, rel=1e-7)
    rounded = measure(labels=labels, **options)
    assert {name: rounded[name] for name in expected} == pytest.approx(expected, rel=5e-3, abs=3e-3)


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
    assert set(values) == {"nhsic_zy", "nhsic_zy_null", "nhsic_zy_error"}


def test_collapsed_features_in_centred_mode():
    """The same frame: norms 1 after scaling, both kernels regularised, whatever the norm of the features."""
    frame = np.sqrt(10 / 9) * (np.eye(10) - 0.1) @ np.eye(10, 200)
    labels = np.arange(100) % 10
    smallest = 10 * (1 - np.exp(-10 / 9))
    expected = 9 * smallest / (smallest + 0.1) * 10 / 10.1
    for scale in (2, 1e-4):
        values = measure(scale * frame[labels], labels, None, 10)
        assert values["nhsic_zy"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("options", [{}, {"bandwidth": "median"}, {"mode": "reference"}])
def test_rotation_scale_and_relabelling(options):
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    value = measure(**options)
    assert measure(labels=(LABELS + 1) % 3, **options)["nhsic_zy"] == pytest.approx(value["nhsic_zy"], rel=1e-2)
    assert measure(FEATURES @ rotation, **options) == pytest.approx(value, rel=1e-2, nan_ok=True)
    scaled = measure(1e-3 * FEATURES, **options)
    expected = {"nhsic_zx": 0} if options.get("mode") == "reference" else value
    assert {name: scaled[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=0.015, nan_ok=True)


def test_independence_is_indistinguishable_from_the_null():
    """The rank of the value among values with other permutations is uniform; dependence ranks highest."""
    rng = np.random.default_rng(1)
    sets, others = 40, 9
    features = jnp.asarray(rng.normal(size=(sets, 30, 3)), jnp.float32)
    inputs = jnp.asarray(rng.normal(size=(sets, 30, 3)), jnp.float32)
    labels = jnp.arange(30) % 2

    @jax.jit
    @jax.vmap
    def ranks(features, inputs):
        snapshot = Snapshot(Probe(features, labels, inputs=inputs), num_classes=2)
        values = jax.vmap(lambda seed: nhsic(snapshot, seed=seed, epsilon=0.01))(jnp.arange(others))
        return {name: jnp.mean(values[f"{name}_null"] >= values[name][0]) for name in ("nhsic_zx", "nhsic_zy")}

    for name, rank in ranks(features, inputs).items():
        assert np.mean(rank) == pytest.approx(0.5, abs=0.2), name
        assert np.std(rank) == pytest.approx(12**-0.5, abs=0.12), name
    assert np.max(ranks(inputs, inputs)["nhsic_zx"]) == 0


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
    null = joined["nhsic_zx_null"] - joined["nhsic_zy_null"]
    assert joined["superfluous_nhsic_null"] == pytest.approx(null)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "centered"}, "mode='centered': unknown mode; did you mean 'centred'"),
        ({"bandwidth": "mean"}, "bandwidth='mean': unknown bandwidth; .*known: median, sup_norm"),
        ({"batch_size": 1}, "batch_size=1: must be an integer of at least 2"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        measure(**options)


def test_nan_zero_and_constant_features():
    broken = FEATURES.copy()
    broken[3, 2] = np.nan
    for options in ({}, {"mode": "reference"}, {"bandwidth": "median"}):
        assert all(np.isnan(value) for value in measure(broken, **options).values())
    assert np.isnan(measure(0 * FEATURES)["nhsic_zx"])
    assert np.isnan(measure(0 * FEATURES + 1, bandwidth="median")["nhsic_zy"])
    assert measure(0 * FEATURES + 1)["nhsic_zy"] == pytest.approx(0, abs=1e-6)


def test_runs_in_a_batch_equal_single_runs_and_arrays():
    batch = jnp.stack([jnp.asarray(FEATURES), jnp.asarray(FEATURES[::-1])])

    def one(features):
        return nhsic(Snapshot(Probe(features, jnp.asarray(LABELS), inputs=jnp.asarray(INPUTS)), num_classes=3))

    together = jax.jit(jax.vmap(one))(batch)
    alone = measure(FEATURES[::-1])
    assert {name: float(value[1]) for name, value in together.items()} == pytest.approx(
        alone, rel=1e-3, nan_ok=True
    )
    arrays = {"train_features": FEATURES[::-1], "train_labels": LABELS, "inputs": INPUTS}
    assert measure_arrays("nhsic", **arrays) == pytest.approx(alone, rel=1e-3, nan_ok=True)
    assert set(alone) == set(NHSIC.variables)
