"""A network trained block after block, killed five times: the bits of an undisturbed one."""

import itertools

import harness
import numpy as np
import pytest
from harness import assert_same_sweep, experiment, killed

from collapse_jax.experiment.config import Model, Training
from collapse_jax.experiment.training import Rate

KILLS, STAGES, EVERY = 5, (25, 40, 30, 25), 10
PARTS = ("hidden_0", "hidden_1", "hidden_2", "head")
WHAT = experiment(
    steps=sum(STAGES),
    every=EVERY,
    model=Model(hidden=(200, 150, 100), norm="batch", dropout=0.1),
    training=Training(scheme="layerwise_sequential", stages=STAGES, rate=Rate(milestones=(15, 22), warmup=5)),
)

undisturbed = harness.undisturbed_sweep(WHAT)


@pytest.mark.slow
def test_stages_survive_five_kills(undisturbed, tmp_path, rng):
    workdir = tmp_path / "w"
    killed(workdir, WHAT, KILLS, rng)
    assert_same_sweep(workdir, undisturbed)
    # From one snapshot to the next those parts have moved whose stages lie between them, and no others.
    state = harness.state(workdir)
    steps = (*range(0, sum(STAGES), 3 * EVERY), sum(STAGES))
    for start, stop in itertools.pairwise(steps):
        for part, first, last in zip(PARTS, np.cumsum([0, *STAGES]), np.cumsum(STAGES), strict=False):
            before, after = (state[f"snapshots/{step}/parameters/{part}/kernel"] for step in (start, stop))
            assert np.array_equal(before, after) == (last <= start or first >= stop), (part, start, stop)
