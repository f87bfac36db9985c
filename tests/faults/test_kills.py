"""SIGKILL at random moments, also inside saves: each sweep ends with the bits of an undisturbed one."""

import os
import time

import numpy as np
import pytest
from harness import Child, assert_same_sweep, experiment

import collapse_jax

WHAT = experiment(steps=100, every=10)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed") / "sweep"
    collapse_jax.train(WHAT, workdir)
    return workdir


@pytest.mark.timeout(1200)
def test_sigkill_at_random_moments(undisturbed, tmp_path, request):
    """Three kills, one of them inside a save; with --faults=N, N of them over as many sweeps as it takes."""
    kills = request.config.getoption("--faults") or 3
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    sweep = began = in_saves = 0
    child = Child(tmp_path / "w0", WHAT).until_line("compiled")
    for kill in range(kills):
        if kill % 3 == 0:  # from the first save to the last
            child.until_saving()
            time.sleep(rng.uniform(0, 0.01))
            in_saves += 1
        elif kill % 3 == 1:  # while it trains
            time.sleep(rng.uniform(0, 1.0))
        else:  # anywhere, from the start of the process on
            child.kill()
            child = Child(tmp_path / f"w{sweep}", WHAT)
            time.sleep(rng.uniform(0, 4.0))
        if child.kill() == 0:
            assert_same_sweep(tmp_path / f"w{sweep}", undisturbed)
            sweep += 1
        else:
            began += 1
        child = Child(tmp_path / f"w{sweep}", WHAT)
        if kill + 1 < kills:
            child.until_line("compiled")
    assert child.end() == 0, child.stderr
    assert_same_sweep(tmp_path / f"w{sweep}", undisturbed)
    assert began >= kills // 2
    print(f"{began} kills, {in_saves} of them aimed at saves, {sweep + 1} sweeps")


def test_a_sweep_in_chunks_has_the_bits_of_one_without(undisturbed, tmp_path):
    import dataclasses

    whole = dataclasses.replace(WHAT, chunk_seconds=1e6, checkpoint_seconds=1e6)
    collapse_jax.train(whole, tmp_path / "whole")
    assert_same_sweep(tmp_path / "whole", undisturbed)
