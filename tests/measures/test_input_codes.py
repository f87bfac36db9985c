"""The autoencoder behind codes="autoencoder": network, training, cache, and what the measure makes of it."""

import dataclasses
import functools
import itertools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from collapse_jax.errors import ConfigError
from collapse_jax.measures import measure_arrays
from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.estimators import autoencoder
from collapse_jax.measures.estimators.autoencoder import AutoencoderSettings, modules, reconstruction_error
from collapse_jax.measures.estimators.input_codes import fitted_parameters, input_codes, probe_codes
from collapse_jax.measures.families.mutual_information import mutual_information

# One network and one size of batches for all tests, which compile for as long as all of them run.
FAST = AutoencoderSettings(epochs=80, batch_size=60, learning_rate=5e-3, dropout=0.1)
ONCE = dataclasses.replace(FAST, epochs=1)
COUNT, SIDE = 120, 8
LABELS = np.arange(COUNT) % 2


@functools.cache
def stripes():
    """Images of one bright row each, whose place the label decides up to two rows."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.05, size=(COUNT, SIDE, SIDE))
    rows = 4 * LABELS + rng.integers(0, 3, COUNT)
    images[np.arange(COUNT), rows] += 1
    return images.astype(np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(("shape", "counted"), [((28, 28, 1), True), ((32, 32, 3), True), ((9, 12, 1), False)])
def test_layers_are_those_of_the_paper(shape, counted):
    """28 -> 14 -> 7 -> 4 -> 7 -> 14 -> 28, with 8, 16, 32 channels (16, 32, 64 for colour), 128 and 4 units."""
    encoder, decoder = modules(shape, AutoencoderSettings())
    images = jnp.zeros((2, *shape))
    encoded = jax.eval_shape(encoder.init, jax.random.key(0), images)
    decoded = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((2, 4)))
    code = jax.eval_shape(encoder.apply, encoded, images)
    assert code.shape == (2, 4)
    assert jax.eval_shape(decoder.apply, decoded, code).shape == (2, *shape)
    if counted:
        convolutions, width = 0, 8 if shape[2] == 1 else 16
        channels = [shape[2], width, 2 * width, 4 * width]
        for small, large in itertools.pairwise(channels):
            convolutions += 2 * 9 * small * large + small + large
        flat = channels[3] * 4 * 4
        dense = 2 * flat * 128 + 128 + flat + 2 * 4 * 128 + 4 + 128
        assert sum(leaf.size for leaf in jax.tree.leaves((encoded, decoded))) == convolutions + dense


def test_transposed_convolution_is_the_adjoint_in_size_and_sum():
    """A kernel of ones: every input pixel reaches the pixels of its 3 x 3 window, less what lies outside."""
    decoder = modules((28, 28, 1), AutoencoderSettings())[1]
    params = jax.tree.map(jnp.zeros_like, decoder.init(jax.random.key(0), jnp.zeros((1, 4))))
    layers = params["params"]
    layers["Dense_1"]["bias"] = layers["Dense_1"]["bias"] + 1.0
    for name in ("ConvTranspose_0", "ConvTranspose_1", "ConvTranspose_2"):
        layers[name]["kernel"] = layers[name]["kernel"] + 1 / layers[name]["kernel"].shape[2]
    image = np.asarray(decoder.apply(params, jnp.zeros((1, 4))))[0, :, :, 0]

    def expand(rows, size):
        """One axis of the same: output 2 i - 1 + t receives input i through tap t."""
        out = np.zeros((size, rows.shape[1]))
        for i, t in np.ndindex(len(rows), 3):
            if 0 <= 2 * i - 1 + t < size:
                out[2 * i - 1 + t] += rows[i]
        return out

    expected = np.ones((4, 4))
    for size in (7, 14, 28):
        expected = expand(expand(expected, size).T, size).T
    assert image == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow  # trains an autoencoder
def test_training_lowers_the_error_below_that_of_the_median_image(cache):
    """The best answer without a code is the median of every pixel."""
    images = stripes()[..., None]
    params = fitted_parameters(images, FAST, cache)
    baseline = np.mean(np.abs(images - np.median(images, axis=0)))
    assert reconstruction_error(params, images, FAST) < 0.9 * baseline
    again, losses = autoencoder.fit(images, ONCE)
    repeated, _ = autoencoder.fit(images, ONCE)
    assert losses.shape == (1,)
    assert optax.tree.norm(jax.tree.map(lambda a, b: a - b, again, repeated)) == 0


@pytest.mark.slow  # trains an autoencoder again and again
def test_cache_is_read_once_written_and_damage_is_repaired(cache, tmp_path, monkeypatch, caplog):
    input_codes(stripes(), settings=FAST, directory=cache)
    cache = shutil.copytree(cache, tmp_path / "copy")
    codes = input_codes(stripes(), settings=FAST, directory=cache)
    assert codes.shape == (COUNT, 4)
    assert np.all(np.std(codes, axis=0) > 0)
    trained = []
    fit = autoencoder.fit

    def counted(images, settings):
        trained.append(len(images))
        return fit(stripes()[..., None], ONCE)

    monkeypatch.setattr(autoencoder, "fit", counted)
    flat = stripes().reshape(COUNT, -1)
    np.testing.assert_array_equal(input_codes(flat, settings=FAST, directory=cache), codes)
    np.testing.assert_allclose(input_codes(flat[:7], flat, FAST, cache), codes[:7], atol=1e-5)
    assert not trained
    (path,) = cache.glob("*.msgpack")
    path.write_bytes(path.read_bytes()[:-9])
    input_codes(flat, settings=FAST, directory=cache)
    assert trained == [COUNT]
    assert "damaged; the autoencoder is trained anew" in caplog.text
    input_codes(flat[:60], settings=FAST, directory=cache)
    assert trained == [COUNT, 60]
    # A folder that cannot be written costs the next call the training, and this one nothing.
    blocked = path / "below_a_file"
    input_codes(flat[:60], settings=FAST, directory=blocked)
    assert "is not kept" in caplog.text
    assert not list(cache.glob(".*"))


@pytest.mark.slow  # compiles the largest measure
def test_measure_with_codes(cache, monkeypatch):
    """Features that know the label: I(Z;Y) = log 2, and X, which decides it, tells as much."""
    codes = input_codes(stripes(), settings=ONCE, directory=cache / "short")
    features = np.stack([LABELS, 1 - LABELS], axis=1) + 0.01 * np.random.default_rng(1).normal(size=(COUNT, 2))
    probe = Probe(jnp.asarray(features, jnp.float32), jnp.asarray(LABELS), inputs=jnp.asarray(stripes()))
    with pytest.raises(ConfigError, match=r"^codes='autoencoder': snapshot.prepared holds no codes"):
        mutual_information(Snapshot(probe, num_classes=2), codes="autoencoder")
    with pytest.raises(ConfigError, match=r"^codes='vae': unknown codes; known: autoencoder, pca"):
        mutual_information(Snapshot(probe, num_classes=2), codes="vae")
    monkeypatch.setattr("collapse_jax.system.runtime.cache_directory", lambda: cache)
    coded = probe_codes(Snapshot(probe, num_classes=2), settings=ONCE)
    assert coded.keys() == {"train"}
    np.testing.assert_allclose(coded["train"], codes, atol=1e-6)
    trained = fitted_parameters(stripes()[..., None], FAST, cache)
    monkeypatch.setattr(autoencoder, "fit", lambda images, settings: (trained, np.zeros(1)))
    arrays = {"train_features": features, "train_labels": LABELS}
    values = measure_arrays("mutual_information", **arrays, inputs=stripes(), codes="autoencoder", k=3)
    # The same codes given as inputs: a rotation of them is measured.
    given = measure_arrays("mutual_information", **arrays, inputs=input_codes(stripes()), k=3)
    assert values == pytest.approx(given, abs=1e-3)
    assert values["mi_zy"] == pytest.approx(np.log(2), abs=0.05)
    assert values["mi_zx"] > values["mi_zx_null"] + 0.15
    with pytest.raises(ConfigError, match=r"^codes='autoencoder': inputs: missing; there is nothing to encode"):
        measure_arrays("mutual_information", **arrays, codes="autoencoder")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((5, 60)), r"inputs: shape \(5, 60\); an autoencoder needs images"),
        (np.zeros((5, 4, 4)), r"inputs: shape \(5, 4, 4\); an autoencoder needs images"),
        (np.full((5, 8, 8), np.nan), "inputs: nan or infinite pixels"),
    ],
)
def test_what_is_no_image(inputs, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        input_codes(inputs)
