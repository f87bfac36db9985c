"""What is chosen by name has its own options, alone and beside other choices in one grid."""

import dataclasses
import json
import pathlib

import pytest
import xarray as xr

import collapse_jax
from collapse_jax import models, training
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment import choices, identity
from collapse_jax.experiment.axes import placed
from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Task
from collapse_jax.experiment.task_choices import MODULAR
from collapse_jax.workdir.record import read_experiment

ROOT = pathlib.Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "docs").rglob("results.nc"))


def test_every_model_and_optimizer_has_a_class_of_options_that_a_config_can_set():
    assert choices.CHOICES["model"].keys() == models.MODELS.keys()
    assert choices.CHOICES["optimizer"].keys() == training.OPTIMIZERS.keys()
    assert all(choices.CHOICES["model"][name] is info.options for name, info in models.MODELS.items())
    for group, kinds in choices.CHOICES.items():
        fields = {item.name for item in dataclasses.fields(getattr(Experiment(), group)) if item.default is None}
        assert fields == {name for kind in kinds.values() for name in choices.names_of(kind)}


def test_what_is_not_given_is_filled_in_and_is_the_same_experiment():
    plain, said = (
        Experiment(),
        Experiment(model=Model(hidden=(200, 200, 200), norm="none"), optimizer=Optimizer(b1=0.9)),
    )
    assert validate(plain) == validate(said)
    assert identity.fingerprint(plain) == identity.fingerprint(said) == identity.fingerprint(validate(plain))
    assert validate(plain).model == Model(
        "mlp", "default", (200, 200, 200), "relu", True, "none", True, dropout=0.0
    )
    assert validate(plain).optimizer == Optimizer("adamw", 0.9, 0.999, 1e-8, decay="all")
    assert identity.fingerprint(plain) != identity.fingerprint(Experiment(model=Model(hidden=(200, 200))))
    cnn = validate(Experiment(model=Model("cnn", width=8))).model
    assert cnn == Model("cnn", activation="relu", last_layer_act=True, width=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": Model("cnn", hidden=(200,))},
            r"model.hidden=\(200,\): the model 'cnn' has no such field; it has width",
        ),
        ({"model": Model(heads=4)}, "model.heads=4: the model 'mlp' has no such field; it has hidden, activation"),
        (
            {"optimizer": Optimizer(momentum=0.0)},
            "optimizer.momentum=0.0: the optimizer 'adamw' .* it has b1, b2, eps, decay$",
        ),
        (
            {"optimizer": Optimizer("sgd", b2=0.9)},
            "optimizer.b2=0.9: the optimizer 'sgd' .* it has momentum, decay$",
        ),
        ({"task": Task(modulus=97)}, "task.modulus=97: only beside 'modular', not 'mnist'"),
        ({"model": Model(width=0)}, "model.width=0: the model 'mlp'"),
        ({"model": Model("cnn", width=0)}, "model.width=0: must be >= 1"),
        (
            {"grid": Grid(optimizer=("sgd", "gd")), "optimizer": Optimizer(eps=1e-8)},
            "optimizer.eps=1e-08: the optimizer 'sgd' or 'gd' has no such field",
        ),
        (
            {"grid": Grid(model=("mlp", "cnn")), "model": Model(heads=2)},
            "model.heads=2: the model 'mlp' or 'cnn' has no such field",
        ),
        ({"grid": Grid(norm=("none", "batch")), "model": Model("cnn")}, "model.norm='none': the model 'cnn'"),
    ],
)
def test_an_option_that_no_choice_of_the_grid_has_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        validate(Experiment(**changes))


def test_an_option_is_dropped_for_the_values_of_an_axis_that_do_not_have_it():
    grid = Grid(model=("mlp", "cnn", "transformer"), optimizer=("adamw", "sgd"), dataset=("mnist", "modular"))
    task = Task(modulus=11)
    e = Experiment(
        grid=grid, model=Model(hidden=(9,), width=12), optimizer=Optimizer(momentum=0.9, b2=0.5), task=task
    )
    assert placed(e, "model", "mlp").model == Model("mlp", "default", (9,), "relu", True, "none", True, dropout=0.0)
    assert placed(e, "model", "cnn").model == Model("cnn", activation="relu", last_layer_act=True, width=12)
    assert placed(e, "model", "transformer").model.hidden is None
    assert placed(e, "model", "transformer").model.width == 12
    assert placed(e, "optimizer", "sgd").optimizer == Optimizer("sgd", momentum=0.9, decay="all")
    assert placed(e, "optimizer", "adamw").optimizer == Optimizer("adamw", 0.9, 0.5, 1e-8, decay="all")
    assert placed(e, "dataset", "modular").task.modulus == 11
    assert placed(e, "dataset", "mnist").task.modulus is None
    own = placed(e, "model", "own.py:MODEL").model  # whose options are not known
    assert (own.hidden, own.width, own.norm) == ((9,), 12, None)


@pytest.mark.slow
def test_sgd_with_momentum_trains_beside_adamw_in_one_grid(tmp_path, tiny):
    """Each to the bits that it has alone, and momentum matters."""
    grid = Grid(weight_decay=(0.1,), seed=(1,), init_scale=(1.0,), learning_rate=(1e-5,))
    experiment = tiny(
        grid=dataclasses.replace(grid, optimizer=("adamw", "sgd")), optimizer=Optimizer(momentum=0.9), steps=20
    )
    together = collapse_jax.train(experiment, tmp_path / "grid").drop_attrs(deep=False)
    alone = {}
    for optimizer in (Optimizer("adamw"), Optimizer("sgd", momentum=0.9), Optimizer("sgd")):
        trained = collapse_jax.train(tiny(grid=grid, optimizer=optimizer, steps=20), tmp_path / repr(optimizer))
        alone[optimizer.name, optimizer.momentum] = trained.drop_attrs(deep=False)
    for name, momentum in (("adamw", None), ("sgd", 0.9)):
        xr.testing.assert_identical(together.sel(optimizer=name, drop=True), alone[name, momentum])
    assert not alone["sgd", 0.9].identical(alone["sgd", None])


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_committed_experiments_are_read_with_their_own_options(path):
    """Those of version 0.1 recorded the options of every choice, and a width of 0 for the model's own."""
    with xr.open_dataset(path, engine="h5netcdf") as results:
        record = json.loads(results.attrs["experiment"])
    read = read_experiment({"experiment": record})
    assert read.task.modulus == (record["task"].get("modulus") if read.task.dataset == MODULAR else None)
    for group, kinds in choices.CHOICES.items():
        given, written = getattr(read, group), dict(record[group])
        if getattr(read.grid, group):
            continue  # an axis, of whose values each has its own options
        for item in dataclasses.fields(kinds[given.name]):
            was = written.get(item.name, item.default)
            was = item.default if was == 0 and item.name in ("width", "depth") else was
            assert getattr(given, item.name) == (tuple(was) if isinstance(was, list) else was)
        choices.require_own(group, given, {given.name: kinds[given.name]})
