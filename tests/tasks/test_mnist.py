import gzip
import os
import pathlib

import numpy as np
import pytest

from collapse_jax.config import Task
from collapse_jax.errors import StoreError
from collapse_jax.tasks import mnist

OFFICIAL = (
    pathlib.Path(os.environ.get("COLLAPSE_JAX_DATA", pathlib.Path(__file__).parents[3] / "shared/data")) / "mnist"
)


def test_sizes_types_and_normalisation():
    data = mnist.load(Task(train_size=30, test_size=0))
    assert data.train_inputs.shape == (30, 784)
    assert data.test_inputs.shape == (10_000, 784)
    assert data.train_inputs.dtype == data.test_inputs.dtype == np.float32
    assert data.train_labels.dtype == np.int32
    # Black and white pixels: (0 - .1307) / .3081 and (1 - .1307) / .3081.
    assert data.test_inputs.min() == pytest.approx(-0.42421, abs=1e-5)
    assert data.test_inputs.max() == pytest.approx(2.82149, abs=1e-5)


def test_known_label_counts():
    data = mnist.load(Task())
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@pytest.mark.skipif(not OFFICIAL.exists(), reason="the official MNIST files are not here (COLLAPSE_JAX_DATA)")
def test_equals_the_official_files():
    data = mnist.load(Task())
    for part, count, inputs in (("train", 1000, data.train_inputs), ("t10k", 10_000, data.test_inputs)):
        raw = gzip.decompress((OFFICIAL / f"{part}-images-idx3-ubyte.gz").read_bytes())
        pixels = np.frombuffer(raw, np.uint8, count * 784, offset=16).reshape(count, 784)
        np.testing.assert_allclose(inputs, (pixels / 255 - 0.1307) / 0.3081, atol=1e-6)


def test_a_changed_archive_is_refused(tmp_path):
    damaged = bytearray(mnist.ARCHIVE.read_bytes())
    damaged[1000] ^= 1
    (tmp_path / "m.npz").write_bytes(damaged)
    with pytest.raises(StoreError, match="sha256"):
        mnist.load(Task(), tmp_path / "m.npz")
