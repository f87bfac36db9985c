"""Make collapse_jax/data/mnist_subset.npz from the four official MNIST files.

    python scripts/embed_mnist.py --source=DIR

DIR holds the official train-*-ubyte.gz and t10k-*-ubyte.gz. The subset is the first 1000 training images and
all 10,000 test images in the official order. The archive is written with fixed timestamps, so running the
script again gives the same bytes; its checksum is printed and kept in collapse_jax/tasks/mnist.py.
"""

import argparse
import hashlib
import io
import pathlib
import zipfile

import numpy as np

from collapse_jax.tasks import idx

TRAIN_SIZE = 1000
TARGET = pathlib.Path(__file__).parents[1] / "collapse_jax" / "data" / "mnist_subset.npz"


def main() -> None:
    """Write the archive and print its size and checksum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    source = parser.parse_args().source
    train, test = idx.read_splits("mnist", source)
    first, every = np.arange(TRAIN_SIZE), np.arange(test.size)
    arrays = {
        "train_images": train.inputs(first)[..., 0],
        "train_labels": train.labels(first),
        "test_images": test.inputs(every)[..., 0],
        "test_labels": test.labels(every),
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
