"""MNIST: the embedded subset of the first 1000 training and all 10,000 test images, in the official order."""

import hashlib
import io
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax import config
from collapse_jax.errors import StoreError
from collapse_jax.tasks.base import Dataset, TaskInfo

ARCHIVE = pathlib.Path(__file__).parents[1] / "data" / "mnist_subset.npz"
SHA256 = "57e9609a6ab8987110d56eec7b583a5a8a96ba2c4988e251bb0fec578fb203be"
# Mean and standard deviation of the 60,000 training images, the customary constants.
MEAN, STD = 0.1307, 0.3081


def load(task: config.Task, archive: pathlib.Path = ARCHIVE) -> Dataset:
    """Load the subset as rows of 784 normalised pixels, (x / 255 - 0.1307) / 0.3081.

    Args:
      task: sizes; see `config.Task`.
      archive: the packed file.

    Returns:
      A `Dataset` with inputs [N, 784] float32.

    Raises:
      StoreError: the file is not the one that was packed.
    """
    packed = archive.read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise StoreError(f"{archive}: sha256 {found} is not {SHA256}; install the package again")
    with np.load(io.BytesIO(packed)) as arrays:
        test_size = task.test_size or len(arrays["test_labels"])
        return Dataset(
            train_inputs=_normalise(arrays["train_images"][: task.train_size]),
            train_labels=jnp.asarray(arrays["train_labels"][: task.train_size], jnp.int32),
            test_inputs=_normalise(arrays["test_images"][:test_size]),
            test_labels=jnp.asarray(arrays["test_labels"][:test_size], jnp.int32),
            num_classes=10,
        )


def _normalise(images: np.ndarray) -> jax.Array:
    pixels = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    return jnp.asarray((pixels - np.float32(MEAN)) / np.float32(STD))


MNIST = TaskInfo(load=load, train_size=1000, test_size=10_000)
