"""A plan that compiles nothing: operations and bytes against their formulas, and refusals."""

import dataclasses
import itertools

import pytest

from collapse_jax.engine import compile as programs
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Task
from collapse_jax.experiment.stopping import Stop
from collapse_jax.planning import plan

SIZES = (784, 50, 40, 10)
RUNS, BATCH = 12, 30


@pytest.fixture
def experiment(tiny):
    grid = Grid(weight_decay=(0.1,), seed=tuple(range(RUNS)), init_scale=(1.0,))
    return tiny(
        grid=grid, model=Model(hidden=SIZES[1:-1]), task=Task(train_size=100, test_size=50), batch_size=BATCH
    )


def test_operations_and_bytes_are_those_of_the_formulas(experiment, monkeypatch):
    def refuse(*_):
        raise AssertionError("compiled")

    monkeypatch.setattr(programs, "compile_for", refuse)
    found = plan(experiment, "tpu-v5e:2x2", fast=True)
    products = [a * b for a, b in itertools.pairwise(SIZES)]
    parameters = sum(products) + sum(SIZES[1:])
    flops = 2 * BATCH * (2 * sum(products) + sum(products[1:]))  # forward, weights, inputs of all but the first
    assert found.flops_per_run_step == flops
    held = 3 * 4 * parameters  # parameters and two moments
    assert found.bytes_per_run_step == pytest.approx(2 * held + 4 * BATCH * SIZES[0], rel=0.01)
    assert found.state_bytes == pytest.approx(RUNS / 4 * held, rel=0.01)
    assert (found.runs, found.devices, found.runs_per_tile) == (RUNS, 4, RUNS // 4)
    assert "nothing compiled: memory, traffic and time are lower bounds" in str(found)
    assert "in place" not in str(found)
    compute, traffic = found.flops_per_run_step / (197e12 / 6), found.bytes_per_run_step / 0.82e12
    assert found.seconds[0] == pytest.approx(3 * experiment.steps * max(compute, traffic))


def test_of_a_stop_rule_the_longest_time_is_told(experiment):
    """That of its last step; nothing is said where no rule is."""
    whole = plan(experiment, "tpu-v5e:2x2", fast=True)
    ruled = dataclasses.replace(experiment, stop=Stop(events=("fit",), at_least=4, at_most=experiment.steps // 2))
    found = plan(ruled, "tpu-v5e:2x2", fast=True)
    assert found.seconds[0] == pytest.approx(whole.seconds[0] / 2)
    (line,) = [line for line in str(found).splitlines() if "stop rule" in line]
    assert f"go on to step {experiment.steps // 2}; they may retire from step 4 on" in line
    assert "stop rule" not in str(whole)
    open_ended = dataclasses.replace(experiment, stop=Stop(events=("fit",)))
    assert plan(open_ended, "tpu-v5e:2x2", fast=True).seconds == whole.seconds


def test_what_does_not_fit_is_refused_with_the_shards_that_would(experiment):
    large = dataclasses.replace(experiment, model=Model(hidden=(20_000, 20_000)))
    with pytest.raises(ConfigError, match=r"grid='12 runs': take .*; cut it with --shard=i/2"):
        plan(large, "tpu-v5e:2x2", fast=True)
