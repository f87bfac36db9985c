"""Set up jax once for all tests, as training does: two host devices, the flag against hanging."""

import gc
import os
import pathlib
import shutil
import zlib

import hypothesis
import numpy as np
import pytest

from collapse_jax.system import runtime

runtime.start(devices=2, training=True)

import jax  # noqa: E402
import shared_programs  # noqa: E402

import collapse_jax  # noqa: E402
from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
shared_programs.install()

# No test times the clock: on a busy machine anything may take long.
hypothesis.settings.register_profile("any_machine", deadline=None)
hypothesis.settings.load_profile("any_machine")

ROOT = pathlib.Path(__file__).parents[1]
# Programs of the tests run for a moment and are compiled for seconds: no optimisations by LLVM, XLA's plain emitter
# of fused operations (that of users' programs goes through MLIR and takes thrice as long), one LLVM module each.
FAST_TO_COMPILE = ["--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1"]
if jax.__version_info__ < (0, 11):  # a flag that XLA does not know ends the process
    FAST_TO_COMPILE.append("--xla_cpu_use_fusion_emitters=false")


def pytest_addoption(parser):
    """Let a user repeat the random tests, and choose how long the fault injection goes on."""
    parser.addoption("--seed", type=int, default=None, help="seed of the random tests; printed at the end of a run")
    parser.addoption("--faults", type=int, default=3, help="random kills of the slow part, and races")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Choose the seed of this run; the processes of pytest-xdist and hypothesis get it, too.

    Programs are compiled in a seventh of the time, which is most of the time of this suite. XLA's own passes, which
    decide what is computed in which order, are on. Tests of bits, and the right values of all measures, are marked
    and taken once more by `-m bits`, compiled as users' programs are.
    """
    if config.option.markexpr != "bits":
        os.environ["XLA_FLAGS"] = " ".join([*FAST_TO_COMPILE, os.environ.get("XLA_FLAGS", "")])
    if config.option.seed is None:
        config.option.seed = int.from_bytes(os.urandom(4), "little")
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(config.option.seed)


def pytest_collection_finish(session):
    """Leave what was imported to the end of the process: the garbage collector goes through the rest alone, rarely.

    Tracing makes many small objects, and a process of many tests keeps millions of them.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_xdist_auto_num_workers(config):
    """Give each core a process and one more, up to four, and named files one process for all of them.

    Tests of other processes wait for them: with one more two cores take a tenth less time.
    """
    named = all(".py" in name for name in config.args)
    return 0 if named else min(len(os.sched_getaffinity(0)) + 1, 4)


def pytest_terminal_summary(terminalreporter, config):
    """Print what repeats the random tests of this run."""
    terminalreporter.write_line(f"random tests: --seed={config.option.seed}")


@pytest.fixture
def rng(request):
    """Give a random test its generator, which depends on --seed and on the test's name alone."""
    return np.random.default_rng([request.config.option.seed, zlib.crc32(request.node.nodeid.encode())])


def tiny_experiment(**changes) -> Experiment:
    """Return four runs of a small network that train in a second; fields can be replaced."""
    fields = {
        "name": "tiny",
        "grid": Grid(weight_decay=(0.1, 0.01), seed=(1, 2), init_scale=(1.0,)),
        "steps": 40,
        "batch_size": 30,
        "task": Task(train_size=100, test_size=150),
        "model": Model(hidden=(16, 12)),
        "measures": ("fit", "norms"),
        "log": Schedule(rule="explicit", at=(0, 7, 20)),
        "snapshots": Snapshots(Schedule(rule="explicit", at=(20,)), content=(), test_size=50),
    }
    return Experiment(**fields | changes)


@pytest.fixture
def tiny():
    """Give tests the factory of small experiments."""
    return tiny_experiment


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Train a small sweep once for all tests: its experiment, workdir and results; copied, never changed."""
    content = Snapshots(Schedule(rule="explicit", at=(0, 11)), ("train", "test", "head", "parameters"), 50)
    experiment = tiny_experiment(snapshots=content, measures=("fit", "norms", "collapse"))
    workdir = tmp_path_factory.mktemp("finished") / "sweep"
    return experiment, workdir, collapse_jax.train(experiment, workdir)


@pytest.fixture(scope="module")
def stored(finished, tmp_path_factory):
    """Give a module a copy of the finished sweep of its own, in which it takes measures; without checkpoints."""
    copy = tmp_path_factory.mktemp("measured") / "sweep"
    shutil.copytree(finished[1], copy, ignore=shutil.ignore_patterns("checkpoints"))
    return copy
