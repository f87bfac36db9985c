"""A sweep whose runs retire, killed three times: the bits of an undisturbed one, and the same runs retired."""

import harness
import pytest
from harness import assert_same_sweep, killed
from stopping_sweeps import RULE, sweep_of

from collapse_jax.workdir.results import open_results

# Checkpoints all the time, some of them in between the retirement of one run and of the next.
WHAT = sweep_of(RULE, checkpoint_seconds=1e-6)

undisturbed = harness.undisturbed_sweep(WHAT)


@pytest.mark.slow
def test_retired_runs_survive_three_kills(undisturbed, tmp_path, rng):
    workdir = tmp_path / "w"
    killed(workdir, WHAT, 3, rng)
    assert_same_sweep(workdir, undisturbed)
    retired = open_results(workdir).retired_at.values
    assert (retired >= 0).any()
    assert (retired < 0).any()
