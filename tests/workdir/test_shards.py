"""Shards: every grid is cut into disjoint parts whose union it is, and merged parts are the sweep of the whole."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest
import xarray as xr
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

import collapse_jax
from collapse_jax import workdir as store
from collapse_jax.engine import merge, shards
from collapse_jax.engine.shards import Shard
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment import config, grid
from collapse_jax.experiment.config import Grid, Schedule, Snapshots

COUNT = 3
SNAPSHOTS = Snapshots(Schedule(rule="explicit"), (), 50)


def axis(values):
    return st.lists(values, min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def grids(draw):
    decays, rates, seeds = axis(st.floats(0, 1)), axis(st.floats(1e-6, 1)), axis(st.integers(0, 2**32 - 1))
    if draw(st.booleans()):
        return Grid(weight_decay=draw(decays), learning_rate=draw(rates), seed=draw(seeds))
    length = draw(st.integers(1, 9))
    rows = st.lists(st.floats(0, 1), min_size=length, max_size=length, unique=True).map(tuple)
    return Grid(weight_decay=draw(rows), learning_rate=(0.5,), seed=draw(axis(st.integers(0, 9)))[:1], mode="zip")


@given(grids(), st.integers(1, 40))
def test_shards_are_disjoint_and_their_union_is_the_grid(axes, count):
    experiment = validate(config.Experiment(grid=axes))
    parts = [shards.shard_experiment(experiment, Shard(index, count)) for index in range(count)]
    runs = [tuple(run.items()) for part in parts if part for run in grid.grid_runs(part.grid)]
    whole = [tuple(run.items()) for run in grid.grid_runs(axes)]
    assert len(runs) == len(set(runs)) == len(whole)
    assert set(runs) == set(whole)
    sizes = [grid.number_of_runs(part.grid) if part else 0 for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for part in parts:
        assert part is None or validate(part) == part


@given(st.integers(0, 50), st.integers(1, 6), st.integers(1, 6))
def test_divided_shards_are_disjoint_and_whole(total, slices, processes):
    runs = [
        run
        for i in range(slices)
        for p in range(processes)
        for run in Shard(i, slices).divided(p, processes).runs(total)
    ]
    assert sorted(runs) == list(range(total))


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/3", "1/0", "0/0", "1/2/3", "1 / 2", "0.5/2"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ConfigError, match="0 <= i < n"):
        shards.parse_shard(text)


@pytest.fixture(scope="module")
def experiment():
    from conftest import tiny_experiment

    # Two axes and a step at which one of five runs has diverged.
    axes = Grid(weight_decay=(0.1, 0.01), learning_rate=(1e-5, 1e3), init_scale=(1.0,), seed=(1,))
    return tiny_experiment(grid=axes, snapshots=SNAPSHOTS, optimizer=config.Optimizer("sgd"))


@pytest.fixture(scope="module")
def whole(experiment, tmp_path_factory):
    return collapse_jax.train(experiment, tmp_path_factory.mktemp("whole") / "w")


@pytest.fixture(scope="module")
def trained(experiment, tmp_path_factory):
    workdir = epath.Path(tmp_path_factory.mktemp("shards") / "w")
    for index in range(COUNT):
        shards.train_shard(experiment, workdir, Shard(index, COUNT))
    return workdir


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    return epath.Path(tmp_path / "copy")


def files(workdir):
    return {path: path.read_bytes() for path in pathlib.Path(workdir).rglob("*.nc")}


def test_merged_shards_are_the_sweep_of_the_whole_grid(whole, trained):
    merged = merge.merge(trained)
    assert (whole.diverged_at >= 0).sum() == 2
    xr.testing.assert_identical(merged.drop_attrs(deep=False), whole.drop_attrs(deep=False))
    xr.testing.assert_identical(collapse_jax.open_results(trained), merged)
    assert merged.attrs["fingerprint"] == whole.attrs["fingerprint"]
    assert merged.attrs["missing_shards"] == ""
    assert {name: v.dtype for name, v in merged.variables.items()} == {
        n: v.dtype for n, v in whole.variables.items()
    }


def test_training_and_merging_again_change_nothing(experiment, trained):
    merge.merge(trained)
    before = files(trained)
    assert len(before) == COUNT + 1
    shards.train_shard(experiment, trained, Shard(1, COUNT))
    merge.merge(trained)
    assert files(trained) == before


def test_an_empty_shard_is_said_and_is_no_error(experiment, copied, tmp_path, capsys):
    shards.train_shard(experiment, epath.Path(tmp_path / "many"), Shard(4, 5))
    assert "shard 4/5: no runs, the grid has 4" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "many").iterdir()] == ["shards.json"]


def test_missing_shards_are_named_or_nan(whole, copied):
    Shard(2, COUNT).folder(copied).rmtree()
    with pytest.raises(WorkdirError, match=r"not finished: shard 2/3 \(missing\)"):
        merge.merge(copied)
    merged = merge.merge(copied, partial=True)
    absent = np.array([False, False, True, False]).reshape(2, 2, 1)
    for name in ("weight_norm", "train_loss"):
        values = merged[name].values
        assert np.isnan(values[absent]).all()
        np.testing.assert_array_equal(values[~absent], whole[name].values[~absent])
    np.testing.assert_array_equal(merged.diverged_at, np.where(absent, -1, whole.diverged_at))
    assert merged.diverged_at.dtype == whole.diverged_at.dtype
    assert merged.attrs["missing_shards"] == "2/3"


def test_unfinished_shards_are_named_with_their_step(copied):
    path = Shard(0, COUNT).folder(copied) / "results.nc"
    results = store.open_results(path)
    stopped = results.drop_vars("diverged_at").where(results.step <= 7).assign(diverged_at=results.diverged_at)
    store.write_dataset(stopped.assign_attrs(results.attrs), path)
    with pytest.raises(WorkdirError, match=r"shard 0/3 \(at step 7 of 40\)"):
        merge.merge(copied)


def test_shards_of_another_experiment_are_refused(experiment, copied, tiny):
    other = dataclasses.replace(experiment, batch_size=20)
    with pytest.raises(WorkdirError, match="another experiment: batch_size is 30 there, 20 asked"):
        shards.train_shard(other, copied, Shard(0, COUNT))
    with pytest.raises(WorkdirError, match="begun with 3 shards, now 4"):
        shards.train_shard(experiment, copied, Shard(0, 4))
    folder = Shard(1, COUNT).folder(copied)
    manifest = folder / "experiment.json"
    record = json.loads(manifest.read_text().replace('"batch_size": 30', '"batch_size": 20'))
    del record["crc32"]  # as written by another sweep
    manifest.write_text(json.dumps(record))
    with pytest.raises(WorkdirError, match=r"shard-1-of-3: belongs to another experiment: batch_size"):
        merge.merge(copied)
    (copied / "shard-0-of-2").mkdir()
    with pytest.raises(WorkdirError, match="shard-0-of-2 is of another split"):
        merge.merge(copied)


def test_sharded_and_unsharded_sweeps_do_not_mix(experiment, copied, tmp_path):
    with pytest.raises(WorkdirError, match="holds files but no"):
        collapse_jax.train(experiment, copied)
    collapse_jax.train(dataclasses.replace(experiment, steps=1, log=Schedule(rule="explicit")), tmp_path / "plain")
    with pytest.raises(WorkdirError, match="not sharded"):
        shards.train_shard(experiment, epath.Path(tmp_path / "plain"), Shard(0, 2))
    (copied / "shards.json").write_text("{")
    with pytest.raises(WorkdirError, match="damaged"):
        merge.merge(copied)


def test_measures_of_shards_are_merged_too(copied):
    for index in range(COUNT):
        folder = Shard(index, COUNT).folder(copied)
        results = store.open_results(folder / "results.nc")
        measured = xr.Dataset({"twice": 2 * results.weight_norm.expand_dims(layer=2, axis=-1)})
        measured["diverged_at"] = results.diverged_at
        measured.attrs = {"fingerprint": results.attrs["fingerprint"], "measured": "a"}
        (folder / "measures").mkdir()
        store.write_dataset(measured, folder / "measures" / "double.nc")
    merged = merge.merge(copied)
    twice = store.open_results(copied / "measures" / "double.nc").twice
    assert twice.dims == ("weight_decay", "learning_rate", "seed", "step", "layer")
    np.testing.assert_array_equal(twice.isel(layer=1), 2 * merged.weight_norm)
    np.testing.assert_array_equal(merged.twice, twice)
    path = Shard(0, COUNT).folder(copied) / "measures" / "double.nc"
    store.write_dataset(store.open_results(path).assign_attrs(measured="b"), path)
    with pytest.raises(WorkdirError, match=r"other options in shards 0/3, 2/3"):
        merge.merge(copied)
    (Shard(1, COUNT).folder(copied) / "measures" / "double.nc").unlink()
    with pytest.raises(WorkdirError, match=r"measures/double.nc is missing in shard 1/3"):
        merge.merge(copied)


def test_verify_reads_the_shards_that_were_begun(copied):
    shutil.rmtree(Shard(1, COUNT).folder(copied))
    found = dict(store.verify_workdir(copied))
    assert not any(found.values())
    assert {"shards.json", "shard-0-of-3/experiment.json", "shard-2-of-3/results.nc"} <= found.keys()
    (Shard(2, COUNT).folder(copied) / "results.nc").write_bytes(b"nothing")
    (copied / "shards.json").write_text("{")
    wrong = {name for name, what in store.verify_workdir(copied) if what}
    assert wrong == {"shards.json", "shard-2-of-3/results.nc"}
