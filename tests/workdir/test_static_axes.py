"""Static axes: programs of one workdir, each a sweep like any other, whose results come back as one array."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import xarray as xr
from etils import epath

import collapse_jax
from collapse_jax import figures as plots
from collapse_jax import workdir as store
from collapse_jax.__main__ import main
from collapse_jax.analysis import tables
from collapse_jax.cli import parse as cli
from collapse_jax.engine import merge, shards, sweep
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError, Preempted, WorkdirError
from collapse_jax.experiment import axes, config, identity, static_axes
from collapse_jax.experiment.config import Grid, Model, Schedule, Snapshots, Thresholds
from collapse_jax.figures import registry
from collapse_jax.workdir.join_programs import join_programs, one_program

GRID = Grid(weight_decay=(0.1, 0.01), seed=(1, 2), init_scale=(1.0,), train_size=(60,), depth=(1, 2))
SNAPSHOTS = Snapshots(Schedule(rule="explicit", at=(20,)), ("parameters",), 50)


@pytest.fixture(scope="module")
def experiment():
    from conftest import tiny_experiment

    return tiny_experiment(
        grid=GRID, model=Model(hidden=(12,)), snapshots=SNAPSHOTS, measures=("fit", "norms", "balancedness")
    )


@pytest.fixture(scope="module")
def trained(experiment, tmp_path_factory):
    workdir = epath.Path(tmp_path_factory.mktemp("static") / "workdir")
    return workdir, collapse_jax.train(experiment, workdir)


def test_every_combination_is_a_program_and_the_last_axis_is_the_fastest(experiment):
    grid = dataclasses.replace(GRID, train_size=(60, 100))
    programs = static_axes.programs_of(dataclasses.replace(experiment, grid=grid))
    assert [p.name for p in programs] == [
        "0-train_size=60_depth=1",
        "1-train_size=60_depth=2",
        "2-train_size=100_depth=1",
        "3-train_size=100_depth=2",
    ]
    assert [p.experiment.task.train_size for p in programs] == [60, 60, 100, 100]
    assert [p.experiment.model.hidden for p in programs] == [(12,), (12, 12)] * 2
    assert not any(axes.static_axes(p.experiment.grid) for p in programs)


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
    (program,) = static_axes.programs_of(config.Experiment(grid=Grid(**{axis: (value,)})))
    assert identity.flatten(program.experiment)[field] == becomes


def test_width_and_depth_are_those_of_the_model_of_the_program():
    grid = Grid(model=("cnn", "transformer"), width=(8, 16))
    programs = static_axes.programs_of(config.Experiment(grid=grid))
    assert [(p.experiment.model.name, p.experiment.model.width) for p in programs] == [
        ("cnn", 8),
        ("cnn", 16),
        ("transformer", 8),
        ("transformer", 16),
    ]


def test_axes_without_values_leave_the_fingerprint_as_it_was():
    bound = identity.binding_fields(config.Experiment())
    assert not {f"grid.{name}" for name in axes.STATIC} & bound.keys()
    assert identity.fingerprint(config.Experiment(grid=Grid(depth=(3,)))) != identity.fingerprint(
        config.Experiment()
    )


def test_results_have_the_static_axes_in_front(trained):
    _, results = trained
    assert results.train_loss.dims == ("train_size", "depth", "weight_decay", "seed", "step")
    assert results.depth.values.tolist() == [1, 2]
    assert results.train_loss.notnull().all()
    assert results.attrs["experiment"]
    assert (results.diverged_at == -1).all()


def test_a_program_is_the_sweep_that_one_would_train_alone(experiment, trained, tmp_path):
    _, results = trained
    alone = static_axes.programs_of(experiment)[1].experiment
    expected = collapse_jax.train(alone, tmp_path / "alone")
    part = one_program(results, {"train_size": 60, "depth": 2})
    for name in expected.data_vars:
        if expected[name].notnull().any():
            xr.testing.assert_equal(part[name].drop_vars(["train_size", "depth"]), expected[name])


def test_layers_that_a_program_lacks_are_nan(trained):
    _, results = trained
    pairs = results.imbalance
    assert pairs.sel(depth=1).isel(layer_pair=1).isnull().all()
    assert pairs.sel(depth=1).isel(layer_pair=0).notnull().all()
    assert pairs.sel(depth=2).notnull().all()
    assert one_program(results, {"train_size": 60, "depth": 1}).imbalance.sizes["layer_pair"] == 1


def test_an_interrupted_grid_shows_what_there_is_and_continues_with_the_same_bits(
    experiment, trained, tmp_path, monkeypatch
):
    workdir = tmp_path / "workdir"
    begun = []

    class Stopping(sweep.Sweep):
        def __init__(self, *arguments, **options):
            begun.append(1)
            if len(begun) == 2:
                raise Preempted("SIGTERM")
            super().__init__(*arguments, **options)

    monkeypatch.setattr(sweep, "Sweep", Stopping)
    with pytest.raises(Preempted):
        collapse_jax.train(experiment, workdir)
    partial = collapse_jax.open_results(workdir)
    assert partial.train_loss.sel(depth=1).notnull().all()
    assert partial.train_loss.sel(depth=2).isnull().all()
    assert (partial.diverged_at == -1).all()
    monkeypatch.undo()
    xr.testing.assert_identical(collapse_jax.train(experiment, workdir), trained[1])


def test_shards_of_programs_merge_to_the_same_grid(experiment, trained, tmp_path):
    workdir = epath.Path(tmp_path / "workdir")
    for index in range(2):
        shards.train_shard(experiment, workdir, shards.Shard(index, 2))
    merged = merge.merge(workdir)
    _, last = static_axes.program_folders(workdir)[-1]
    for name in trained[1].data_vars:
        xr.testing.assert_equal(merged[name], trained[1][name])
    shutil.rmtree(shards.Shard(1, 2).folder(last))
    assert merge.merge(workdir, partial=True).attrs["missing_shards"] == "1/2 of train_size=60, depth=2"
    shutil.rmtree(last)
    with pytest.raises(WorkdirError, match=f"not begun: program {last.name}; train these"):
        merge.merge(workdir)
    assert merge.merge(workdir, partial=True).train_accuracy.sel(depth=2).isnull().all()


def test_measure_verify_and_figures_take_all_programs(trained, tmp_path, monkeypatch):
    few = ("programs", "phases", "violins")
    monkeypatch.setattr(registry, "FIGURES", {name: plots.FIGURES[name] for name in few})
    workdir, _ = trained
    results = collapse_jax.measure(workdir, ["spectrum"])
    assert results.effective_rank.dims[:2] == ("train_size", "depth")
    assert results.effective_rank.sel(step=20).notnull().all()
    checked = dict(store.verify_workdir(workdir))
    assert not any(checked.values())
    assert "programs/1-train_size=60_depth=2/measures/spectrum.nc" in checked
    written = plots.draw(results, Thresholds(), tmp_path, workdir)
    names = {str(path.relative_to(tmp_path)) for path in written}
    assert {"programs.png", "train_size=60_depth=1/phases.png", "train_size=60_depth=2/violins.png"} <= names
    rows = tables.runs_table(results, Thresholds()).splitlines()
    assert sum(line.split()[:1] == ["60"] for line in rows) == 8


def test_a_snapshot_is_asked_of_a_program(trained):
    with pytest.raises(WorkdirError, match="one of its programs: programs/0-train_size=60_depth=1"):
        collapse_jax.open_snapshots(trained[0])


def test_workdirs_of_other_kinds_are_refused(experiment, trained, tiny, tmp_path):
    other = dataclasses.replace(experiment, grid=dataclasses.replace(GRID, train_size=(90,)))
    with pytest.raises(WorkdirError, match=r"grid.train_size is \[60\] there, \[90\] asked"):
        collapse_jax.train(other, trained[0])
    with pytest.raises(WorkdirError, match=r"holds files but no experiment\.json"):
        collapse_jax.train(tiny(), trained[0])
    collapse_jax.train(tiny(steps=20), tmp_path / "plain")
    with pytest.raises(WorkdirError, match="without static axes"):
        collapse_jax.train(experiment, tmp_path / "plain")


def test_what_a_killed_beginning_left_is_no_obstacle(experiment, tmp_path):
    (tmp_path / f".programs.json.x.{2**22 + 1}.tmp").write_text("half")  # no process has this number
    assert len(static_axes.open_programs(epath.Path(tmp_path), experiment)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["programs.json"]


def test_a_file_is_no_workdir(experiment, tmp_path):
    (tmp_path / "w").write_text("x")
    with pytest.raises(WorkdirError, match=r"workdir=.*w: is a file; name a directory"):
        static_axes.open_programs(epath.Path(tmp_path / "w"), experiment)


def test_a_damaged_record_is_one_line(trained, tmp_path, capsys):
    (tmp_path / static_axes.RECORD).write_text(json.dumps({"experiment": 3}))
    assert main(["show", f"--workdir={tmp_path}"]) == 2
    assert "programs.json is damaged" in capsys.readouterr().err
    shutil.copytree(trained[0], tmp_path / "w")
    (tmp_path / "w" / static_axes.RECORD).write_text("{")
    wrong = {name for name, what in store.verify_workdir(epath.Path(tmp_path / "w")) if what}
    assert wrong == {"programs.json"}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"train_size": (100, 100)}, "grid.train_size=.*twice"),
        ({"train_size": (100, 5000)}, r"task.train_size=5000.*\(of the program grid.train_size=5000\)"),
        ({"model": ("mlp", "MPL")}, "did you mean 'mlp'"),
        ({"dataset": ("mnist", "fashion_mnsit")}, "fashion_mnist"),
        ({"depth": (0,)}, "grid.depth=.*must be >= 1"),
        ({"depth": (2,)}, "hidden layers of one width"),
        ({"width": (-3,)}, "grid.width=.*must be >= 1"),
        ({"norm": ("batch", "group")}, "model.norm='group'"),
        ({"optimizer": ("adamw", "adam")}, "optimizer.name='adam'"),
        ({"loss": ("mse",)}, "loss='mse'"),
        ({"label_noise": (0.0, 1.5)}, "task.label_noise=1.5"),
        ({"train_size": ("many",)}, "grid.train_size=.*type int"),
    ],
)
def test_wrong_axes_are_one_line(tiny, grid, message):
    axes = dataclasses.replace(tiny().grid, **grid)
    with pytest.raises(ConfigError, match=message):
        validate(tiny(grid=axes))


def test_names_of_the_command_line_are_values_of_an_axis():
    config_file = "--config=configs/quickstart.py:smoke"
    given = ["train", config_file, "--workdir=w", "--config.grid.model=mlp,cnn", "--config.grid.width=8,16"]
    grid = cli.parse(given).experiment.grid
    assert (grid.model, grid.width) == (("mlp", "cnn"), (8, 16))
    wrong = ["train", config_file, "--workdir=w", "--config.grid.depth=two"]
    with pytest.raises(ConfigError, match=r"grid\.depth='two': must be of type int"):
        cli.parse(wrong)


def test_join_fills_what_a_program_lacks():
    """Against arrays put together by hand."""
    first = xr.Dataset(
        {"a": (("seed", "step"), [[1.0, 2.0]]), "diverged_at": ("seed", [5])}, {"seed": [7], "step": [0, 10]}
    )
    second = xr.Dataset(
        {"a": (("seed", "step", "k"), [[[3.0, 4.0]]]), "diverged_at": ("seed", [-1])}, {"seed": [7], "step": [5]}
    )
    second = second.rename(a="b")
    joined = join_programs({"model": ("x", "y", "z")}, [({"model": "z"}, first), ({"model": "x"}, second)])
    assert joined.step.values.tolist() == [0, 5, 10]
    np.testing.assert_array_equal(joined.a.sel(model="z", seed=7), [1, np.nan, 2])
    assert joined.a.sel(model=["x", "y"]).isnull().all()
    np.testing.assert_array_equal(joined.b.sel(model="x", seed=7, step=5), [3, 4])
    assert joined.diverged_at.values[:, 0].tolist() == [-1, -1, 5]
    assert set(one_program(joined, {"model": "x"}).data_vars) == {"b", "diverged_at"}
