"""MNIST: the embedded subset of the first 1000 training and all 10,000 test images, in the official order."""

import functools
import hashlib
import io
import pathlib

import numpy as np

from collapse_jax.errors import StoreError
from collapse_jax.experiment import config
from collapse_jax.tasks.assemble import assemble
from collapse_jax.tasks.base import Dataset, InMemory, TaskInfo

ARCHIVE = pathlib.Path(__file__).parents[1] / "data" / "mnist_subset.npz"
SHA256 = "57e9609a6ab8987110d56eec7b583a5a8a96ba2c4988e251bb0fec578fb203be"
SMALLEST_CLASS = 87  # of the embedded training images


def is_enough(task: config.Task) -> bool:
    """Whether the embedded images are what the task asks for: a balanced set needs each class in the first 1000."""
    most = 10 * SMALLEST_CLASS if task.balanced else MNIST.train_size
    return task.order == "official" and task.train_size <= most


def load(task: config.Task, archive: pathlib.Path = ARCHIVE) -> Dataset:
    """Load the subset as normalised images, (x / 255 - 0.1307) / 0.3081 unless the task says otherwise.

    Args:
      task: sizes and choices; see `config.Task`.
      archive: the packed file.

    Returns:
      A `Dataset` with inputs [N, 28, 28, 1] float32.

    Raises:
      StoreError: the file is not the one that was packed.
    """
    packed = archive.read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise StoreError(f"{archive}: sha256 {found} is not {SHA256}; install the package again")
    return assemble(task, "image", *_unpacked(packed), 10)


@functools.lru_cache(maxsize=1)
def _unpacked(packed: bytes) -> tuple[InMemory, InMemory]:
    """Return the training and the test images; a sweep asks for them several times, and each takes a while."""
    with np.load(io.BytesIO(packed)) as arrays:
        train, test = (
            InMemory(arrays[f"{part}_images"][..., None], arrays[f"{part}_labels"]) for part in ("train", "test")
        )
    return train, test


MNIST = TaskInfo(load=load, train_size=1000, test_size=10_000, num_classes=10)
