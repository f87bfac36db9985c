"""The official files of MNIST and Fashion-MNIST, which carry the official order."""

import gzip
import hashlib
import pathlib

import numpy as np

from collapse_jax.errors import ConfigError
from collapse_jax.tasks.base import InMemory

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
SHA256 = {
    "mnist": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "fashion_mnist": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
}
TRAIN_SIZE, TEST_SIZE, NUM_CLASSES = 60_000, 10_000, 10


def are_there(dataset: str, folder: pathlib.Path) -> bool:
    """Whether `folder` holds the four files of a data set that comes in them."""
    return dataset in SHA256 and all((folder / name).is_file() for name in FILES)


def read_splits(dataset: str, folder: pathlib.Path) -> tuple[InMemory, InMemory]:
    """Read the training and test split: images [N, 28, 28, 1] uint8 and labels [N].

    Raises:
      ConfigError: a file is not the official one.
    """
    expected = zip(FILES, SHA256[dataset], strict=True)
    arrays = [_read(dataset, folder / name, sha256) for name, sha256 in expected]
    train_images, train_labels, test_images, test_labels = arrays
    return InMemory(train_images[..., None], train_labels), InMemory(test_images[..., None], test_labels)


def _read(dataset: str, path: pathlib.Path, sha256: str) -> np.ndarray:
    packed = path.read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256:
        raise ConfigError("task.dataset", dataset, f"{path}: sha256 {found} is not the official {sha256}")
    return parse(gzip.decompress(packed))


def parse(raw: bytes) -> np.ndarray:
    """Parse an IDX file of bytes: two zero bytes, type 8, rank, sizes as big-endian int32, data."""
    rank = raw[3]
    shape = np.frombuffer(raw, ">i4", rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)
