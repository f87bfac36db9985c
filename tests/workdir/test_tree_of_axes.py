"""Workdirs that were cut by static axes: each part is a sweep like any other, and joined they are one array."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import xarray as xr
from etils import epath

import collapse_jax
from collapse_jax import figures as plots
from collapse_jax.__main__ import main
from collapse_jax.analysis import tables
from collapse_jax.cli import parse as cli
from collapse_jax.engine import sweep, train
from collapse_jax.errors import ConfigError, Preempted, WorkdirError
from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task, Thresholds
from collapse_jax.experiment.cuts import AXES, Cut, Shard, parts
from collapse_jax.figures import registry
from collapse_jax.workdir.join import join, select_part
from collapse_jax.workdir.results import merge
from collapse_jax.workdir.tree import leaves, open_tree, planned
from collapse_jax.workdir.verify import verify_workdir

GRID = Grid(weight_decay=(0.1, 0.01), seed=(1, 2), init_scale=(1.0,), train_size=(60,), depth=(1, 2))
SNAPSHOTS = Snapshots(Schedule(rule="explicit", at=(20,)), ("parameters",), 50)


@pytest.fixture(scope="module")
def experiment():
    from conftest import tiny_experiment

    return tiny_experiment(
        grid=GRID,
        model=Model(hidden=(12,)),
        task=Task(test_size=150),  # the grid has the number of training examples
        snapshots=SNAPSHOTS,
        measures=("fit", "norms", "balancedness"),
    )


@pytest.fixture(scope="module")
def trained(experiment, tmp_path_factory):
    workdir = epath.Path(tmp_path_factory.mktemp("static") / "workdir")
    return workdir, collapse_jax.train(experiment, workdir)


def test_results_have_the_static_axes_in_front(trained):
    _, results = trained
    assert results.train_loss.dims == ("train_size", "depth", "weight_decay", "seed", "step")
    assert results.depth.values.tolist() == [1, 2]
    assert results.train_loss.notnull().all()
    assert results.attrs["experiment"]
    assert (results.diverged_at == -1).all()


def test_a_program_is_the_sweep_that_one_would_train_alone(experiment, trained, tmp_path):
    _, results = trained
    alone = parts(experiment, Cut(AXES))[1].experiment
    expected = collapse_jax.train(alone, tmp_path / "alone")
    part = select_part(results, {"train_size": 60, "depth": 2})
    for name in expected.data_vars:
        if expected[name].notnull().any():
            xr.testing.assert_equal(part[name].drop_vars(["train_size", "depth"]), expected[name])


def test_layers_that_a_program_lacks_are_nan(trained):
    _, results = trained
    pairs = results.imbalance
    assert pairs.sel(depth=1).isel(layer_pair=1).isnull().all()
    assert pairs.sel(depth=1).isel(layer_pair=0).notnull().all()
    assert pairs.sel(depth=2).notnull().all()
    assert select_part(results, {"train_size": 60, "depth": 1}).imbalance.sizes["layer_pair"] == 1


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

    with monkeypatch.context() as patch:
        patch.setattr(train, "Sweep", Stopping)
        with pytest.raises(Preempted):
            collapse_jax.train(experiment, workdir)
    partial = collapse_jax.open_results(workdir)
    assert partial.train_loss.sel(depth=1).notnull().all()
    assert partial.train_loss.sel(depth=2).isnull().all()
    assert (partial.diverged_at == -1).all()
    xr.testing.assert_identical(collapse_jax.train(experiment, workdir), trained[1])


@pytest.mark.slow  # trains four leaves
def test_shards_of_parts_merge_to_the_same_grid(experiment, trained, tmp_path):
    workdir = epath.Path(tmp_path / "workdir")
    for index in range(2):
        train.train_shard(experiment, workdir, Shard(index, 2))
    merged = collapse_jax.open_results(merge(workdir))
    assert [leaf.text for leaf in leaves(workdir)][-1] == "train_size=60, depth=2, shard 1/2"
    for name in trained[1].data_vars:
        xr.testing.assert_equal(merged[name], trained[1][name])
    last = leaves(workdir)[-1].path
    last.rmtree()
    partial = collapse_jax.open_results(merge(workdir, partial=True))
    assert partial.attrs["missing"] == "train_size=60, depth=2, shard 1/2 (missing)"
    last.parent.parent.rmtree()
    with pytest.raises(WorkdirError, match=r"not finished: train_size=60, depth=2 \(missing\); train these"):
        merge(workdir)
    assert collapse_jax.open_results(merge(workdir, partial=True)).train_accuracy.sel(depth=2).isnull().all()


@pytest.mark.slow
def test_measure_verify_and_figures_take_all_parts(trained, tmp_path, monkeypatch):
    few = ("programs", "phases", "violins")
    monkeypatch.setattr(registry, "FIGURES", {name: registry.FIGURES[name] for name in few})
    workdir, _ = trained
    results = collapse_jax.measure(workdir, ["spectrum"])
    assert results.effective_rank.dims[:2] == ("train_size", "depth")
    assert results.effective_rank.sel(step=20).notnull().all()
    checked = dict(verify_workdir(workdir))
    assert not any(checked.values())
    assert "parts/1-train_size=60_depth=2/measures/spectrum.nc" in checked
    written = plots.draw(results, Thresholds(), tmp_path, workdir)
    names = {str(path.relative_to(tmp_path)) for path in written}
    assert {"programs.png", "train_size=60_depth=1/phases.png", "train_size=60_depth=2/violins.png"} <= names
    rows = tables.runs_table(results, Thresholds()).splitlines()
    assert sum(line.split()[:1] == ["60"] for line in rows) == 8


def test_a_snapshot_is_asked_of_a_leaf(trained):
    with pytest.raises(WorkdirError, match="name one of its leaves: parts/0-train_size=60_depth=1"):
        collapse_jax.open_snapshots(trained[0])


def test_workdirs_of_other_kinds_are_refused(experiment, trained, tiny, tmp_path):
    other = dataclasses.replace(experiment, grid=dataclasses.replace(GRID, train_size=(90,)))
    with pytest.raises(WorkdirError, match=r"grid.train_size is \[60\] there, \[90\] asked"):
        collapse_jax.train(other, trained[0])
    with pytest.raises(WorkdirError, match=r"belongs to another experiment"):
        collapse_jax.train(tiny(), trained[0])
    collapse_jax.train(tiny(steps=20), tmp_path / "plain")
    with pytest.raises(WorkdirError, match=r"belongs to another experiment: grid\.train_size"):
        collapse_jax.train(experiment, tmp_path / "plain")


def test_what_a_killed_beginning_left_is_no_obstacle(experiment, tmp_path):
    (tmp_path / f".experiment.json.x.{2**22 + 1}.tmp").write_text("half")  # no process has this number
    assert len(open_tree(epath.Path(tmp_path), experiment)) == 2
    assert "experiment.json" in [path.name for path in tmp_path.iterdir()]


def test_a_file_is_no_workdir(experiment, tmp_path):
    (tmp_path / "w").write_text("x")
    with pytest.raises(WorkdirError, match=r"workdir=.*w: is a file; name a directory"):
        open_tree(epath.Path(tmp_path / "w"), experiment)


def test_a_damaged_record_is_one_line(trained, tmp_path, capsys):
    (tmp_path / "experiment.json").write_text(json.dumps({"experiment": 3}))
    assert main(["show", f"--workdir={tmp_path}"]) == 2
    assert "experiment.json is damaged" in capsys.readouterr().err
    shutil.copytree(trained[0], tmp_path / "w")
    (tmp_path / "w" / "experiment.json").write_text("{")
    wrong = {name for name, what in verify_workdir(epath.Path(tmp_path / "w")) if what}
    assert wrong == {"experiment.json"}


def test_names_of_the_command_line_are_values_of_an_axis():
    config_file = "--config=configs/quickstart.py:smoke"
    given = ["train", config_file, "--workdir=w", "--config.grid.model=mlp,cnn", "--config.grid.width=8,16"]
    grid = cli.parse(given).experiment.grid
    assert (grid.model, grid.width) == (("mlp", "cnn"), (8, 16))
    wrong = ["train", config_file, "--workdir=w", "--config.grid.depth=two"]
    with pytest.raises(ConfigError, match=r"grid\.depth='two': must be a whole number"):
        cli.parse(wrong)


def test_join_fills_what_a_part_lacks():
    """Against arrays put together by hand."""
    whole = Experiment(grid=Grid(model=("mlp", "cnn", "transformer"), weight_decay=(0.1,), seed=(7,)))
    first = xr.Dataset(
        {"a": (("seed", "step"), [[1.0, 2.0]]), "diverged_at": ("seed", [5])}, {"seed": [7], "step": [0, 10]}
    )
    second = xr.Dataset(
        {"b": (("seed", "step", "k"), [[[3.0, 4.0]]]), "diverged_at": ("seed", [-1])}, {"seed": [7], "step": [5]}
    )
    mlp, _, transformer = [node for node in planned(epath.Path("w"), whole) if node.is_leaf]
    joined = join(whole, [(transformer, first), (mlp, second)])
    assert joined.step.values.tolist() == [0, 5, 10]
    np.testing.assert_array_equal(joined.a.sel(model="transformer", weight_decay=0.1, seed=7), [1, np.nan, 2])
    assert joined.a.sel(model=["mlp", "cnn"]).isnull().all()
    np.testing.assert_array_equal(joined.b.sel(model="mlp", weight_decay=0.1, seed=7, step=5), [3, 4])
    assert joined.diverged_at.values.ravel().tolist() == [-1, -1, 5]
    assert set(select_part(joined, {"model": "mlp"}).data_vars) == {"b", "diverged_at"}
