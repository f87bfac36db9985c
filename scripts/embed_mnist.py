"""Make collapse_jax/data/mnist_subset.npz from the four official MNIST files.

    python scripts/embed_mnist.py --source=DIR

DIR holds the official train-*-ubyte.gz and t10k-*-ubyte.gz. The subset is the first 1000 training images and
all 10,000 test images in the official order. The archive is written with fixed timestamps, so running the
script again gives the same bytes; its checksum is printed and kept in collapse_jax/tasks/mnist.py.
"""

import argparse
import gzip
import hashlib
import io
import pathlib
import zipfile

import numpy as np

SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
TRAIN_SIZE = 1000
TARGET = pathlib.Path(__file__).parents[1] / "collapse_jax" / "data" / "mnist_subset.npz"


def read_idx(path: pathlib.Path) -> np.ndarray:
    """Read an IDX file of bytes: two zero bytes, type 8, rank, sizes as big-endian int32, data."""
    packed = path.read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256[path.name]:
        raise SystemExit(f"{path.name}: sha256 {found} is not the official {SHA256[path.name]}")
    raw = gzip.decompress(packed)
    rank = raw[3]
    shape = np.frombuffer(raw, ">i4", rank, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def main() -> None:
    """Write the archive and print its size and checksum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    source = parser.parse_args().source
    arrays = {
        "train_images": read_idx(source / "train-images-idx3-ubyte.gz")[:TRAIN_SIZE],
        "train_labels": read_idx(source / "train-labels-idx1-ubyte.gz")[:TRAIN_SIZE],
        "test_images": read_idx(source / "t10k-images-idx3-ubyte.gz"),
        "test_labels": read_idx(source / "t10k-labels-idx1-ubyte.gz"),
    }
    TARGET.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(TARGET, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, buffer.getvalue(), zipfile.ZIP_LZMA)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes, sha256 {hashlib.sha256(TARGET.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
