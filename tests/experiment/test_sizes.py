"""Reduced experiments keep what they do not name, and the ends of what the config is about."""

import copy
import dataclasses

import pytest

from collapse_jax.engine.validate import validate
from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Snapshots, Task, Training
from collapse_jax.experiment.sizes import reduced, require_argument, smoke
from collapse_jax.experiment.stopping import Stop
from collapse_jax.experiment.training import Levels, Rate


def whole():
    return Experiment(
        grid=Grid(weight_decay=(0.3, 0.1, 0.0), init_scale=(1.0, 8.0), seed=(1, 2, 3)),
        task=Task("fashion_mnist", train_size=3000, label_noise=0.1),
        model=Model(hidden=(200, 100), norm="layer"),
        optimizer=Optimizer("sgd", momentum=0.5),
        snapshots=Snapshots(content=("parameters",)),
    )


def test_only_what_is_named_is_reduced():
    before = whole()
    kept = copy.deepcopy(before)
    small = reduced(before, steps=50, points=7, snapshots=3, test_examples=20, seed=(9,))
    assert before == kept
    assert small.grid == Grid(weight_decay=(0.3, 0.1, 0.0), init_scale=(1.0, 8.0), seed=(9,))
    assert (small.steps, small.log.points, small.snapshots.schedule.points) == (50, 7, 3)
    assert (small.task.train_size, small.task.test_size, small.task.label_noise) == (3000, 20, 0.1)
    assert (small.model, small.optimizer, small.snapshots.content) == (kept.model, kept.optimizer, ("parameters",))


def test_a_stop_rule_shrinks_with_the_steps():
    before = dataclasses.replace(whole(), steps=1000, stop=Stop(("fit",), 1.5, at_least=100, at_most=800))
    assert reduced(before, steps=50).stop == Stop(("fit",), 1.5, at_least=5, at_most=40)
    assert reduced(whole(), steps=50).stop == Stop()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"weight_decay": (0.3, 0.0), "init_scale": (1.0,), "seed": (1,)}),
        ({"weight_decay": (0.1,)}, {"weight_decay": (0.1,), "init_scale": (1.0, 8.0), "seed": (1,)}),
        ({"norm": ("none", "layer", "batch")}, {"norm": ("none", "batch"), "weight_decay": (0.3,), "seed": (1,)}),
        ({"train_size": (1000, 3000)}, {"train_size": (20, 60), "weight_decay": (0.3,)}),
        (
            {"mode": "zip", "weight_decay": (1.0, 2.0, 3.0), "init_scale": (1.0,)},
            {"mode": "zip", "weight_decay": (1.0, 3.0), "init_scale": (1.0,), "seed": (1, 3)},
        ),
    ],
)
def test_a_smoke_has_the_ends_of_one_axis(changes, expected):
    before = whole()
    before.grid = Grid(**vars(before.grid) | changes)
    small = smoke(before)
    assert {name: getattr(small.grid, name) for name in expected} == expected
    assert small.model == Model(hidden=(16, 16), norm="layer")
    assert (small.batch_size, small.task.train_size) == (20, 60)


@pytest.mark.parametrize(
    ("model", "axes", "expected", "widths"),
    [
        (Model("resnet34"), {}, Model("resnet34", width=4), ()),
        (Model("own.py:MODEL"), {}, Model("own.py:MODEL"), ()),
        (Model("own.py:MODEL", width=64), {}, Model("own.py:MODEL", width=4), ()),
        (Model("transformer", width=96, heads=3), {}, Model("transformer", width=18, heads=3), ()),
        (Model(), {"model": ("mlp", "cnn")}, Model(hidden=(16,) * 3, width=16), ()),
        (Model(), {"model": ("cnn", "transformer")}, Model(width=16), ()),
        (Model(), {"model": ("mlp", "own.py:MODEL")}, Model(), ()),
        (Model(), {"width": (500, 100, 200)}, Model(hidden=(16,) * 3), (32, 16)),
        (Model("cnn"), {"width": (64,)}, Model("cnn", width=4), (4,)),
        (Model(), {"model": ("mlp", "cnn"), "width": (8, 512)}, Model(hidden=(16,) * 3, width=16), (16,)),
    ],
)
def test_a_smoke_shrinks_what_models_of_the_grid_have(model, axes, expected, widths):
    small = smoke(Experiment(model=model, grid=Grid(**axes)))
    assert (small.model, small.grid.width) == (expected, widths)
    if "own" not in f"{model} {axes}" and model.name != "transformer":
        validate(small)


def test_levels_and_rates_shrink_with_the_steps():
    training = Training(rate=Rate(milestones=(30, 40), warmup=10), levels=Levels(50))
    small = smoke(Experiment(steps=200, training=training))
    assert small.training == Training(rate=Rate(milestones=(3, 4), warmup=1), levels=Levels(5))
    validate(small)
    validate(smoke(Experiment(steps=200, training=training), steps=4))


def test_the_full_batch_stays_full():
    assert smoke(Experiment(batch_size=0)).batch_size == 0


def test_unknown_arguments_are_refused():
    require_argument("")
    require_argument("300k", ("300k",))
    with pytest.raises(ValueError, match="'full': must be cpu or smoke or nothing"):
        require_argument("full")
