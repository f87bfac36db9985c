"""Block after block: each stage trains its block alone, and begins as a training does."""

import dataclasses

import numpy as np
import pytest
from runs import assert_same_bits, distance, train

from collapse_jax.experiment.config import Grid, Model, Training
from collapse_jax.models import HEAD
from collapse_jax.training.trees import LOCAL_HEADS

MODEL = Model(hidden=(8, 7, 6), norm="batch")
BLOCKS = [["hidden_0", "norm_0"], ["hidden_1", "norm_1"], ["hidden_2", "norm_2"]]
STAGES = (5, 9, 6, 4)
SEQUENTIAL = Training(scheme="layerwise_sequential", stages=STAGES)
SEQUENTIAL_GRID = Grid(weight_decay=(0.1,), learning_rate=(1e-2,), init_scale=(1.0,), seed=(1, 2))


@pytest.fixture(scope="module")
def sequential():
    """Return the experiment, and the states of two runs after each step of `AT`."""
    from conftest import tiny_experiment

    experiment = tiny_experiment(
        model=MODEL, training=SEQUENTIAL, grid=SEQUENTIAL_GRID, steps=sum(STAGES), batch_size=20
    )
    return experiment, {at: train(dataclasses.replace(experiment, steps=at)) for at in (0, 5, 6, 14, 20, 24)}


def test_a_stage_trains_its_block_alone(sequential):
    _, ends = sequential
    owned = [*BLOCKS, [HEAD]]
    for stage, (start, end) in enumerate([(0, 5), (5, 14), (14, 20), (20, 24)]):
        before, after = ends[start].params, ends[end].params
        for number, names in enumerate(owned):
            for name in names:
                moved = distance(before[name], after[name])
                assert (moved > 1e-3) if number == stage else (moved == 0), (stage, name)
        for number in range(3):
            name = f"head_{number}"
            moved = distance(before[LOCAL_HEADS][name], after[LOCAL_HEADS][name])
            assert (moved > 1e-3) if number == stage else (moved == 0), (stage, name)


def test_a_stage_begins_with_a_fresh_optimizer_and_the_first_batch(sequential):
    """Adam's first step is eta in every parameter that has a gradient, whatever its size."""
    _, ends = sequential
    before, after = (ends[at].params["hidden_1"]["kernel"] for at in (5, 6))
    np.testing.assert_allclose(np.abs(after - before * (1 - 1e-2 * 0.1)).max(), 1e-2, rtol=1e-3)


def test_the_first_stage_is_that_of_simultaneous_training(sequential, tiny):
    """No other block has a say in what happens to the first one."""
    experiment, ends = sequential
    simultaneous = train(dataclasses.replace(experiment, training=Training(scheme="layerwise"), steps=STAGES[0]))
    for name in BLOCKS[0]:
        np.testing.assert_array_less(distance(simultaneous.params[name], ends[5].params[name]), 1e-6)


@pytest.mark.bits
def test_stages_may_be_cut_anywhere(sequential):
    experiment, ends = sequential
    assert_same_bits(ends[24], train(experiment, cuts=(1, 5, 6, 13, 14, 22)))


def test_milestones_count_within_a_stage(sequential):
    """A factor of almost 0 after two steps: from then on nothing moves until the next stage begins."""
    experiment, _ = sequential
    rate = Training(scheme="layerwise_sequential", stages=STAGES).rate
    rate = dataclasses.replace(rate, milestones=(2,), factor=1e-30)
    stopped = dataclasses.replace(experiment, training=dataclasses.replace(SEQUENTIAL, rate=rate))
    states = {at: train(dataclasses.replace(stopped, steps=at)).params for at in (1, 2, 5, 6)}
    assert distance(states[1]["hidden_0"], states[2]["hidden_0"]) > 1e-4
    assert_same_bits(states[2]["hidden_0"], states[5]["hidden_0"])
    assert distance(states[5]["hidden_1"], states[6]["hidden_1"]) > 1e-4


def test_a_smaller_experiment_has_shorter_stages_that_add_up():
    for steps in (12, 6, 20):
        assert sum(SEQUENTIAL.scaled(steps / sum(STAGES)).stages) == steps
