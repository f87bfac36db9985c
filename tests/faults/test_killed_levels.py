"""A network of handwritten digits, pruned and rewound, killed five times: the bits of an undisturbed one."""

import pathlib
import tempfile

import harness
import numpy as np
import pytest
from harness import assert_same_sweep, experiment, killed

from collapse_jax.experiment.config import Model, Task, Training
from collapse_jax.experiment.training import Levels, Rate
from scripts import digits

FOLDER = tempfile.TemporaryDirectory()
DIGITS = pathlib.Path(FOLDER.name) / "digits.npz"
KILLS, LEVEL = 5, 100
KERNELS = 64 * 300 + 300 * 100 + 100 * 10

digits.write(DIGITS)

WHAT = experiment(
    steps=4 * LEVEL,
    every=20,
    task=Task(str(DIGITS), train_size=digits.TRAIN),
    model=Model(hidden=(300, 100)),
    batch_size=128,
    training=Training(levels=Levels(LEVEL), rate=Rate(milestones=(66, 83), warmup=5)),
)

undisturbed = harness.undisturbed_sweep(WHAT)


@pytest.mark.slow
def test_levels_survive_five_kills(undisturbed, tmp_path, rng):
    workdir = tmp_path / "w"
    killed(workdir, WHAT, KILLS, rng)
    assert_same_sweep(workdir, undisturbed)
    # After k times of pruning .8^k of the weights are left; the end is in the fourth level.
    left = KERNELS
    for _ in range(3):
        left -= round(0.2 * left)
    last = f"checkpoints/{4 * LEVEL}/states/mask"
    masks = [leaf for name, leaf in harness.state(workdir).items() if name.startswith(last) and "kernel" in name]
    np.testing.assert_array_equal(sum(mask.reshape(4, -1).sum(axis=1) for mask in masks), left)
