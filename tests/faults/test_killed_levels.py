"""A sweep that prunes and rewinds, killed five times: it ends with the bits of an undisturbed one."""

import signal
import time

import harness
import numpy as np
import pytest
from harness import Child, assert_same_sweep, experiment

from collapse_jax.experiment.config import Training
from collapse_jax.experiment.training import Levels, Rate

KILLS, LEVEL = 5, 50
TRAINING = Training(levels=Levels(LEVEL), rate=Rate(milestones=(30,), warmup=5))
WHAT = experiment(steps=4 * LEVEL, every=10, training=TRAINING)

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
    # The masks of the end are those of the fourth level.
    last = f"checkpoints/{4 * LEVEL}/states/mask"
    masks = [leaf for name, leaf in harness.state(workdir).items() if name.startswith(last) and "kernel" in name]
    density = np.concatenate([mask.reshape(4, -1) for mask in masks], axis=1).mean(axis=1)
    np.testing.assert_allclose(density, 0.8**3, atol=1e-3)
