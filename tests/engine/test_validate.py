"""Wrong experiments from Python: each is refused by the name of its field."""

import dataclasses
import math

import pytest

from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.choices import filled
from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.identity import binding_fields, fingerprint

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
    ({"optimizer": Optimizer("adam")}, "optimizer.name"),
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
    ({"snapshots": Snapshots(test_size=20_000)}, "snapshots.test_size"),
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
    {"grid": Grid(weight_decay=(0.0, 1e300), seed=(0, 2**32 - 1))},
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


def test_the_fingerprint_names_what_binds_and_nothing_else():
    base = Experiment()
    assert fingerprint(dataclasses.replace(base, name="x", checkpoint_seconds=1.0)) == fingerprint(base)
    assert fingerprint(dataclasses.replace(base, steps=7)) != fingerprint(base)
    assert fingerprint(dataclasses.replace(base, grid=Grid(seed=(1,)))) != fingerprint(base)
    assert "thresholds.rnc1" not in binding_fields(base)
    assert "packing.devices" not in binding_fields(base)
