"""Write sklearn's digits as a data set: 1,300 training and 497 test images of 8 x 8 pixels in 0 ... 1.

Command: python -m scripts.digits --file=digits.npz (needs scikit-learn)
"""

import argparse
import pathlib

import numpy as np

TRAIN = 1300


def write(file: pathlib.Path) -> None:
    """Write the file; which images train is drawn once and for all."""
    import sklearn.datasets

    digits = sklearn.datasets.load_digits()
    order = np.random.RandomState(0).permutation(len(digits.target))
    inputs, labels = (digits.data[order] / 16).astype(np.float32), digits.target[order]
    parts = {"train": slice(TRAIN), "test": slice(TRAIN, None)}
    arrays = {f"{name}_inputs": inputs[part] for name, part in parts.items()}
    np.savez_compressed(file, **arrays, **{f"{name}_labels": labels[part] for name, part in parts.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", required=True, type=pathlib.Path)
    write(**vars(parser.parse_args()))
