import gzip

import numpy as np
import pytest
import shared_data

from collapse_jax import tasks
from collapse_jax.errors import ConfigError, StoreError
from collapse_jax.experiment.config import Task
from collapse_jax.tasks import idx, mnist

FOLDER = shared_data.FOLDER


def test_sizes_types_and_normalisation():
    data = mnist.load(Task(train_size=30, test_size=0))
    assert data.train_inputs.shape == (30, 28, 28, 1)
    assert data.test_inputs.shape == (10_000, 28, 28, 1)
    assert data.train_inputs.dtype == data.test_inputs.dtype == np.float32
    assert data.train_labels.dtype == np.int32
    # Black and white pixels: (0 - .1307) / .3081 and (1 - .1307) / .3081.
    assert data.test_inputs.min() == pytest.approx(-0.42421, abs=1e-5)
    assert data.test_inputs.max() == pytest.approx(2.82149, abs=1e-5)


def test_known_label_counts():
    data = mnist.load(Task())
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


@shared_data.needs("mnist")
def test_the_embedded_subset_is_the_start_of_the_official_files():
    embedded = tasks.load(Task())
    official = tasks.load(Task(train_size=1500, data_dir=str(FOLDER)))
    np.testing.assert_array_equal(embedded.train_inputs, official.train_inputs[:1000])
    np.testing.assert_array_equal(embedded.train_labels, official.train_labels[:1000])
    np.testing.assert_array_equal(embedded.test_inputs, official.test_inputs)
    raw = gzip.decompress((FOLDER / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())
    pixels = np.frombuffer(raw, np.uint8, 1500 * 784, offset=16).reshape(1500, 28, 28, 1)
    np.testing.assert_allclose(official.train_inputs, (pixels / 255 - 0.1307) / 0.3081, atol=1e-6)


@shared_data.needs("fashion_mnist")
def test_the_official_fashion_mnist():
    task = Task(dataset="fashion_mnist", train_size=3000, data_dir=str(FOLDER))
    info, data = tasks.check_task(task), tasks.load(task)
    assert (info.kind, info.train_size, info.test_size, info.num_classes) == ("image", 60_000, 10_000, 10)
    assert data.train_inputs.shape == (3000, 28, 28, 1)
    assert data.train_labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    train, test = idx.read_splits("fashion_mnist", FOLDER / "fashion_mnist")
    assert np.bincount(train.all_labels).tolist() == [6000] * 10
    assert np.bincount(test.all_labels).tolist() == [1000] * 10
    # The customary constants are its mean and standard deviation, to their four digits.
    assert train.all_inputs.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert train.all_inputs.std() / 255 == pytest.approx(0.3530, abs=1e-4)


@shared_data.needs("mnist")
def test_a_changed_official_file_is_refused(tmp_path):
    (tmp_path / "mnist").mkdir()
    for name in idx.FILES:
        (tmp_path / "mnist" / name).write_bytes((FOLDER / "mnist" / name).read_bytes() + b"x")
    with pytest.raises(ConfigError, match=r"train-images-idx3-ubyte.gz: sha256 .* is not the official 440fcabf"):
        tasks.load(Task(train_size=1001, data_dir=str(tmp_path)))


def test_a_changed_archive_is_refused(tmp_path):
    damaged = bytearray(mnist.ARCHIVE.read_bytes())
    damaged[1000] ^= 1
    (tmp_path / "m.npz").write_bytes(damaged)
    with pytest.raises(StoreError, match="sha256"):
        mnist.load(Task(), tmp_path / "m.npz")
