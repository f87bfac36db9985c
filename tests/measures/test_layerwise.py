"""Layer-wise measures equal those of the features, layer by layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from collapse_oracles import CLASSES, assert_values, example

from collapse_jax import measure_arrays
from collapse_jax.errors import ConfigError
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measures.families.layerwise import LAYERWISE, VARIABLES, layerwise

RNG = np.random.default_rng(0)


def network(inputs):
    """Two hidden layers, the first with two spatial axes."""
    first = np.maximum(inputs @ WEIGHTS[0], 0)
    return [first.reshape(-1, 3, 5), np.maximum(first @ WEIGHTS[1], 0)]


WEIGHTS = [RNG.normal(size=shape) for shape in ((40, 15), (15, 12))]
TRAIN, LABELS, _ = example(0, n=80)
TEST, TEST_LABELS, _ = example(1, n=60)
ARRAYS = {
    "train_features": network(TRAIN)[-1],
    "train_labels": LABELS,
    "test_features": network(TEST)[-1],
    "test_labels": TEST_LABELS,
    "inputs": TRAIN,
}
LAYERS = {"train_layers": network(TRAIN), "test_layers": network(TEST)}


def test_every_layer_equals_the_measures_of_its_features():
    values = measure_arrays("layerwise", **ARRAYS, **LAYERS, batch_size=40)
    assert list(values) == list(VARIABLES)
    assert {value.shape for value in values.values()} == {(2,)}
    for index in (0, 1):
        train, test = (
            LAYERS[kind][index].reshape(len(y), -1)
            for kind, y in (("train_layers", LABELS), ("test_layers", TEST_LABELS))
        )
        own = measure_arrays(
            ["collapse", "nhsic"], **ARRAYS | {"train_features": train, "test_features": test}, batch_size=40
        )
        row = {name.removeprefix("layer_"): value[index] for name, value in values.items()}
        for suffix, x, y in (("", train, LABELS), ("_test", test, TEST_LABELS)):
            centres = np.stack([train[c == LABELS].mean(0) for c in range(CLASSES)])
            nearest = np.linalg.norm(x[:, None] - centres[None], axis=2).argmin(1)
            assert row.pop(f"centre_accuracy{suffix}") == pytest.approx(np.mean(nearest == y), abs=1e-6)
        assert_values(row, {name: own[name] for name in row}, rel=1e-4)


def test_options_of_nhsic_reach_it_and_collapse_can_be_left_out():
    options = {"mode": "reference", "sigma": 2.0, "epsilon": 1e-4, "rms": True, "batch_size": 40}
    values = measure_arrays("layerwise", **ARRAYS, **LAYERS, collapsed=False, **options)
    assert set(values) == {name for name in VARIABLES if "hsic" in name}
    own = measure_arrays("nhsic", **ARRAYS, **options)
    assert_values({name: values[f"layer_{name}"][-1] for name in own}, own, rel=1e-5)
    with pytest.raises(ConfigError, match="collapsed=False: with hsic=False nothing is left to measure"):
        measure_arrays("layerwise", **ARRAYS, **LAYERS, collapsed=False, hsic=False)


def test_without_test_layers_without_hsic_and_without_layers():
    values = measure_arrays("layerwise", **ARRAYS, train_layers=LAYERS["train_layers"], hsic=False)
    assert set(values) == {n for n in VARIABLES if not n.endswith("_test") and "hsic" not in n}
    with pytest.raises(ValueError, match="measures='layerwise': needs 'layers'; give train_layers"):
        measure_arrays("layerwise", **ARRAYS)
    assert LAYERWISE.needs == ("train", "layers")


def test_vmapped_equals_alone_and_a_bad_layer_is_nan_alone():
    def snapshot(layers):
        flat = tuple(jnp.asarray(layer.reshape(len(layer), -1), jnp.float32) for layer in layers)
        return Snapshot(Probe(flat[-1], jnp.asarray(LABELS), layers=flat), num_classes=CLASSES)

    good = network(TRAIN)
    bad = [layer.copy() for layer in good]
    bad[0][0, 0, 0] = np.nan
    stacked = jax.tree.map(lambda *a: jnp.stack(a), snapshot(good), snapshot(bad))
    together = jax.jit(jax.vmap(lambda s: layerwise(s, hsic=False)))(stacked)
    alone = measure_arrays("layerwise", **ARRAYS, train_layers=good, hsic=False)
    for name, value in together.items():
        np.testing.assert_allclose(value[0], alone[name], rtol=1e-4)
        np.testing.assert_allclose(value[1, 1], alone[name][1], rtol=1e-4)
        assert np.isnan(value[1, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_layers": []}, "train_layers: empty"),
        ({"train_layers": [np.ones((3, 2))]}, r"train_layers\[0\]: shape \(3, 2\)"),
        ({"test_layers": [np.ones((60, 2))]}, "test_layers: 1 arrays; train_layers has 2"),
        ({"test_features": None, "test_labels": None}, "test_layers: given without test_features"),
    ],
)
def test_errors_name_the_argument(change, message):
    with pytest.raises(ValueError, match=message):
        measure_arrays("layerwise", **ARRAYS | LAYERS | change)
