"""BatchNorm in the engine: statistics per run, whole in checkpoints and snapshots, untouched by padding."""

import shutil

import jax
import numpy as np
import pytest
import xarray as xr
from runs import one, train

import collapse_jax
from collapse_jax import tasks
from collapse_jax.errors import ConfigError
from collapse_jax.experiment import grid
from collapse_jax.experiment.config import Grid, Model, Optimizer, Packing, Schedule, Snapshots, Task, Training
from collapse_jax.training import init_run, make_recipe, network_of, observe, observe_run
from collapse_jax.training.hyperparameters import stack_hyperparameters
from collapse_jax.workdir.lock import one_writer
from collapse_jax.workdir.trees import TreeStore

BATCH_NORM = Model(hidden=(8, 6), norm="batch")
MEASURES = ("fit", "collapse", "norms")


@pytest.fixture(scope="module")
def states():
    from conftest import tiny_experiment

    return train(tiny_experiment(model=BATCH_NORM))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Train with a checkpoint at every boundary."""
    from conftest import tiny_experiment

    snapshots = Snapshots(Schedule(rule="explicit", at=(20,)), ("parameters",), 50)
    times = {"checkpoint_seconds": 1e-9, "chunk_seconds": 1e9}
    experiment = tiny_experiment(model=BATCH_NORM, measures=MEASURES, snapshots=snapshots, **times)
    workdir = tmp_path_factory.mktemp("batch_stats") / "sweep"
    return experiment, workdir, collapse_jax.train(experiment, workdir)


def test_each_run_has_its_own_statistics(states):
    means = states.batch_stats["norm_0"]["mean"]
    assert means.shape == (4, 8)
    assert len(np.unique(means[:, 0])) == 4
    assert np.all(states.batch_stats["norm_1"]["var"] > 0)


def test_a_batch_of_one_example_is_refused_also_where_the_model_does_not_say_that_it_normalises(tiny):
    experiment = tiny(model=BATCH_NORM, batch_size=33)
    (run, *_), data = grid.grid_runs(experiment.grid), tasks.load(experiment.task)
    hparams = jax.tree.map(lambda leaf: leaf[0], stack_hyperparameters([run]))
    with pytest.raises(ConfigError, match=r"batch_size=33: BatchNorm needs 2 examples in every batch"):
        jax.eval_shape(lambda: init_run(make_recipe(experiment, data), hparams, data))


def test_where_the_loop_is_cut_changes_no_bit(tiny, states):
    jax.tree.map(np.testing.assert_array_equal, states, train(tiny(model=BATCH_NORM), cuts=(1, 9, 33)))


def test_vmapped_tiles_agree_to_tolerance(tiny):
    """By SGD: a bias before BatchNorm has no gradient but rounding, of which Adam makes steps of full length."""
    experiment = tiny(model=BATCH_NORM, optimizer=Optimizer("sgd"), loss="cross_entropy")
    alone, tiled = (train(experiment, layout=packing) for packing in (None, Packing(2, 2)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), alone.batch_stats, tiled.batch_stats)


def test_a_run_alone_equals_the_same_run_in_the_grid(tiny, states):
    alone = train(tiny(model=BATCH_NORM, grid=Grid(weight_decay=(0.01,), seed=(2,), init_scale=(1.0,))))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[3]), alone, states)


@pytest.mark.slow  # compiles a sweep for one step
def test_a_sweep_continues_from_a_checkpoint_to_the_same_bits(swept, tmp_path):
    experiment, workdir, results = swept
    copy = tmp_path / "sweep"
    shutil.copytree(workdir, copy)
    with one_writer(copy) as lock:
        checkpoints = TreeStore(copy / "checkpoints", lock=lock)
        last = checkpoints.steps()[-1]
        expected = checkpoints.load(last)
        assert expected["states/batch_stats/norm_0/var"].shape == (4, 8)
        checkpoints.delete_after(last - 1)
        checkpoints.close()
    (copy / "results.nc").unlink()
    # The packing that the first call chose is what the second one asks for.
    again = collapse_jax.train(experiment, copy).drop_attrs(deep=False)
    xr.testing.assert_identical(again, results.drop_attrs(deep=False))
    again = TreeStore(copy / "checkpoints").load(last)
    for name, leaf in expected.items():
        np.testing.assert_array_equal(again[name], leaf, err_msg=name)


@pytest.mark.slow
def test_features_computed_again_are_those_of_the_running_statistics(swept, tmp_path):
    """Measures of stored parameters equal the in-line ones only if the statistics were stored with them."""
    _, workdir, results = swept
    copy = tmp_path / "sweep"
    shutil.copytree(workdir, copy)
    flat = TreeStore(copy / "snapshots").load(20)
    assert flat["parameters/batch_stats/norm_1/mean"].shape == (4, 6)
    collapse_jax.measure(copy, ("collapse", "norms"))
    again = xr.load_dataset(copy / "measures" / "collapse.nc", engine="h5netcdf")
    at = again.sel(step=[20, 40])
    names = [name for name in ("nc1", "rnc1", "nc2_condition", "rnc1_test_around_train") if name in at]
    assert names
    for name in names:
        np.testing.assert_allclose(at[name], results[name].sel(step=[20, 40]), rtol=1e-3, err_msg=name)


@pytest.mark.slow  # compiles two sweeps
def test_it_is_evaluated_with_running_or_with_batch_statistics(tiny, monkeypatch):
    """At step 0 the running statistics are 0 and 1, so that only those of the batch normalise."""
    monkeypatch.setattr(observe, "EVALUATION_BATCH", 49)  # the last batch would have one of 50, 99 or 148 examples
    for size in (20, 50, 99, 148):
        seen = {}
        for statistics in ("running", "batch"):
            experiment = tiny(
                model=BATCH_NORM, training=Training(batch_norm=statistics), task=Task(train_size=size, test_size=20)
            )
            recipe, h, data = one(experiment)
            state = init_run(recipe, h, data)
            seen[statistics] = observe_run(
                recipe, network_of(recipe, state, h, data), h, data, layers=True
            ).train.layers[0]
        dense = state.params["hidden_0"]
        kernel, bias = np.asarray(dense["kernel"], float), np.asarray(dense["bias"], float)
        pre = np.asarray(data.train_inputs, float).reshape(size, -1) @ kernel + bias
        np.testing.assert_allclose(seen["running"], np.maximum(pre / np.sqrt(1 + 1e-5), 0), atol=1e-5)
        ends = {20: [20], 50: [50], 99: [49, 99], 148: [49, 98, 148]}[size]
        parts = np.split(pre, ends[:-1])
        whole = np.concatenate([(p - p.mean(0)) / np.sqrt(p.var(0) + 1e-5) for p in parts])
        np.testing.assert_allclose(seen["batch"], np.maximum(whole, 0), atol=1e-4)


def test_snapshots_apply_the_network_as_it_is_evaluated(tmp_path, tiny):
    experiment = tiny(
        model=BATCH_NORM,
        training=Training(batch_norm="batch"),
        grid=Grid(weight_decay=(0.1,), init_scale=(1.0,), seed=(1, 2)),
        snapshots=Snapshots(Schedule(rule="explicit", at=(20,)), ("parameters",), 50),
        steps=20,
    )
    results = collapse_jax.train(experiment, tmp_path / "w")
    stored = collapse_jax.open_snapshots(tmp_path / "w")
    snapshot = stored.snapshot(20, {"seed": 2})
    stored.close()
    logits, _ = snapshot.apply(snapshot.params, snapshot.train.inputs)
    np.testing.assert_allclose(logits, snapshot.train.logits, rtol=1e-5, atol=1e-5)
    loss = np.mean(snapshot.loss(logits, snapshot.train.labels))
    np.testing.assert_allclose(results.train_loss.sel(step=20, seed=2).item(), loss, rtol=1e-5)
    with pytest.raises(ConfigError, match=r"training\.batch_norm='batches': .*did you mean 'batch'"):
        collapse_jax.train(tiny(training=Training(batch_norm="batches")), tmp_path / "v")
