"""Sweeps that are disturbed: started as child processes or in this one, and compared with an undisturbed one."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import xarray as xr
from conftest import tiny_experiment

import collapse_jax
from collapse_jax.engine import sweep
from collapse_jax.errors import Preempted
from collapse_jax.experiment import identity
from collapse_jax.experiment.config import Packing, Schedule, Snapshots
from collapse_jax.workdir.results import open_results
from collapse_jax.workdir.trees import TreeStore

ROOT = pathlib.Path(__file__).parents[1]
CONTENT = ("train", "head", "parameters")
PATIENCE = 120.0
COMPILED = tempfile.TemporaryDirectory()  # programs that the child processes of a session share


def experiment(steps=40, every=10, **changes):
    """Return four runs that are logged, stored and checkpointed all the time; the packing is fixed."""
    at = tuple(range(0, steps, every))
    return tiny_experiment(
        steps=steps,
        log=Schedule("explicit", at=at),
        snapshots=Snapshots(Schedule("explicit", at=at[::3]), CONTENT, 50),
        checkpoint_seconds=1e-6,
        packing=Packing(devices=2, runs_per_tile=1),
        **changes,
    )


def undisturbed_sweep(what, finished={}):  # noqa: B006 - shared by all tests of the session
    """Make the fixture of a module that is the workdir of a sweep that nothing disturbed; not to be changed."""

    @pytest.fixture(scope="module")
    def undisturbed(tmp_path_factory):
        key = identity.fingerprint(what)
        if key not in finished:
            workdir = tmp_path_factory.mktemp("undisturbed") / "sweep"
            collapse_jax.train(what, workdir)
            finished[key] = workdir
        return finished[key]

    return undisturbed


class Child:
    """A sweep in a process of its own, as a user starts it."""

    def __init__(self, workdir, what, *arguments, folder=None):
        folder = folder or workdir.parent
        description = json.dumps(dataclasses.asdict(what))
        config = folder / f"{workdir.name}_config.py"
        config.write_text(
            "import json\nfrom collapse_jax.workdir.record import read_experiment\n"
            f"def get_config(arg=''):\n    return read_experiment({{'experiment': json.loads({description!r})}})\n"
        )
        command = [sys.executable, "-m", "collapse_jax", "train", f"--config={config}", "--nofigures"]
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": COMPILED.name,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        self.workdir = workdir
        self.stderr = ""
        self.process = subprocess.Popen(
            [*command, f"--workdir={workdir}", *arguments],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until_line(self, start):
        """Read until a line begins so."""
        for line in self.process.stderr:
            self.stderr += line
            if start in line:
                return self
        raise AssertionError(f"no line with {start!r}: {self.stderr}")

    def until_saving(self):
        """Return when a save is half-done (or the process has ended)."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            for name in ("checkpoints", "snapshots"):
                if any(self.workdir.glob(f"{name}/*.orbax-checkpoint-tmp*")):
                    return self
        return self

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self

    def end(self):
        """Return the exit code; what was said is in `stderr`."""
        self.stderr += self.process.communicate(timeout=PATIENCE)[1]
        assert "Traceback" not in self.stderr, self.stderr
        return self.process.returncode

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.communicate()
        return self.process.returncode


def stopped(what, workdir, step, **options):
    """Train a sweep in this process until SIGTERM comes while it logs a step; returns the workdir."""
    record = sweep.Sweep._record

    def signalled(self, at, *arguments):
        if at == step:
            os.kill(os.getpid(), signal.SIGTERM)
        record(self, at, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep.Sweep, "_record", signalled)
        with pytest.raises(Preempted):
            collapse_jax.train(what, workdir, **options)
    return workdir


def killed(workdir, what, kills, rng, *arguments):
    """Train a sweep that is killed so often while it saves, until it ends."""
    for _ in range(kills):
        child = Child(workdir, what, *arguments).until_line("compiled").until_saving()
        time.sleep(rng.uniform(0, 0.1))
        assert child.kill() == -signal.SIGKILL
    child = Child(workdir, what, *arguments)
    assert child.end() == 0, child.stderr


def state(workdir):
    """Everything that a sweep leaves, as arrays by name."""
    found = {}
    for name in ("checkpoints", "snapshots"):
        trees = TreeStore(workdir / name)
        steps = trees.steps()
        for step in steps[-1:] if name == "checkpoints" else steps:
            found |= {f"{name}/{step}/{leaf}": array for leaf, array in trees.load(step).items()}
    return found


def assert_same_sweep(workdir, reference):
    """Final states, every snapshot and the results have the same bits, and nothing half-written is left."""
    a, b = state(workdir), state(reference)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    results = [open_results(w).drop_attrs(deep=False) for w in (workdir, reference)]
    xr.testing.assert_identical(*results)
    left_over = [path for path in workdir.rglob("*") if "tmp" in path.name or path.name == "writer.lock"]
    assert not left_over, left_over


def damage(path, kind, rng):
    if kind == "delete":
        path.unlink()
    elif kind == "truncate":
        os.truncate(path, path.stat().st_size // 2)
    elif kind == "empty":
        os.truncate(path, 0)
    elif path.stat().st_size:
        content = bytearray(path.read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)


def files_of(workdir):
    return sorted(path for path in pathlib.Path(workdir).rglob("*") if path.is_file())
