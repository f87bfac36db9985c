import dataclasses
import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
from runs import assert_same_bits, take

from collapse_jax import tasks
from collapse_jax.experiment import grid
from collapse_jax.experiment.config import Grid, Optimizer, Packing
from collapse_jax.training import advance_run, has_finite_parameters, make_recipe, observe, observe_run
from collapse_jax.training import run as run_module
from collapse_jax.training.hyperparameters import stack_hyperparameters

LAYOUTS = [Packing(1, 1), Packing(2, 1), Packing(1, 2), Packing(2, 3)]


def train(experiment, cuts=(), layout=None):
    return runs.train(experiment, cuts, layout or experiment.packing)


def test_where_the_loop_is_cut_changes_no_bit(tiny):
    assert_same_bits(train(tiny()), train(tiny(), cuts=(1, 2, 9, 10, 33)))


def test_full_batch_descent_sees_all_examples_in_order(tiny):
    experiment = tiny(optimizer=Optimizer("gd"), batch_size=0, grid=Grid(learning_rate=(1e-5,), init_scale=(1.0,)))
    assert_same_bits(train(experiment), train(experiment, cuts=(13,)))


def test_a_run_alone_equals_the_same_run_in_any_grid_with_one_run_per_tile(tiny):
    whole = train(tiny(), layout=Packing(2, 1))
    alone = train(tiny(grid=Grid(weight_decay=(0.01,), seed=(2,), init_scale=(1.0,))), layout=Packing(1, 1))
    assert_same_bits(take(whole, 3), take(alone, 0))
    other_order = train(
        tiny(grid=Grid(weight_decay=(0.01, 0.1), seed=(9, 2, 1), init_scale=(1.0,))), layout=Packing(1, 1)
    )
    assert_same_bits(take(whole, 3), take(other_order, 1))


@pytest.mark.parametrize("layout", LAYOUTS[2:], ids=str)
def test_vmapped_tiles_and_padding_agree_to_tolerance(tiny, layout):
    experiment = tiny(grid=Grid(weight_decay=(0.1,), seed=(1, 2, 3, 4, 5), init_scale=(1.0,)))
    reference, tiled = train(experiment, layout=Packing(1, 1)), train(experiment, layout=layout)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), reference.params, tiled.params)


def test_weight_decays_of_a_seed_start_from_the_same_parameters(tiny):
    start = train(tiny(steps=0))
    assert_same_bits(take(start, 0).params, take(start, 2).params)
    assert not np.array_equal(start.params["head"]["kernel"][0], start.params["head"]["kernel"][1])


def test_initial_scale_multiplies_every_parameter(tiny):
    start = train(tiny(steps=0, grid=Grid(init_scale=(1.0, 8.0), seed=(0,))))
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(8 * leaf[0], leaf[1]), start.params)


def test_zero_gradient_decays_as_the_closed_form(tiny):
    """Without a gradient AdamW multiplies each parameter by 1 - eta lambda: dead units show it exactly."""
    experiment = tiny(steps=200, grid=Grid(weight_decay=(0.5,), learning_rate=(1e-2,), init_scale=(1.0,)))
    data = tasks.load(experiment.task)
    # A pixel that is constant zero in the data has no gradient into the first layer.
    inputs = jnp.asarray(data.train_inputs).at[:, 0].set(0.0)
    recipe = make_recipe(experiment, data)
    data = data.replace(train_inputs=inputs, train_labels=jnp.asarray(data.train_labels))
    h = take(stack_hyperparameters(grid.grid_runs(experiment.grid)), 0)
    start = runs.begin(recipe, h, data)
    end = jax.jit(lambda s: advance_run(recipe, s, h, data, 0, 200))(start)
    before, after = start.params["hidden_0"]["kernel"][0], end.params["hidden_0"]["kernel"][0]
    np.testing.assert_allclose(after, before * (1 - 1e-2 * 0.5) ** 200, rtol=1e-4)


def test_one_trace_serves_the_whole_schedule_and_grid(tiny, monkeypatch):
    traces = []
    original = run_module.update
    monkeypatch.setattr(run_module, "update", lambda *a: traces.append(1) or original(*a))
    monkeypatch.setattr(runs.programs, "__defaults__", ({},))
    train(tiny(), cuts=tuple(range(1, 40, 3)))
    # The loop body is traced once per compiled program (jax may trace a loop twice to fix its types).
    assert 1 <= len(traces) <= 2


def test_a_diverged_run_is_dated_and_hurts_no_neighbour(tiny):
    healthy = Grid(weight_decay=(0.1,), learning_rate=(1e-3, 2e-3), init_scale=(1.0,), seed=(1,))
    experiment = tiny(
        optimizer=Optimizer("sgd"), grid=dataclasses.replace(healthy, learning_rate=(1e-5, 1e3, 2e-5))
    )
    states = train(experiment)
    assert states.diverged_at.tolist()[::2] == [-1, -1]
    assert 0 < states.diverged_at[1] < 10
    without = train(dataclasses.replace(experiment, grid=dataclasses.replace(healthy, learning_rate=(1e-5, 2e-5))))
    assert_same_bits(take(states, 0), take(without, 0))
    assert_same_bits(take(states, 2), take(without, 1))


def test_divergence_at_the_last_step_is_seen(tiny):
    experiment = tiny(optimizer=Optimizer("sgd"), steps=1, grid=Grid(learning_rate=(1e38,), init_scale=(8.0,)))
    assert has_finite_parameters(train(experiment)).tolist() is False


def test_features_in_batches_equal_features_at_once(tiny, monkeypatch):
    experiment = tiny()
    data = jax.tree.map(jnp.asarray, tasks.load(experiment.task))
    recipe = make_recipe(experiment, data)
    h = take(stack_hyperparameters(grid.grid_runs(experiment.grid)), 0)
    params = runs.begin(recipe, h, data).params

    def observed():
        return jax.jit(lambda params, data: observe_run(recipe, params, h, data))(params, data)

    at_once = observed()
    for batch in (1, 7, 50):
        monkeypatch.setattr(observe, "EVALUATION_BATCH", batch)
        streamed = observed()
        np.testing.assert_allclose(streamed.test.features, at_once.test.features, atol=1e-5)
        np.testing.assert_allclose(streamed.train.logits, at_once.train.logits, atol=1e-5)


@pytest.mark.slow  # jax looks for leaks after every trace
def test_no_tracer_leaks(tiny, monkeypatch):
    monkeypatch.setattr(runs.programs, "__defaults__", ({},))
    gc.collect()
    gc.freeze()  # jax collects garbage after each trace, and a process of many tests has much that is none
    with jax.checking_leaks():
        train(tiny(steps=3))
