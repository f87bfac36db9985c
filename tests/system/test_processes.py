"""Two real processes of one job, each on two devices; killed, or one of them stopped: the same bits in the end."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import xarray as xr

import collapse_jax
from collapse_jax.errors import ConfigError
from collapse_jax.system import processes

ROOT = pathlib.Path(__file__).parents[2]
STEPS = 40
CONFIG = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from conftest import tiny_experiment
from collapse_jax.experiment.config import Schedule

def get_config(arg=""):
    return tiny_experiment(log=Schedule(rule="explicit", at=tuple(range(0, {STEPS}, 2))), checkpoint_seconds=1e-9)
"""
ONE_OF_TWO = f"""
import sys, time
from collapse_jax.engine import sweep
from collapse_jax.__main__ import main

checkpoint = sweep.Sweep._checkpoint

def slowly(self, step, states):  # so that the kill meets a sweep that is under way
    checkpoint(self, step, states)
    print("saved", step, flush=True)
    time.sleep(float(sys.argv[1]) if step < {STEPS} else float(sys.argv[2]))

sweep.Sweep._checkpoint = slowly
sys.exit(main(sys.argv[3:]))
"""

PATIENCE = 150
STARTED: list["One"] = []


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class One:
    """A process of a job; what it says goes to a file, so that none waits for a reader."""

    def __init__(self, command, environment, path):
        self.path = path
        with path.open("w") as out:
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)

    @property
    def said(self):
        return self.path.read_text()

    def until_saved(self, step):
        """Return when it has saved this step or a later one."""
        deadline = time.monotonic() + PATIENCE
        while not any(int(found) >= step for found in re.findall(r"^saved (\d+)\n", self.said, re.MULTILINE)):
            assert self.process.poll() is None, f"ended too soon: {self.said}"
            assert time.monotonic() < deadline, f"has not saved step {step}: {self.said}"
            time.sleep(0.02)

    def end(self, timeout=PATIENCE):
        """Return the exit code; it may not wait for another for ever."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"has not ended: {self.said}")

    def kill(self):
        self.process.kill()
        self.process.wait()


def start_two(config, workdir, *pauses, last=0):
    """Start both; each pauses for so many seconds after every save, and for `last` after the one at the end."""
    job = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}", "JAX_NUM_PROCESSES": "2"}
    command = ["train", "--distributed", f"--config={config}", f"--workdir={workdir}", "--config.packing.devices=2"]
    both = [
        One(
            [sys.executable, "-c", ONE_OF_TWO, str(pauses[index]), str(last), *command],
            os.environ | job | {"JAX_PROCESS_ID": str(index), "PYTHONPATH": str(ROOT)},
            workdir.parent / f"said_{len(STARTED) + index}.txt",
        )
        for index in range(2)
    ]
    STARTED.extend(both)
    return both


@pytest.fixture(autouse=True)
def no_survivors():
    """End what a failed test leaves behind, which the next test of this worker would be blamed for."""
    yield
    for one in STARTED:
        one.kill()
    STARTED.clear()


def end(both, code):
    """Return what each said when all have ended with this code."""
    codes = [one.end() for one in both]
    said = [one.said for one in both]
    assert codes == [code] * len(both), "".join(
        f"exit code {found}:\n{text}" for found, text in zip(codes, said, strict=True)
    )
    return said


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "two.py"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Train the same grid in this process."""
    namespace: dict = {}
    exec(CONFIG, namespace)
    return collapse_jax.train(namespace["get_config"](), tmp_path_factory.mktemp("one") / "w")


def assert_merged(workdir, whole):
    merged = collapse_jax.open_results(workdir)
    xr.testing.assert_identical(merged.drop_attrs(deep=False), whole.drop_attrs(deep=False))


@pytest.mark.timeout(280)
@pytest.mark.slow
def test_two_processes_killed_and_resumed_equal_one_process(tmp_path, config, whole):
    workdir = tmp_path / "two"
    killed = start_two(config, workdir, 0.3, 0.3)
    for process in killed:
        process.until_saved(8)
    for process in killed:
        process.kill()
    assert not (workdir / "results.nc").exists()
    outputs = end(start_two(config, workdir, 0, 0), 0)
    assert all("continuing at step" in output for output in outputs), outputs
    assert all("2 of 4 runs" in output for output in outputs), outputs
    assert sorted(path.name for path in workdir.glob("parts/shard-*")) == ["shard-0-of-2", "shard-1-of-2"]
    assert_merged(workdir, whole)


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_signal_to_one_process_stops_both_and_the_same_command_continues_both(tmp_path, config, whole):
    """First to process 0, which the other needs until it has saved; then to process 1, when 0 is done and waits."""
    workdir = tmp_path / "two"
    both = start_two(config, workdir, 0.3, 0.3)
    for process in both:
        process.until_saved(4)
    both[0].process.send_signal(signal.SIGTERM)
    first, second = end(both, 75)
    assert "collapse-jax: SIGTERM: saved at step" in first
    assert "collapse-jax: SIGTERM of process 0: saved at step" in second

    both = start_two(config, workdir, 0, 0.3)
    both[0].until_saved(STEPS)
    assert "continuing at step" in both[0].said
    both[1].until_saved(8)
    both[1].process.send_signal(signal.SIGTERM)
    first, second = end(both, 75)
    assert "SIGTERM of process 1: nothing was unsaved" in first
    assert "collapse-jax: SIGTERM: saved at step" in second
    assert not (workdir / "results.nc").exists()

    outputs = end(start_two(config, workdir, 0, 0), 0)
    assert all("continuing at step" in output for output in outputs), outputs
    assert_merged(workdir, whole)


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_signal_to_one_process_stops_another_in_its_last_save(tmp_path, config):
    both = start_two(config, tmp_path / "two", 0, 0.5, last=2)
    both[0].until_saved(STEPS)
    both[1].process.send_signal(signal.SIGTERM)
    first, _ = end(both, 75)
    assert "saving at the end of this chunk" in first
    assert "SIGTERM of process 1: nothing was unsaved" in first


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_death_of_one_process_ends_the_other(tmp_path, config, whole):
    """Jax notices after 100 s; the other may have finished its share by then, and waits for the end of the job."""
    for dies in (1, 0):
        workdir = tmp_path / f"without_{dies}"
        both = start_two(config, workdir, 0.3, 0.3)
        for process in both:
            process.until_saved(8)
        both[dies].kill()
        assert both[1 - dies].end(timeout=200) != 0
        end(start_two(config, workdir, 0, 0), 0)
        assert_merged(workdir, whole)


def test_a_process_whose_partner_does_not_come_says_so_in_one_line_and_ends_with_2():
    """jax itself would abort, with a C++ stack."""
    code = "from collapse_jax.system import processes; processes.MEETING_SECONDS = 1.0; processes.start()"
    alone = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ
            | {
                "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}",
                "JAX_NUM_PROCESSES": "2",
                "JAX_PROCESS_ID": i,
            },
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in "01"
    ]
    for index, process in enumerate(alone):
        said = process.communicate()[1]
        assert process.returncode == 2, said
        assert said.startswith(
            f"collapse-jax: --distributed=True: no cluster: process {index} of 2, with 127.0.0.1:"
        )
        assert "waited 1 s, and not all have come" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_COORDINATOR_ADDRESS", "host"),
        ("JAX_COORDINATOR_ADDRESS", "host:"),
        ("JAX_NUM_PROCESSES", "two"),
        ("JAX_PROCESS_ID", "-1"),
    ],
)
def test_a_wrong_variable_of_the_job_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^{name}='{value}': must be"):
        processes.start()
