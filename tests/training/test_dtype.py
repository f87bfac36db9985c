"""float64 sweeps against a numpy loop in float64, and against the same sweep in float32."""

import dataclasses

import jax
import numpy as np
import pytest
from runs import one
from test_optimizers import LEARNING_RATE, WEIGHT_DECAY, numpy_training

import collapse_jax
from collapse_jax import tasks
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.choices import filled
from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task
from collapse_jax.experiment.identity import fingerprint
from collapse_jax.experiment.keys import Purpose
from collapse_jax.training import init_run
from collapse_jax.training.batches import epoch_order
from collapse_jax.workdir.record import differing_fields
from collapse_jax.workdir.trees import TreeStore

STEPS, SEED, SIZE, BATCH = 15, 3, 50, 25
LAYERS = ("hidden_0", "hidden_1", "head")


def experiment(dtype):
    return Experiment(
        grid=Grid(weight_decay=(WEIGHT_DECAY,), learning_rate=(LEARNING_RATE,), init_scale=(2.0,), seed=(SEED,)),
        steps=STEPS,
        batch_size=BATCH,
        loss="squared_error_mean",
        dtype=dtype,
        task=Task(train_size=SIZE, test_size=40),
        model=Model(hidden=(7, 5)),
        measures=("fit", "collapse"),
        log=Schedule(rule="explicit"),
        snapshots=Snapshots(Schedule(rule="explicit", at=(0, STEPS)), ("parameters",), test_size=40),
    )


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
    """Train each type, in a process in which jax runs with its default type."""
    root = tmp_path_factory.mktemp("dtype")
    for dtype in ("float64", "float32"):
        collapse_jax.train(experiment(dtype), root / dtype)
    assert not jax.config.jax_enable_x64
    return root


def parameters(workdir, step):
    snapshots = TreeStore(workdir / "snapshots")
    leaves = snapshots.load(step)
    snapshots.close()
    return {name.removeprefix("parameters/"): leaf[0] for name, leaf in leaves.items()}


@pytest.mark.slow
def test_float64_is_a_numpy_loop(workdirs):
    """The batches are drawn here in a process of float32: their order depends on no type."""
    data = tasks.load(experiment("float64").task, "float64")
    key = jax.random.fold_in(jax.random.key(SEED), Purpose.BATCHES)
    orders = [np.asarray(epoch_order(key, epoch, SIZE, BATCH)) for epoch in range(-(-STEPS * BATCH // SIZE))]
    batches = np.concatenate(orders).reshape(-1, BATCH)[:STEPS]
    inputs = data.train_inputs.reshape(SIZE, -1)
    begun, trained = (parameters(workdirs / "float64", step) for step in (0, STEPS))
    weights = [(begun[f"{name}/kernel"], begun[f"{name}/bias"]) for name in LAYERS]
    examples = [(inputs[batch], data.train_labels[batch]) for batch in batches]
    expected = numpy_training(weights, filled(experiment("")).optimizer, "squared_error_mean", examples)
    for name, (kernel, bias) in zip(LAYERS, expected, strict=True):
        for found, wanted in ((trained[f"{name}/kernel"], kernel), (trained[f"{name}/bias"], bias)):
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert np.abs(trained["head/kernel"] - begun["head/kernel"]).max() > 1e-2


def test_both_types_begin_equal_and_stay_close(workdirs):
    for step, tolerance in ((0, 0), (STEPS, 1e-4)):
        wide, narrow = (parameters(workdirs / dtype, step) for dtype in ("float64", "float32"))
        for name, leaf in narrow.items():
            assert leaf.dtype == np.float32
            np.testing.assert_allclose(wide[name], leaf, rtol=0, atol=tolerance)


def test_all_that_is_kept_of_a_sweep_is_in_its_type(workdirs):
    checkpoints = TreeStore(workdirs / "float64" / "checkpoints")
    kept = {name: leaf.dtype for name, leaf in checkpoints.load(STEPS).items() if leaf.dtype.kind == "f"}
    checkpoints.close()
    assert {dtype for name, dtype in kept.items() if name.startswith("states/")} == {np.dtype("float64")}
    results = collapse_jax.open_results(workdirs / "float64")
    assert {str(variable.dtype) for variable in results.data_vars.values() if "step" in variable.dims} == {
        "float32"
    }


def test_measures_are_taken_in_its_type(workdirs):
    in_line = collapse_jax.open_results(workdirs / "float64")
    snapshots = collapse_jax.open_snapshots(workdirs / "float64")
    assert snapshots.snapshot(STEPS).train.features.dtype == np.float64
    snapshots.close()
    later = collapse_jax.measure(workdirs / "float64", "collapse", label="again")
    np.testing.assert_array_equal(later.nc1_again.sel(step=STEPS).values, in_line.nc1.sel(step=STEPS).values)


def test_the_type_binds_a_sweep_but_for_its_default():
    narrow, wide = experiment("float32"), experiment("float64")
    assert fingerprint(narrow) != fingerprint(wide)
    assert differing_fields(narrow, wide) == ["dtype is float32 there, float64 asked"]
    assert differing_fields(narrow, dataclasses.replace(narrow, name="other")) == []
    with pytest.raises(ConfigError, match=r"dtype='?float46'?: .*did you mean 'float64'"):
        collapse_jax.train(experiment("float46"), "nowhere")


def test_the_type_of_a_run_is_the_experiments_whatever_jax_does(tiny):
    """A float32 sweep that is measured in float64 keeps the bits of its initial parameters."""

    def begin():
        recipe, h, data = one(tiny(grid=Grid(init_scale=(0.3,), seed=(SEED,))))
        assert {recipe: 1}[recipe]  # hashable
        return jax.tree.map(np.asarray, init_run(recipe, h, data).params)

    narrow = begin()
    with jax.enable_x64(True):
        wide = begin()
    for a, b in zip(jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_array_equal(a, b)
