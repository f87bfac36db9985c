"""Cuts: every grid falls into disjoint parts whose union it is, and each part is an experiment of its own."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment import axes, config, grid, identity
from collapse_jax.experiment.axes import Grid
from collapse_jax.experiment.config import Model
from collapse_jax.experiment.cuts import AXES, SHARDS, Cut, Shard, next_cut, parse_shard, parts

SHARES = st.floats(0, 1, width=32, allow_subnormal=False)  # which the type of a sweep can tell apart


def axis(values):
    return st.lists(values, min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def grids(draw):
    decays, rates, seeds = axis(SHARES), axis(st.floats(2**-20, 1, width=32)), axis(st.integers(0, 2**32 - 1))
    if draw(st.booleans()):
        return Grid(weight_decay=draw(decays), learning_rate=draw(rates), seed=draw(seeds))
    length = draw(st.integers(1, 9))
    rows = st.lists(SHARES, min_size=length, max_size=length, unique=True).map(tuple)
    return Grid(weight_decay=draw(rows), learning_rate=(0.5,), seed=draw(axis(st.integers(0, 9)))[:1], mode="zip")


@given(grids(), st.integers(1, 40))
def test_shards_are_disjoint_and_their_union_is_the_grid(given, count):
    experiment = validate(config.Experiment(grid=given))
    shards = parts(experiment, Cut(SHARDS, count))
    runs = [tuple(run.items()) for part in shards for run in grid.grid_runs(part.experiment.grid)]
    whole = [tuple(run.items()) for run in grid.grid_runs(given)]
    assert len(runs) == len(set(runs)) == len(whole)
    assert set(runs) == set(whole)
    assert len(shards) == min(count, len(whole))
    sizes = [grid.number_of_runs(part.experiment.grid) for part in shards]
    assert max(sizes) - min(sizes) <= 1
    for part in shards:
        assert validate(part.experiment) == part.experiment


@given(st.integers(1, 6), st.integers(1, 6))
def test_divided_shards_are_all_the_finer_ones(slices, processes):
    divided = [Shard(i, slices).divided(p, processes) for i in range(slices) for p in range(processes)]
    assert {shard.count for shard in divided} == {slices * processes}
    assert sorted(shard.index for shard in divided) == list(range(slices * processes))


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/3", "1/0", "0/0", "1/2/3", "1 / 2", "0.5/2"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ConfigError, match="0 <= i < n"):
        parse_shard(text)


def test_a_shard_is_read():
    assert parse_shard("2/3") == Shard(2, 3)
    assert parse_shard(None) == Shard(0, 1)


def test_static_axes_are_cut_before_shards_and_a_leaf_is_not_cut():
    experiment = config.Experiment(grid=Grid(depth=(1, 2)))
    assert next_cut(experiment, 4) == Cut(AXES)
    part = parts(experiment, Cut(AXES))[0].experiment
    assert next_cut(part, 4) == Cut(SHARDS, 4)
    assert next_cut(part) is None


def test_every_combination_is_a_part_and_the_last_axis_is_the_fastest():
    experiment = config.Experiment(grid=Grid(train_size=(60, 100), depth=(1, 2)), model=Model(hidden=(12,)))
    found = parts(experiment, Cut(AXES))
    assert [p.name for p in found] == [
        "0-train_size=60_depth=1",
        "1-train_size=60_depth=2",
        "2-train_size=100_depth=1",
        "3-train_size=100_depth=2",
    ]
    assert [p.experiment.task.train_size for p in found] == [60, 60, 100, 100]
    assert [p.experiment.model.hidden for p in found] == [(12,), (12, 12)] * 2
    assert not any(axes.static_axes(p.experiment.grid) for p in found)


@pytest.mark.parametrize(
    ("axis", "value", "field", "becomes"),
    [
        ("dataset", "fashion_mnist", "task.dataset", "fashion_mnist"),
        ("label_noise", 0.2, "task.label_noise", 0.2),
        ("model", "cnn", "model.name", "cnn"),
        ("width", 7, "model.hidden", (7, 7, 7)),
        ("norm", "batch", "model.norm", "batch"),
        ("optimizer", "gd", "batch_size", 0),
        ("optimizer", "sgd", "batch_size", 100),
        ("loss", "cross_entropy", "loss", "cross_entropy"),
    ],
)
def test_an_axis_sets_its_field(axis, value, field, becomes):
    (part,) = parts(config.Experiment(grid=Grid(**{axis: (value,)})), Cut(AXES))
    assert identity.flatten(part.experiment)[field] == becomes


def test_every_static_axis_names_a_field_of_the_experiment():
    fields = identity.flatten(config.Experiment())
    assert {axes.AXES[name].field for name in axes.STATIC} <= fields.keys()
    assert {axes.AXES[name].field for name in axes.TRACED} - {""} <= fields.keys()


def test_width_and_depth_are_those_of_the_model_of_the_part():
    found = parts(config.Experiment(grid=Grid(model=("cnn", "transformer"), width=(8, 16))), Cut(AXES))
    assert [(p.experiment.model.name, p.experiment.model.width) for p in found] == [
        ("cnn", 8),
        ("cnn", 16),
        ("transformer", 8),
        ("transformer", 16),
    ]


def test_axes_without_values_do_not_bind():
    bound = identity.binding_fields(config.Experiment())
    assert not {f"grid.{name}" for name in axes.STATIC} & bound.keys()
    deep = config.Experiment(grid=Grid(depth=(3,)))
    assert identity.fingerprint(deep) != identity.fingerprint(config.Experiment())


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"train_size": (100, 100)}, "grid.train_size=.*twice"),
        ({"train_size": (100, 5000)}, r"task.train_size=5000.*\(of the part grid.train_size=5000\)"),
        ({"model": ("mlp", "MPL")}, "did you mean 'mlp'"),
        ({"dataset": ("mnist", "fashion_mnsit")}, "fashion_mnist"),
        ({"depth": (0,)}, r"grid.depth=0: must be in 1 \.\.\. 10000"),
        ({"depth": (2,)}, "hidden layers of one width"),
        ({"width": (-3,)}, "grid.width=.*must be >= 1"),
        ({"norm": ("batch", "group")}, "model.norm='group'"),
        ({"optimizer": ("adamw", "rmsprop")}, "optimizer.name='rmsprop'"),
        ({"loss": ("mse",)}, "loss='mse'"),
        ({"label_noise": (0.0, 1.5)}, "task.label_noise=1.5"),
        ({"train_size": ("many",)}, "grid.train_size=.*a whole number"),
        ({"seed": ()}, "grid.seed=.*needs at least one value"),
        ({"learning_rate": (0.0,)}, "grid.learning_rate=0.0: must be > 0"),
    ],
)
def test_wrong_axes_are_one_line(tiny, grid, message):
    given = dataclasses.replace(tiny().grid, **grid)
    with pytest.raises(ConfigError, match=message):
        validate(tiny(grid=given))
