import numpy as np
import pytest

from collapse_jax.experiment import grid
from collapse_jax.experiment.config import Grid
from collapse_jax.training.hyperparameters import stack_hyperparameters


def test_product_spans_all_combinations_with_the_last_axis_fastest():
    runs = grid.grid_runs(Grid(weight_decay=(0.1, 0.01), seed=(3, 4, 5)))
    assert [(r["weight_decay"], r["seed"]) for r in runs] == [
        (0.1, 3),
        (0.1, 4),
        (0.1, 5),
        (0.01, 3),
        (0.01, 4),
        (0.01, 5),
    ]


def test_zip_pairs_axes_and_repeats_single_values():
    runs = grid.grid_runs(Grid(weight_decay=(0.1, 0.01), learning_rate=(1e-3, 2e-3), seed=(7,), mode="zip"))
    assert [(r["weight_decay"], r["learning_rate"], r["seed"]) for r in runs] == [
        (0.1, 1e-3, 7),
        (0.01, 2e-3, 7),
    ]


def test_dimensions_are_the_swept_axes_and_always_weight_decay_and_seed():
    names, shape, coords = grid.grid_coordinates(Grid(learning_rate=(1e-3, 1e-2)))
    assert names == ("weight_decay", "learning_rate", "seed")
    assert shape == (1, 2, 1)
    assert coords["init_scale"] == ((), 8.0)


def test_keys_depend_on_the_own_seed_only():
    stacked = stack_hyperparameters(grid.grid_runs(Grid(weight_decay=(0.1, 0.01), seed=(3, 2**32 - 1))))
    import jax

    keys = jax.random.key_data(jax.vmap(lambda h: h.key(0))(stacked))
    np.testing.assert_array_equal(keys[0], keys[2])  # same seed, other weight decay
    assert not np.array_equal(keys[0], keys[1])
    alone = stack_hyperparameters(grid.grid_runs(Grid(weight_decay=(5.0,), seed=(2**32 - 1,))))
    np.testing.assert_array_equal(jax.random.key_data(jax.vmap(lambda h: h.key(0))(alone))[0], keys[1])


@pytest.mark.parametrize("purpose", [0, 1])
def test_purposes_have_different_keys(purpose):
    import jax

    h = jax.tree.map(lambda a: a[0], stack_hyperparameters(grid.grid_runs(Grid())))
    other = jax.random.key_data(h.key(1 - purpose))
    assert not np.array_equal(jax.random.key_data(h.key(purpose)), other)
