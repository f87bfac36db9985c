"""Wrong experiments from Python: each is refused by the name of its field."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import collapse_jax
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.choices import filled
from collapse_jax.experiment.config import (
    Experiment,
    Grid,
    Model,
    Optimizer,
    Packing,
    Schedule,
    Snapshots,
    Task,
    Thresholds,
)
from collapse_jax.experiment.cuts import AXES, Cut, parts
from collapse_jax.experiment.identity import binding_fields, fingerprint
from collapse_jax.experiment.schedule import schedule_steps
from collapse_jax.experiment.training import Levels, Rate, Training

WRONG = [
    ({"grid": Grid(weight_decay=(math.nan,))}, "grid.weight_decay"),
    ({"grid": Grid(learning_rate=(math.inf,))}, "grid.learning_rate"),
    ({"grid": Grid(learning_rate=(0.0,))}, "grid.learning_rate"),
    ({"grid": Grid(init_scale=(-1.0,))}, "grid.init_scale"),
    ({"grid": Grid(seed=(2**32,))}, "grid.seed"),
    ({"grid": Grid(seed=(True,))}, "grid.seed"),
    ({"grid": Grid(weight_decay=("0.1",))}, "grid.weight_decay"),
    ({"grid": Grid(weight_decay=(0.1, 0.2), learning_rate=(1.0, 2.0, 3.0), mode="zip")}, "grid.mode"),
    ({"grid": Grid(weight_decay=(0.1, 0.1), mode="zip")}, "grid"),
    ({"grid": Grid(mode="outer")}, "grid.mode"),
    ({"grid": {"seed": (1,)}}, "grid"),
    ({"steps": 2.5}, "steps"),
    ({"steps": 2**31}, "steps"),
    ({"batch_size": -1}, "batch_size"),
    ({"optimizer": Optimizer("gd")}, "batch_size"),
    ({"optimizer": Optimizer("rmsprop")}, "optimizer.name"),
    ({"optimizer": Optimizer(b2=1.0)}, "optimizer.b2"),
    ({"optimizer": Optimizer(eps=0.0)}, "optimizer.eps"),
    ({"optimizer": Optimizer(momentum=0.9)}, "optimizer.momentum"),
    ({"model": Model(hidden=())}, "model.hidden"),
    ({"model": Model(hidden=(200, 0))}, "model.hidden"),
    ({"model": Model(activation="rleu")}, "model.activation"),
    ({"model": Model(norm="group")}, "model.norm"),
    ({"model": Model(init="zero")}, "model.init"),
    ({"model": Model("resnet19")}, "model.name"),
    ({"model": Model(heads=8)}, "model.heads"),
    ({"model": Model("cnn", hidden=(200,))}, "model.hidden"),
    ({"model": Model("cnn", norm="batch")}, "model.norm"),
    ({"model": Model("resnet18", activation="gelu")}, "model.activation"),
    ({"model": Model("transformer", width=-1)}, "model.width"),
    ({"model": Model("transformer", width=10)}, "model.heads"),
    ({"model": Model("transformer", patch_size=0)}, "model.patch_size"),
    ({"model": Model("resnet18"), "task": Task(train_size=101)}, "batch_size"),
    ({"model": Model(norm="batch"), "batch_size": 1}, "batch_size"),
    ({"loss": "mse"}, "loss"),
    ({"measures": ()}, "measures"),
    ({"measures": ("fit", "fit")}, "measures"),
    ({"measures": ("colapse",)}, "measures"),
    ({"log": Schedule(rule="log")}, "log.rule"),
    ({"log": Schedule(points=0)}, "log.points"),
    ({"log": Schedule(rule="explicit", at=(-1,))}, "log.at"),
    ({"snapshots": Snapshots(content=("weights",))}, "snapshots.content"),
    ({"snapshots": Snapshots(test_size=1)}, "snapshots.test_size"),
    ({"task": Task(test_size=1)}, "snapshots.test_size"),
    ({"optimizer": Optimizer(eps=1e-60)}, "optimizer.eps"),
    ({"optimizer": Optimizer(b2=0.99999999)}, "optimizer.b2"),
    ({"grid": Grid(b2=(0.99999999,))}, "grid.b2"),
    ({"grid": Grid(learning_rate=(1e-60,))}, "grid.learning_rate"),
    ({"grid": Grid(weight_decay=(1e60,))}, "grid.weight_decay"),
    ({"grid": Grid(weight_decay=(0.1, 0.1 + 1e-12))}, "grid.weight_decay"),
    ({"training": Training(rate=Rate(factor=1e-60))}, "training.rate.factor"),
    ({"model": Model(hidden=(2**63,))}, "model.hidden"),
    ({"model": Model("transformer", width=2**63)}, "model.width"),
    ({"model": Model("transformer", depth=2**63)}, "model.depth"),
    ({"grid": Grid(width=(2**63,))}, "grid.width"),
    ({"grid": Grid(depth=(10**8,))}, "grid.depth"),
    ({"log": Schedule(points=2_000_000_000)}, "log.points"),
    ({"snapshots": Snapshots(schedule=Schedule(points=2_000_000_000))}, "snapshots.schedule.points"),
    ({"packing": Packing(runs_per_tile=2**63)}, "packing.runs_per_tile"),
    ({"task": Task(test_size=2**63)}, "task.test_size"),
    ({"training": Training(rate=Rate(warmup=2**63))}, "training.rate.warmup"),
    ({"training": Training(levels=Levels(steps=2**63))}, "training.levels.steps"),
    ({"loss": "cross_entropy", "grid": Grid(loss=("squared_error_sum",))}, "loss"),
    ({"optimizer": Optimizer(b1=0.5), "grid": Grid(b1=(0.9, 0.8))}, "optimizer.b1"),
    ({"snapshots": Snapshots(schedule=Schedule(at=(10**9,)))}, "snapshots.schedule.at"),
    ({"thresholds": Thresholds(train_accuracy=0.0)}, "thresholds.train_accuracy"),
    ({"checkpoint_seconds": 0.0}, "checkpoint_seconds"),
    ({"precision": "float16"}, "precision"),
]


@pytest.mark.parametrize(("fields", "field"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_field_is_named(fields, field):
    with pytest.raises(ConfigError) as error:
        validate(Experiment(**fields))
    assert str(error.value).startswith(f"{field}=")
    assert "\n" not in str(error.value)


LIMITS = [  # allowed by so much: the neighbours of what is refused above
    {"grid": Grid(weight_decay=(0.0, 1.2e-38, 3e38), seed=(0, 2**32 - 1))},
    {"grid": Grid(weight_decay=(0.0, 1e-60, 1e300)), "dtype": "float64"},
    {"grid": Grid(weight_decay=(0.1, 0.2), learning_rate=(1.0, 2.0), mode="zip")},
    {"grid": Grid(weight_decay=(0.1, 0.1, 0.2), seed=(1, 2, 1), mode="zip")},
    {
        "steps": 1,
        "log": Schedule(rule="explicit", at=(0, 1)),
        "snapshots": Snapshots(Schedule("explicit", at=(1,))),
    },
    {"steps": 2**31 - 1},
    {"batch_size": 0},
    {"batch_size": 1000},
    {"optimizer": Optimizer("gd"), "batch_size": 0},
    {"optimizer": Optimizer("gd"), "batch_size": 1000},
    {"optimizer": Optimizer("sgd", momentum=0.9)},
    {"optimizer": Optimizer(b1=0.0, b2=0.999999, eps=1e-30)},
    {"model": Model(hidden=(1,), activation="gelu", norm="layer", init="linear")},
    {"model": Model(norm="batch"), "batch_size": 2},
    {"model": Model("transformer", width=12, heads=4, patch_size=28)},
    {"model": Model("resnet18"), "task": Task(train_size=102)},
    {"loss": "cross_entropy"},
    {"measures": ("norms",)},
    {"log": Schedule(points=1)},
    {"snapshots": Snapshots(content=(), test_size=0)},
    {"task": Task(train_size=1000, test_size=10_000), "snapshots": Snapshots(test_size=10_000)},
    {"thresholds": Thresholds(train_accuracy=1.0)},
    {"checkpoint_seconds": 1e-9},
    {"precision": "default"},
]


@pytest.mark.parametrize("fields", LIMITS, ids=lambda value: str(value)[:60])
def test_the_last_allowed_value_is_taken_as_it_is(fields):
    experiment = Experiment(**fields)
    assert validate(experiment) == filled(experiment)


def test_whole_numbers_and_lists_become_the_declared_types():
    valid = validate(Experiment(grid=Grid(weight_decay=[0, 1], seed=3), checkpoint_seconds=5))
    assert valid.grid.weight_decay == (0.0, 1.0)
    assert valid.grid.seed == (3,)
    assert isinstance(valid.checkpoint_seconds, float)


def test_numbers_of_numpy_and_ranges_are_taken_and_whole_floats_are_whole_numbers():
    valid = validate(Experiment(steps=1e5, grid=Grid(learning_rate=np.logspace(-3, -1, 3), seed=range(3))))
    assert (valid.steps, valid.grid.seed) == (100_000, (0, 1, 2))
    assert type(valid.steps) is int
    assert valid.grid.learning_rate == pytest.approx((1e-3, 1e-2, 1e-1))
    assert validate(Experiment(steps=np.int64(7), batch_size=np.float32(5))).batch_size == 5
    for wrong in (2.5, True, "7", None):
        with pytest.raises(ConfigError, match=r"^steps=.*: must be a whole number$"):
            validate(Experiment(steps=wrong))


SAME = [
    {"seed": [1, 2, 3], "weight_decay": [0.1, 1]},
    {"seed": range(1, 4), "weight_decay": np.array([0.1, 1.0])},
    {"seed": np.arange(1, 4, dtype=np.uint8), "weight_decay": (np.float64(0.1), np.int32(1))},
    {"seed": np.array([1.0, 2.0, 3.0]), "weight_decay": [np.array(0.1), 1.0]},
    {"seed": jnp.arange(1, 4), "weight_decay": xr.DataArray([0.1, 1.0]).to_series()},
]


@pytest.mark.parametrize("axes", SAME, ids=str)
def test_however_numbers_are_given_they_are_the_same_sweep(axes):
    plain = Experiment(grid=Grid(seed=(1, 2, 3), weight_decay=(0.1, 1.0)))
    valid = validate(Experiment(grid=Grid(**axes)))
    assert valid == validate(plain)
    assert [*map(type, (*valid.grid.seed, *valid.grid.weight_decay))] == [int] * 3 + [float] * 2
    assert fingerprint(valid) == fingerprint(validate(plain))


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"seed": np.ones((2, 2))}, r"grid\.seed=.*: must be a whole number or several, in one dimension"),
        ({"weight_decay": [[0.1], [0.2]]}, r"grid\.weight_decay=.*: must be a number or several, in one dimension"),
        ({"weight_decay": np.array([0.1, np.nan])}, r"grid\.weight_decay=nan: must be finite"),
        ({"weight_decay": np.array([1j])}, r"grid\.weight_decay=1j: must be a number"),
        ({"seed": np.array([True])}, r"grid\.seed=True: must be a whole number"),
        ({"seed": np.array([])}, r"grid\.seed=\(\): an axis needs at least one value"),
        ({"seed": {1, 2}}, r"grid\.seed=\{1, 2\}: must be a whole number"),
    ],
    ids=str,
)
def test_arrays_that_are_no_list_of_numbers_are_refused(axes, said):
    with pytest.raises(ConfigError, match=f"^{said}$"):
        validate(Experiment(grid=Grid(**axes)))


def test_all_wrong_fields_are_told_at_once():
    """Of types, of values, of what depends on other fields, in all parts; what follows from a wrong one is not."""
    wrong = Experiment(
        steps=-1,
        batch_size=5000,
        loss="mse",
        precision="x",
        model=Model(activation="rleu", hidden=("a",), heads=3),
        optimizer=Optimizer("rmsprop"),
        grid=Grid(train_size=(100, 50), seed=(-1,)),
        task=Task(label_noise=2.0, order="sideways"),
        log=Schedule(rule="explicit", at=(10,)),
        snapshots=Snapshots(content=("weights",)),
        measures=("colapse",),
    )
    with pytest.raises(ConfigError) as error:
        validate(wrong)
    assert str(error.value).count("\n") == 0
    named = [one.field for one in error.value.each]
    assert len(named) == len(set(named))
    fields = {"steps", "loss", "precision", "model.activation", "model.hidden", "model.heads", "optimizer.name"}
    assert set(named) == fields | {
        "grid.seed",
        "task.label_noise",
        "task.order",
        "snapshots.content",
        "measures",
        "batch_size",
    }
    assert all(f"{one.field}=" in str(error.value) and one.allowed in str(error.value) for one in error.value.each)
    of_parts = Experiment(grid=Grid(train_size=(100, 50), loss=("mse", "squared_error_sum")), batch_size=70)
    with pytest.raises(ConfigError) as error:
        validate(of_parts)
    assert [one.field for one in error.value.each] == ["loss", "batch_size"]
    assert "(of the part grid.train_size=100, grid.loss=mse)" in str(error.value)
    assert "(of the part grid.train_size=50, grid.loss=mse)" in str(error.value)


def test_snapshots_hold_no_more_test_examples_than_the_task_measures():
    assert validate(Experiment(task=Task(test_size=20))).snapshots.test_size == 20
    assert validate(Experiment(task=Task(test_size=20), snapshots=Snapshots(content=()))).snapshots.test_size == 20
    assert validate(Experiment(snapshots=Snapshots(test_size=20_000))).snapshots.test_size == 10_000
    assert validate(Experiment(task=Task(test_size=20), snapshots=Snapshots(test_size=0))).snapshots.test_size == 0
    # A part is what its whole says: the smallest of them decides.
    grid = Grid(dataset=("mnist", "modular"))
    whole = validate(Experiment(task=Task(train_size=1000, modulus=32), grid=grid))
    assert whole.snapshots.test_size == 32**2 - 1000
    assert all(validate(part.experiment) == part.experiment for part in parts(whole, Cut(AXES)))


@pytest.mark.parametrize("wrong", [None, {}, "workdir", Experiment])
def test_what_is_no_experiment_is_refused(wrong, tmp_path):
    for call in (validate, lambda e: collapse_jax.train(e, tmp_path / "w")):
        with pytest.raises(ConfigError, match=r"^experiment=.*: must be an Experiment, as in train"):
            call(wrong)
    assert not (tmp_path / "w").exists()


def test_the_steps_of_a_long_sweep_are_few():
    """The reference rule, without a number for every step of the sweep."""
    steps = 2**31 - 1
    found = schedule_steps(Schedule(), steps)
    period = steps // 150
    assert found.tolist() == [*range(30), *range(30, 150, 10), *range(period, steps + 1, period), steps]
    for short in (1, 29, 31, 149, 151, 1000):
        every = np.arange(short + 1)
        period = max(short // 150, 1)
        kept = (every < 30) | ((every < 150) & (every % 10 == 0)) | (every % period == 0) | (every == short)
        assert schedule_steps(Schedule(), short).tolist() == every[kept].tolist()


def test_the_fingerprint_names_what_binds_and_nothing_else():
    base = Experiment()
    assert fingerprint(dataclasses.replace(base, name="x", checkpoint_seconds=1.0)) == fingerprint(base)
    assert fingerprint(dataclasses.replace(base, steps=7)) != fingerprint(base)
    assert fingerprint(dataclasses.replace(base, grid=Grid(seed=(1,)))) != fingerprint(base)
    assert "thresholds.rnc1" not in binding_fields(base)
    assert "packing.devices" not in binding_fields(base)
