"""Sweeps that grow: the bits of the sweep done in one go, only what is new computed, refusals in one line."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import xarray as xr
from conftest import tiny_experiment
from harness import killed, stopped

import collapse_jax
from collapse_jax.engine import sweep
from collapse_jax.errors import CollapseError
from collapse_jax.experiment import growth
from collapse_jax.experiment.config import Grid, Packing, Schedule, Snapshots
from collapse_jax.experiment.cuts import parse_shard
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.system.paths import path_of
from collapse_jax.workdir.results import merge
from collapse_jax.workdir.tree import leaves
from collapse_jax.workdir.trees import TreeStore
from collapse_jax.workdir.verify import verify_workdir

SMALL = Grid(weight_decay=(0.1, 0.01), seed=(1, 2), init_scale=(1.0,))
LARGE = Grid(weight_decay=(0.1, 0.03, 0.01), seed=(1, 2, 3), init_scale=(1.0,))


def experiment(steps=20, grid=SMALL, **changes):
    return tiny_experiment(
        grid=grid,
        steps=steps,
        log=Schedule("explicit", at=tuple(range(0, steps, 5))),
        snapshots=Snapshots(Schedule("explicit", at=(0, 10)), ("parameters",), 50),
        packing=Packing(devices=2, runs_per_tile=1),
        **changes,
    )


BEGUN, WHOLE = experiment(), experiment(steps=40, grid=LARGE)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The small sweep, finished; copied, never changed."""
    workdir = tmp_path_factory.mktemp("begun") / "sweep"
    collapse_jax.train(BEGUN, workdir)
    return workdir


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The large sweep, done in one go."""
    workdir = tmp_path_factory.mktemp("whole") / "sweep"
    return workdir, collapse_jax.train(WHOLE, workdir)


@pytest.fixture
def copy(begun, tmp_path):
    return shutil.copytree(begun, tmp_path / "sweep")


@pytest.fixture
def trained(monkeypatch):
    """Notes how many run-steps are trained."""
    counts, advance = [], sweep.Sweep._advance

    def counted(self, stop):
        before = max(self.step, 0)
        advance(self, stop)
        counts.append(self.layout.runs * (self.step - before))

    monkeypatch.setattr(sweep.Sweep, "_advance", counted)
    return counts


def assert_equal(results, expected):
    xr.testing.assert_identical(results.drop_attrs(deep=False), expected.drop_attrs(deep=False))


def parameters_of(workdir):
    """Return the trained parameters by (weight decay, seed)."""
    found = {}
    for leaf in leaves(path_of("workdir", workdir)):
        flat = TreeStore(leaf.path / "checkpoints").load(40)
        for index, run in enumerate(grid_runs(leaf.experiment.grid)):
            states = {n: v[index] for n, v in flat.items() if n.startswith("states/")}
            found[run["weight_decay"], run["seed"]] = states
    return found


def test_a_grown_sweep_has_the_bits_of_the_one_done_in_one_go_and_trains_only_what_is_new(copy, whole, trained):
    results = collapse_jax.train(WHOLE, copy, extend=True)
    assert sum(trained) == 9 * 40 - 4 * 20
    assert_equal(results, whole[1])
    expected = parameters_of(whole[0])
    for run, found in parameters_of(copy).items():
        for name, leaf in found.items():
            np.testing.assert_array_equal(leaf, expected[run][name])
    assert [wrong for _, wrong in verify_workdir(path_of("workdir", copy)) if wrong] == []
    trained.clear()
    for extend in (True, False):  # nothing is left to do, with the flag or without
        assert_equal(collapse_jax.train(WHOLE, copy, extend=extend), results)
    assert trained == []
    merged = merge(copy)
    assert merged == path_of("workdir", copy) / "grown" / "results.nc"
    assert_equal(collapse_jax.open_results(merged), results)


def test_what_follows_from_other_fields_is_no_difference(tmp_path, trained):
    """Snapshots of more test examples than there are hold those that there are, also when the sweep has grown."""
    small = experiment(steps=10, grid=Grid(weight_decay=(0.1,), seed=(1,), init_scale=(1.0,)))
    small.log.at, small.snapshots.schedule.at, small.snapshots.test_size = (0, 5), (0,), 10**6
    workdir = tmp_path / "w"
    collapse_jax.train(small, workdir)
    trained.clear()
    collapse_jax.train(dataclasses.replace(small, steps=20), workdir, extend=True)
    assert sum(trained) == 10


def test_it_grows_again_and_goes_on_after_it_was_stopped_on_the_way(copy, whole, trained):
    stopped(experiment(steps=40), copy, step=30, extend=True)
    middle = experiment(steps=40, grid=dataclasses.replace(SMALL, seed=(1, 2, 3)))
    stopped(middle, copy, step=10, extend=True)
    with pytest.raises(CollapseError, match=r"grid\.weight_decay is .*; to let the sweep grow, add --extend"):
        collapse_jax.train(WHOLE, copy)
    assert_equal(collapse_jax.train(WHOLE, copy, extend=True), whole[1])
    assert [leaf.text for leaf in leaves(path_of("workdir", copy))] == [
        "the beginning",
        "extension 1",
        "extension 2",
    ]
    assert sum(trained) == 9 * 40 - 4 * 20


def test_log_points_and_measures_from_here_on(copy, whole, tmp_path):
    denser = dataclasses.replace(experiment(steps=40), log=Schedule("explicit", at=tuple(range(40))))
    denser = dataclasses.replace(denser, measures=("fit", "norms", "collapse"))
    results = collapse_jax.train(denser, copy, extend=True)
    assert results.step.values.tolist() == [0, 5, 10, 15, *range(20, 41)]
    common = {"step": whole[1].step, "seed": [1, 2], "weight_decay": [0.1, 0.01]}
    expected = whole[1].sel(common)
    for name, variable in expected.data_vars.items():
        xr.testing.assert_equal(results[name].sel(common) if "step" in variable.dims else results[name], variable)
    logged = results.rnc1.notnull().all(("weight_decay", "seed"))
    assert logged.step[logged].values.tolist() == [0, 10, *range(20, 41)]  # the first three from snapshots
    in_one_go = collapse_jax.train(denser, tmp_path / "denser")
    assert_equal(results.rnc1.sel(step=[0, 10, 30]), in_one_go.rnc1.sel(step=[0, 10, 30]))


@pytest.mark.slow  # compiles a measure three times
def test_measures_of_stored_snapshots_are_taken_only_where_they_are_new(copy, whole, monkeypatch):
    collapse_jax.measure(copy, ["collapse"])
    collapse_jax.train(WHOLE, copy, extend=True)
    read, load = [], TreeStore.load
    with monkeypatch.context() as patch:
        noted = lambda store, step, *only: read.append((str(store.directory), step)) or load(store, step, *only)  # noqa: E731
        patch.setattr(TreeStore, "load", noted)
        collapse_jax.measure(copy, ["collapse"])
    assert {step for directory, step in read if directory == str(copy / "snapshots")} == {40}
    assert {step for directory, step in read if "grown" in directory} == {0, 10, 40}
    shutil.copytree(whole[0], copy.parent / "whole")
    collapse_jax.measure(copy.parent / "whole", ["collapse"])
    found, expected = (collapse_jax.open_results(w).rnc1 for w in (copy, copy.parent / "whole"))
    steps = [0, 10, 40]
    xr.testing.assert_allclose(found.sel(step=steps), expected.sel(step=steps), rtol=1e-5)
    assert found.sel(step=20, seed=3).isnull().all()  # the snapshot of the end of the beginning is its own


@pytest.mark.slow  # seven leaves
def test_static_axes_and_shards_grow(tmp_path):
    grid = Grid(batch_size=(30,), weight_decay=(0.1,), seed=(1, 2), init_scale=(1.0,))
    larger = dataclasses.replace(grid, batch_size=(30, 50), seed=(1, 2, 3))
    small, large = experiment(steps=10, grid=grid), experiment(steps=10, grid=larger)
    workdir, folder = tmp_path / "sweep", path_of("workdir", tmp_path / "sweep")
    for index in (0, 1):
        collapse_jax.engine.train.train_shard(small, folder, parse_shard(f"{index}/2"))
    for index in (0, 1):
        collapse_jax.engine.train.train_shard(large, folder, parse_shard(f"{index}/2"), extend=True)
    results = collapse_jax.open_results(workdir)
    assert_equal(results, collapse_jax.train(large, tmp_path / "whole"))
    assert len(leaves(folder)) == 2 + 1 + 2


REFUSED = {
    r"steps=10: must be at least the 20": experiment(steps=10),
    r"grid\.seed=\(2, 3\): must keep the values of the sweep; \[1\] is missing": experiment(
        grid=dataclasses.replace(SMALL, seed=(2, 3))
    ),
    r"grid\.norm=\('none', 'batch'\): the sweep was begun without this static axis": experiment(
        grid=dataclasses.replace(SMALL, norm=("none", "batch"))
    ),
    r"grid\.momentum=\(0\.5,\): the sweep was begun without this traced axis": experiment(
        grid=dataclasses.replace(SMALL, b1=(0.5,))
    ),
    r"measures=\('fit',\): must keep those of the sweep; norms is missing": experiment(measures=("fit",)),
    r"batch_size is 30 there, 20 asked; a sweep can grow in grid, steps, log": experiment(batch_size=20),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_grow_is_refused_and_nothing_changes(begun, message):
    before = {path: path.read_bytes() for path in pathlib.Path(begun).rglob("*.json")}
    with pytest.raises(CollapseError, match=message.replace("momentum", "b1")) as error:
        collapse_jax.train(REFUSED[message], begun, extend=True)
    assert "\n" not in str(error.value)
    assert before == {path: path.read_bytes() for path in pathlib.Path(begun).rglob("*.json")}


def test_pairs_grow_by_pairs():
    there = Grid(weight_decay=(0.1, 0.2), seed=(1, 2), mode="zip")
    asked = Grid(weight_decay=(0.2, 0.3, 0.1), seed=(2, 3, 1), mode="zip")
    assert growth.has_more_runs(there, asked)
    assert grid_runs(growth.new_runs(there, asked, {}))[0]["seed"] == 3
    assert growth.read_grid(growth.grid_record(asked)) == asked


@pytest.mark.slow
def test_an_extension_that_is_killed_while_it_saves(copy, whole, rng):
    often = dataclasses.replace(WHOLE, checkpoint_seconds=1e-6)
    killed(copy, often, 3, rng, "--extend")
    assert_equal(collapse_jax.open_results(copy), whole[1])
