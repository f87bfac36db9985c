"""Information of every layer: equal to the measures of its features; binned: counts, closed forms, nulls."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax import measure_arrays
from collapse_jax.measures.estimators.binned import binned_information
from collapse_jax.measures.families.layer_information import VARIABLES

COUNT = 60
LABELS = np.arange(COUNT) % 3


def entropy(symbols):
    shares = np.array(list(collections.Counter(symbols).values())) / len(symbols)
    return -np.sum(shares * np.log(shares))


_binned = jax.jit(binned_information, static_argnames=("bins", "permutations", "partitions"))


def binned(features, labels=LABELS, bins=30, permutations=0, partitions=0):
    rows = jnp.asarray(features, jnp.float32), jnp.asarray(labels)
    values = _binned(*rows, bins, jax.random.key(0), permutations, partitions)
    return {name: float(value) for name, value in values.items()}


@pytest.mark.parametrize("bins", [2, 3, 30])
def test_binned_equals_counts_of_patterns(rng, bins):
    features = (rng.normal(size=(COUNT, 3)) + LABELS[:, None]).astype(np.float32)
    width = (features.max() - features.min()) / bins
    patterns = [tuple(row) for row in np.minimum((features - features.min()) // width, bins - 1)]
    joint = entropy([(t, y) for t, y in zip(patterns, LABELS.tolist(), strict=True)])
    values = binned(features, bins=bins)
    assert values["zx"] == pytest.approx(entropy(patterns), abs=1e-5)
    assert values["zy"] == pytest.approx(entropy(patterns) + entropy(LABELS.tolist()) - joint, abs=1e-5)
    assert values["zx_given_y"] == pytest.approx(joint - entropy(LABELS.tolist()), abs=1e-5)


def test_binned_against_its_null(rng):
    """Saturated, the null is H(Y) as the value is, and the p-value says so; patterns of classes are far from it."""
    pattern = np.where(rng.random(COUNT) < 0.8, LABELS, rng.integers(0, 3, COUNT))[:, None]
    values = binned(pattern, bins=3, permutations=20, partitions=3)
    # Miller's bias of a plug-in estimate without dependence: (K - 1)^2 / 2N.
    assert values["zy_null"] == pytest.approx(4 / (2 * COUNT), abs=4 * values["zy_null_sd"] / np.sqrt(20))
    assert values["zy_p"] < 1e-6
    assert all(values[f"{name}_error"] > 0 for name in ("zx", "zy", "zx_given_y"))
    saturated = binned(np.arange(COUNT)[:, None], bins=COUNT, permutations=20, partitions=3)
    assert saturated["zy_null"] == pytest.approx(np.log(3), abs=1e-5)
    assert saturated["zy_p"] > 0.1
    assert saturated["zx_error"] == pytest.approx(0, abs=1e-5)


def test_binned_limits():
    """All patterns differ: log N and H(Y), the null too; collapsed classes: H(Y) twice; constant: 0; nan: nan."""
    different = binned(np.arange(COUNT)[:, None] * np.ones((1, 2)), bins=COUNT)
    assert (different["zx"], different["zy"]) == pytest.approx((np.log(COUNT), np.log(3)), abs=1e-5)
    collapsed = binned(np.eye(3)[LABELS])
    assert (collapsed["zx"], collapsed["zy"]) == pytest.approx((np.log(3), np.log(3)), abs=1e-5)
    assert collapsed["zx_given_y"] == pytest.approx(0, abs=1e-5)
    assert list(binned(np.full((COUNT, 2), 7.0)).values()) == pytest.approx([0] * 3, abs=1e-5)
    assert np.all(np.isnan(list(binned(np.full((COUNT, 2), np.nan)).values())))


def test_exclusive_or():
    """Each bit alone tells nothing of the parity, both tell all: log 2."""
    bits = np.stack([np.arange(COUNT) % 2, np.arange(COUNT) // 2 % 2], axis=1).astype(float)
    parity = bits.sum(1).astype(int) % 2
    assert binned(bits[:, :1], parity)["zy"] == pytest.approx(0, abs=1e-5)
    assert binned(bits, parity)["zy"] == pytest.approx(np.log(2), abs=1e-5)


@pytest.mark.slow  # compiles three measures for two layers each
def test_every_layer_equals_the_measures_of_its_features(rng):
    inputs = (rng.normal(size=(COUNT, 5)) + LABELS[:, None]).astype(np.float32)
    layers = [np.maximum(inputs @ rng.normal(size=(5, 8)), 0).astype(np.float32).reshape(COUNT, 2, 4)]
    layers.append(np.maximum(layers[0].reshape(COUNT, 8) @ rng.normal(size=(8, 6)), 0).astype(np.float32))
    given = {"train_labels": LABELS, "inputs": inputs}
    values = measure_arrays("layer_information", train_features=layers[-1], train_layers=layers, sigma=0.2, **given)
    assert set(values) <= set(VARIABLES)
    assert {value.shape for value in values.values()} == {(2,)}
    for index, layer in enumerate(layers):
        flat = layer.reshape(COUNT, -1)
        own = measure_arrays("mutual_information", train_features=flat, **given)
        own |= measure_arrays("noisy_channel", train_features=flat, sigma=0.2, **given)
        row = {name: values[f"layer_{name}"][index] for name in own}
        assert row == pytest.approx(own, rel=1e-3, abs=1e-3, nan_ok=True)
        assert values["layer_binned_zx"][index] == pytest.approx(binned(flat)["zx"], abs=1e-5)
        # Nearly every row has a pattern of its own: labels that mean nothing are told as well.
        assert values["layer_binned_zy_null"][index] > 0.8 * values["layer_binned_zy"][index]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sigma": 0.0}, "sigma=0.0: must be a finite number > 0"),
        ({"sigma": -1.0}, "sigma=-1.0: must be a finite number > 0"),
        ({"sigma": float("nan")}, "sigma=nan: must be a finite number > 0"),
        ({"bins": 1}, "bins=1: must be an integer of at least 2"),
        ({"estimators": ("kde",)}, "estimators='kde': unknown"),
        ({"estimators": ()}, r"estimators=\(\): name at least one"),
    ],
)
def test_wrong_options_are_one_line(rng, options, said):
    layer = rng.normal(size=(COUNT, 4)).astype(np.float32)
    with pytest.raises(ValueError, match=f"^{said}"):
        measure_arrays(
            "layer_information", train_features=layer, train_labels=LABELS, train_layers=[layer], **options
        )


def test_a_sigma_of_ones_own_is_one_of_the_three(rng):
    features = rng.normal(size=(COUNT, 4)).astype(np.float32)
    given = {"train_features": features, "train_labels": LABELS, "permutations": 0}
    three = measure_arrays("noisy_channel", **given)
    one = measure_arrays("noisy_channel", sigma=0.1, **given)
    for name, value in one.items():
        assert value == pytest.approx(three[f"{name}_sigma010"], rel=1e-5, abs=1e-4 * name.endswith("error")), name
