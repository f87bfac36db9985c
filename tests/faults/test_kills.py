"""SIGKILL at random moments, also inside saves: each sweep ends with the bits of an undisturbed one."""

import os
import shutil
import signal
import subprocess
import sys
import time

import harness
import pytest
from harness import Child, assert_same_sweep, experiment

import collapse_jax

WHAT = experiment(steps=100, every=10)
MEASURING = """
import sys, time
from collapse_jax.__main__ import main
from collapse_jax.measuring import files
from collapse_jax.measuring import run as engine

engine.RUNS_TOGETHER, engine.SAVE_SECONDS = 1, 0.0
save = files.MeasureFile.save

def slowly(self):  # so that the signal meets a command that is under way
    save(self)
    print("saved", len(self.columns), flush=True)
    time.sleep(0.5)

files.MeasureFile.save = slowly
sys.exit(main(sys.argv[1:]))
"""

undisturbed = harness.undisturbed_sweep(WHAT)


@pytest.mark.slow
@pytest.mark.bits
@pytest.mark.timeout(1200)
def test_sigkill_at_random_moments(undisturbed, tmp_path, request, rng):
    """Three kills, one of them inside a save; with --faults=N, N of them over as many sweeps as it takes."""
    kills = request.config.getoption("--faults")
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


@pytest.mark.slow
def test_a_sweep_in_chunks_has_the_bits_of_one_without(undisturbed, tmp_path):
    import dataclasses

    whole = dataclasses.replace(WHAT, chunk_seconds=1e6, checkpoint_seconds=1e6)
    collapse_jax.train(whole, tmp_path / "whole")
    assert_same_sweep(tmp_path / "whole", undisturbed)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 75), pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.slow)],
)
def test_a_measure_that_is_ended_continues_and_takes_no_step_twice(undisturbed, tmp_path, number, code):
    workdir, whole = tmp_path / "w", tmp_path / "whole"
    for copy in (workdir, whole):
        shutil.copytree(undisturbed, copy)
    command = [sys.executable, "-c", MEASURING, "measure", f"--workdir={workdir}", "--measures=fit"]
    environment = os.environ | {"PYTHONPATH": str(harness.ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        said = iter(process.stdout.readline, "saved 2\n")
        assert "compiled" in "".join(said)
        process.send_signal(number)
        process.communicate()
    assert process.returncode == code
    file = workdir / "measures" / "fit.nc"
    done = collapse_jax.open_results(file).step.values.tolist()
    assert done == [0, 30]
    (workdir / "measures" / f".fit.nc.x.{2**22 + 1}.tmp").write_bytes(b"half")
    for step in done:  # a step that is done is not read again
        shutil.rmtree(workdir / "snapshots" / str(step))
    collapse_jax.measure(workdir, "fit")
    collapse_jax.measure(whole, "fit")
    assert [path.name for path in file.parent.iterdir()] == ["fit.nc"]
    assert collapse_jax.open_results(file).identical(collapse_jax.open_results(whole / "measures" / "fit.nc"))
