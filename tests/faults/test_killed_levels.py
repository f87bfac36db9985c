"""A network of handwritten digits, pruned and rewound, killed five times: the bits of an undisturbed one."""

import pathlib
import signal
import tempfile
import time

import harness
import numpy as np
import pytest
import sklearn.datasets
from harness import Child, assert_same_sweep, experiment

from collapse_jax.experiment.config import Model, Task, Training
from collapse_jax.experiment.training import Levels, Rate

FOLDER = tempfile.TemporaryDirectory()
KILLS, LEVEL = 5, 100
KERNELS = 64 * 300 + 300 * 100 + 100 * 10


def digits():
    """Write the 1,797 digits of scikit-learn, 1,300 for training, and return where."""
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    images, labels = images.astype(np.float32) / 16, labels.astype(np.int32)
    path = pathlib.Path(FOLDER.name) / "digits.npz"
    parts = {"train": slice(1300), "test": slice(1300, None)}
    np.savez(
        path,
        **{f"{n}_inputs": images[p] for n, p in parts.items()}
        | {f"{n}_labels": labels[p] for n, p in parts.items()},
    )
    return str(path)


WHAT = experiment(
    steps=4 * LEVEL,
    every=20,
    task=Task(digits(), train_size=1300),
    model=Model(hidden=(300, 100)),
    batch_size=128,
    training=Training(levels=Levels(LEVEL), rate=Rate(milestones=(66, 83), warmup=5)),
)

undisturbed = harness.undisturbed_sweep(WHAT)


@pytest.mark.slow
def test_levels_survive_five_kills(undisturbed, tmp_path, rng):
    workdir = tmp_path / "w"
    for _ in range(KILLS):
        child = Child(workdir, WHAT).until_line("compiled").until_saving()
        time.sleep(rng.uniform(0, 0.1))
        assert child.kill() == -signal.SIGKILL
    child = Child(workdir, WHAT)
    assert child.end() == 0, child.stderr
    assert_same_sweep(workdir, undisturbed)
    # After k times of pruning .8^k of the weights are left; the end is in the fourth level.
    left = KERNELS
    for _ in range(3):
        left -= round(0.2 * left)
    last = f"checkpoints/{4 * LEVEL}/states/mask"
    masks = [leaf for name, leaf in harness.state(workdir).items() if name.startswith(last) and "kernel" in name]
    np.testing.assert_array_equal(sum(mask.reshape(4, -1).sum(axis=1) for mask in masks), left)
