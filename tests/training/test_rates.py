"""Rates of learning in time: closed forms, and a run whose rate changes against two with constant ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same_bits, begin, distance, one, take, train

from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Optimizer
from collapse_jax.experiment.training import Levels, Rate, Training
from collapse_jax.training import advance_run
from collapse_jax.training.rates import make_factor

SGD = Optimizer("sgd", momentum=0.9)


def test_the_closed_form():
    factor = make_factor(Rate(milestones=(6, 9), factor=0.1, warmup=4))
    found = [float(factor(jnp.int32(t))) for t in range(11)]
    np.testing.assert_allclose(found, [0.25, 0.5, 0.75, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01], rtol=1e-6)
    np.testing.assert_allclose(make_factor(Rate(warmup=2))(jnp.int32(0)), 0.5)


def test_a_constant_rate_is_no_part_of_the_program():
    assert make_factor(Rate()) is None
    assert make_factor(Rate(warmup=1)) is None


def test_after_a_milestone_a_run_goes_on_with_the_smaller_rate(tiny):
    grid = Grid(weight_decay=(0.1,), learning_rate=(1e-3,), init_scale=(1.0,), seed=(1,))
    rate = Training(rate=Rate(milestones=(23,), factor=0.25))
    experiment = tiny(grid=grid, optimizer=SGD, training=rate)
    recipe, h, data = one(tiny(grid=grid, optimizer=SGD))
    advance = jax.jit(lambda s, h, a, b: advance_run(recipe, s, h, data, a, b))
    half = advance(begin(recipe, h, data), h, 0, 23)
    end = advance(half, h.changed(learning_rate=h.learning_rate * 0.25), 23, 40)
    found = take(train(experiment), 0)
    assert distance(found.params, end.params) < 1e-6
    assert distance(found.params, take(train(tiny(grid=grid, optimizer=SGD)), 0).params) > 1e-3
    assert_same_bits(train(experiment), train(experiment, cuts=(22, 23, 24)))


def test_momentum_and_moments_are_axes_of_the_grid(tiny):
    """A traced value acts as the static one; several give several runs."""
    base = {"weight_decay": (0.1,), "init_scale": (1.0,), "seed": (1,)}
    for optimizer, values in (
        ("sgd", {"momentum": (0.0, 0.9)}),
        ("adamw", {"b1": (0.5, 0.9), "b2": (0.9, 0.999)}),
    ):
        traced = train(tiny(grid=Grid(**base, **values, mode="zip"), optimizer=Optimizer(optimizer)))
        for i in range(2):
            chosen = Optimizer(optimizer, **{name: value[i] for name, value in values.items()})
            static = train(tiny(grid=Grid(**base), optimizer=chosen))
            assert distance(take(traced, i).params, take(static, 0).params) < 2e-5
        assert distance(take(traced, 0).params, take(traced, 1).params) > 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training": Training(rate=Rate(milestones=(40,)))},
            r"training\.rate\.milestones=40: must be in 1 \.\.\. 39",
        ),
        ({"training": Training(rate=Rate(milestones=(9, 4)))}, r"training\.rate\.milestones=\(9, 4\): must ascend"),
        (
            {"training": Training(rate=Rate(milestones=(12,)), levels=Levels(10))},
            r"training\.rate\.milestones=12: must be in 1 \.\.\. 9, the steps of a level",
        ),
        ({"training": Training(rate=Rate(warmup=-1))}, r"training\.rate\.warmup=-1"),
        ({"grid": Grid(momentum=(0.9,))}, r"grid\.momentum=\(0\.9,\): adamw has none; it has b1, b2"),
        ({"grid": Grid(b1=(1.0,)), "optimizer": Optimizer("adamw")}, r"grid\.b1=.*must be in \[0, 1\)"),
    ],
)
def test_wrong_rates_are_refused(tiny, changes, message):
    with pytest.raises(ConfigError, match=message):
        validate(tiny(**changes))
