"""The promise of the README, for every kind of model: with the default packing a run alone is that in a grid."""

import pytest
from runs import assert_same_bits, take, train

from collapse_jax.experiment.config import Grid, Model, Packing, Task

MODELS = {
    "mlp": Model(hidden=(8, 6)),
    "mlp_batch": Model(hidden=(8, 6), norm="batch"),
    "cnn": Model("cnn", width=2),
    "transformer": Model("transformer", width=8, heads=2, patch_size=7),
    "resnet18": Model("resnet18", width=2),
}


# The residual network takes longer to compile than all others.
@pytest.mark.bits
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "resnet18")) for n in MODELS])
def test_a_run_alone_is_the_run_in_a_grid_of_two(tiny, name):
    def runs(*seeds):
        grid = Grid(weight_decay=(0.1,), init_scale=(1.0,), seed=seeds)
        task = Task(train_size=40, test_size=20)
        return train(tiny(model=MODELS[name], grid=grid, task=task, batch_size=20, steps=4), layout=Packing())

    assert_same_bits(take(runs(2), 0), take(runs(1, 2), 1))
