"""BatchNorm in the engine: statistics per run, whole in checkpoints and snapshots, untouched by padding."""

import itertools
import shutil

import jax
import numpy as np
import pytest
import xarray as xr

import collapse_jax
from collapse_jax import tasks
from collapse_jax.engine import packing
from collapse_jax.errors import ConfigError
from collapse_jax.experiment import grid
from collapse_jax.experiment.config import Grid, Model, Packing, Schedule, Snapshots
from collapse_jax.training import advance_run, init_run, make_recipe
from collapse_jax.training.hyperparameters import stack_hyperparameters
from collapse_jax.workdir.lock import one_writer
from collapse_jax.workdir.trees import TreeStore

BATCH_NORM = Model(hidden=(8, 6), norm="batch")
MEASURES = ("fit", "collapse", "norms")


def train(experiment, cuts=(), layout=None):
    runs = grid.grid_runs(experiment.grid)
    layout = packing.choose_layout(layout or Packing(1, 1), len(runs))
    data = tasks.load(experiment.task)
    recipe = make_recipe(experiment, data)
    data = packing.place(layout, data, shared=True)
    hparams = packing.place(layout, stack_hyperparameters(runs))
    states = packing.over_runs(layout, lambda h, d: init_run(recipe, h, d))(hparams, data)
    advance = packing.over_runs_in_place(layout, lambda s, h, d, a, b: advance_run(recipe, s, h, d, a, b))
    for start, stop in itertools.pairwise([0, *cuts, experiment.steps]):
        states = advance(states, hparams, data, np.int32(start), np.int32(stop))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(runs)], states)


@pytest.fixture(scope="module")
def states():
    from conftest import tiny_experiment

    return train(tiny_experiment(model=BATCH_NORM))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Train with a checkpoint at every boundary."""
    from conftest import tiny_experiment

    snapshots = Snapshots(Schedule(rule="explicit", at=(20,)), ("parameters",), 50)
    experiment = tiny_experiment(model=BATCH_NORM, measures=MEASURES, snapshots=snapshots, checkpoint_seconds=1e-9)
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


def test_vmapped_tiles_agree_to_tolerance(tiny, states):
    tiled = train(tiny(model=BATCH_NORM), layout=Packing(2, 2))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3), states.batch_stats, tiled.batch_stats)


def test_a_run_alone_equals_the_same_run_in_the_grid(tiny, states):
    alone = train(tiny(model=BATCH_NORM, grid=Grid(weight_decay=(0.01,), seed=(2,), init_scale=(1.0,))))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[3]), alone, states)


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
    xr.testing.assert_identical(collapse_jax.train(experiment, copy), results)
    again = TreeStore(copy / "checkpoints").load(last)
    for name, leaf in expected.items():
        np.testing.assert_array_equal(again[name], leaf, err_msg=name)


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
