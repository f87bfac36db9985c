"""Two real processes of one job, each on two devices; killed together, they continue to the same results."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
import xarray as xr

import collapse_jax

ROOT = pathlib.Path(__file__).parents[1]
STEPS = 40
CONFIG = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from conftest import tiny_experiment
from collapse_jax.config import Schedule

def get_config(arg=""):
    return tiny_experiment(log=Schedule(rule="explicit", at=tuple(range(0, {STEPS}, 2))), checkpoint_seconds=1e-9)
"""
ONE_OF_TWO = """
import sys, time
from collapse_jax import sweep
from collapse_jax.__main__ import main

checkpoint = sweep.Sweep._checkpoint

def slowly(self, step, states):  # so that the kill meets a sweep that is under way
    checkpoint(self, step, states)
    print("saved", step, flush=True)
    time.sleep(float(sys.argv[1]))

sweep.Sweep._checkpoint = slowly
sys.exit(main(sys.argv[2:]))
"""


def start_two(config, workdir, pause):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2"}
    command = [sys.executable, "-c", ONE_OF_TWO, str(pause), "train", "--distributed"]
    command += [f"--config={config}", f"--workdir={workdir}", "--config.packing.devices=2"]
    return [
        subprocess.Popen(
            command,
            env=os.environ | job | {"JAX_PROCESS_ID": str(index), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(2)
    ]


@pytest.mark.timeout(280)
def test_two_processes_killed_and_resumed_equal_one_process(tmp_path, tiny):
    config = tmp_path / "two.py"
    config.write_text(CONFIG)
    workdir = tmp_path / "two"
    killed = start_two(config, workdir, 0.3)
    for process in killed:
        for line in process.stdout:
            if line.startswith("saved") and int(line.split()[1]) >= 8:
                break
        else:
            raise AssertionError("ended before it could be killed")
    for process in killed:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not (workdir / "results.nc").exists()
    resumed = start_two(config, workdir, 0)
    outputs = [process.communicate(timeout=200)[0] for process in resumed]
    assert [process.returncode for process in resumed] == [0, 0], outputs
    assert all("continuing at step" in output for output in outputs), outputs
    assert all("2 of 4 runs" in output for output in outputs), outputs
    assert sorted(path.name for path in workdir.glob("shard-*")) == ["shard-0-of-2", "shard-1-of-2"]

    namespace: dict = {}
    exec(CONFIG, namespace)
    whole = collapse_jax.train(namespace["get_config"](), tmp_path / "one")
    merged = collapse_jax.open_results(workdir)
    xr.testing.assert_identical(merged.drop_attrs(deep=False), whole.drop_attrs(deep=False))
