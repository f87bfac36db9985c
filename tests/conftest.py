"""Set up jax once for all tests, as the command line does: two host devices, the hang-avoiding flag."""

import pathlib

import pytest

from collapse_jax.system import runtime

runtime.start(devices=2)

import jax  # noqa: E402

from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")

ROOT = pathlib.Path(__file__).parents[1]


def pytest_addoption(parser):
    """Let a user choose how long the fault injection goes on."""
    parser.addoption("--faults", type=int, default=0, help="random kills, and as many of each kind of damage")


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
