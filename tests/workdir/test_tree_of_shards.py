"""Workdirs that were cut into shards: joined, they are the sweep of the whole."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest
import xarray as xr
from etils import epath

import collapse_jax
from collapse_jax.engine.train import train_shard
from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment import config
from collapse_jax.experiment.config import Grid, Schedule, Snapshots
from collapse_jax.experiment.cuts import Shard
from collapse_jax.workdir import record
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.results import merge, open_results
from collapse_jax.workdir.verify import verify_workdir

COUNT = 3
SNAPSHOTS = Snapshots(Schedule(rule="explicit"), ("train",), 50)


def shard_of(workdir, index):
    return epath.Path(workdir) / "parts" / f"shard-{index}-of-{COUNT}"


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
        train_shard(experiment, workdir, Shard(index, COUNT))
    return workdir


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    return epath.Path(tmp_path / "copy")


def files(workdir):
    return {path: path.read_bytes() for path in pathlib.Path(workdir).rglob("*.nc")}


def test_merged_shards_are_the_sweep_of_the_whole_grid(whole, trained):
    merged = collapse_jax.open_results(merge(trained))
    assert (whole.diverged_at >= 0).sum() == 2
    xr.testing.assert_identical(merged.drop_attrs(deep=False), whole.drop_attrs(deep=False))
    xr.testing.assert_identical(collapse_jax.open_results(trained), merged)
    assert merged.attrs["fingerprint"] == whole.attrs["fingerprint"]
    assert "missing" not in merged.attrs
    assert {name: v.dtype for name, v in merged.variables.items()} == {
        n: v.dtype for n, v in whole.variables.items()
    }


def test_training_and_merging_again_change_nothing(experiment, trained):
    merge(trained)
    before = files(trained)
    assert len(before) == COUNT + 1
    train_shard(experiment, trained, Shard(1, COUNT))
    merge(trained)
    assert files(trained) == before


def test_axes_that_cannot_be_zipped_are_refused_before_the_grid_is_cut(tiny, tmp_path):
    axes = Grid(weight_decay=(0.1, 0.2, 0.3), seed=(1, 2), mode="zip")
    with pytest.raises(ConfigError, match=r"grid\.mode='zip': axes must have equal lengths"):
        train_shard(tiny(grid=axes), epath.Path(tmp_path / "w"), Shard(0, 2))
    assert not (tmp_path / "w").exists()


def test_an_empty_shard_is_said_and_is_no_error(experiment, copied, tmp_path, capsys):
    train_shard(experiment, epath.Path(tmp_path / "many"), Shard(4, 5))
    assert "shard 4/5: no runs, the grid has 4" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "many").iterdir()] == ["experiment.json"]


def test_missing_shards_are_named_or_nan(whole, copied):
    shard_of(copied, 2).rmtree()
    with pytest.raises(WorkdirError, match=r"not finished: shard 2/3 \(missing\)"):
        merge(copied)
    merged = collapse_jax.open_results(merge(copied, partial=True))
    absent = np.array([False, False, True, False]).reshape(2, 2, 1)
    for name in ("weight_norm", "train_loss"):
        values = merged[name].values
        assert np.isnan(values[absent]).all()
        np.testing.assert_array_equal(values[~absent], whole[name].values[~absent])
    np.testing.assert_array_equal(merged.diverged_at, np.where(absent, -1, whole.diverged_at))
    assert merged.diverged_at.dtype == whole.diverged_at.dtype
    assert merged.attrs["missing"] == "shard 2/3 (missing)"
    assert collapse_jax.open_results(copied).attrs["missing"] == "shard 2/3"


def test_unfinished_shards_are_named_with_their_step(copied):
    path = shard_of(copied, 0) / "results.nc"
    results = open_results(path)
    stopped = results.drop_vars("diverged_at").where(results.step <= 7).assign(diverged_at=results.diverged_at)
    write_dataset(stopped.assign_attrs(results.attrs), path)
    with pytest.raises(WorkdirError, match=r"shard 0/3 \(at step 7 of 40\)"):
        merge(copied)


def test_shards_of_another_experiment_are_refused(experiment, copied, tiny):
    other = dataclasses.replace(experiment, batch_size=20)
    with pytest.raises(WorkdirError, match="another experiment: batch_size is 30 there, 20 asked"):
        train_shard(other, copied, Shard(0, COUNT))
    with pytest.raises(WorkdirError, match="is cut into 3 shards, asked for cut into 4 shards"):
        train_shard(experiment, copied, Shard(0, 4))
    foreign = collapse_jax.train(tiny(steps=20, log=Schedule("explicit")), copied / "foreign")
    assert foreign.sizes["step"] == 1
    shard_of(copied, 1).rmtree()
    (copied / "foreign").rename(shard_of(copied, 1))
    with pytest.raises(WorkdirError, match=r"shard-1-of-3: belongs to another experiment: "):
        merge(copied)


def test_sharded_and_unsharded_sweeps_do_not_mix(experiment, copied, tmp_path):
    with pytest.raises(WorkdirError, match="is cut into 3 shards, asked for not cut"):
        collapse_jax.train(experiment, copied)
    short = dataclasses.replace(experiment, steps=1, log=Schedule(rule="explicit"))
    collapse_jax.train(short, tmp_path / "plain")
    with pytest.raises(WorkdirError, match="is not cut, asked for cut into 2 shards"):
        train_shard(short, epath.Path(tmp_path / "plain"), Shard(0, 2))
    with pytest.raises(WorkdirError, match="is not cut into parts, there is nothing to merge"):
        merge(tmp_path / "plain")
    (copied / "experiment.json").write_text("{")
    with pytest.raises(WorkdirError, match="damaged"):
        merge(copied)


def test_measures_of_shards_are_merged_too(copied):
    for index in range(COUNT):
        folder = shard_of(copied, index)
        results = open_results(folder / "results.nc")
        measured = xr.Dataset({"twice": 2 * results.weight_norm.expand_dims(layer=2, axis=-1)})
        measured["diverged_at"] = results.diverged_at
        measured.attrs = {"fingerprint": results.attrs["fingerprint"], "measured": "a"}
        (folder / "measures").mkdir()
        write_dataset(measured, folder / "measures" / "double.nc")
    merged = collapse_jax.open_results(merge(copied))
    twice = merged.twice
    assert twice.dims == ("weight_decay", "learning_rate", "seed", "step", "layer")
    np.testing.assert_array_equal(twice.isel(layer=1), 2 * merged.weight_norm)
    path = shard_of(copied, 1) / "measures" / "double.nc"
    other = open_results(path)
    other.twice.attrs["measured"] = "b"
    write_dataset(other, path)
    with pytest.raises(WorkdirError, match=r"twice has other options than in shard 0/3"):
        merge(copied)
    path.unlink()
    with pytest.raises(WorkdirError, match=r"shard 1/3 lacks twice"):
        merge(copied)
    assert collapse_jax.open_results(merge(copied, partial=True)).twice.isnull().any()


def test_later_measures_are_taken_of_all_shards(copied):
    """A workdir of shards is measured, shown and drawn like any other."""
    results = collapse_jax.measure(copied, "spectrum")
    assert results.effective_rank.dims == ("weight_decay", "learning_rate", "seed", "step")
    healthy = results.diverged_at < 0
    assert results.effective_rank.isel(step=-1).where(healthy, 0).notnull().all()


def test_verify_reads_the_shards_that_were_begun(copied):
    shutil.rmtree(shard_of(copied, 1))
    found = dict(verify_workdir(copied))
    assert not any(found.values())
    assert {
        "experiment.json",
        "parts/shard-0-of-3/experiment.json",
        "parts/shard-2-of-3/results.nc",
    } <= found.keys()
    (shard_of(copied, 2) / "results.nc").write_bytes(b"nothing")
    (copied / "experiment.json").write_text("{")
    wrong = {name for name, what in verify_workdir(copied) if what}
    assert wrong == {"experiment.json", "parts/shard-2-of-3/results.nc"}


def rewritten(folder, **changes):
    """Write the record of a node anew, whole, with other fields."""
    record.rewrite(folder, record.read_record(folder) | changes)


def test_shards_of_other_data_or_sources_are_not_joined(copied):
    path, found = shard_of(copied, 1), record.read_record(shard_of(copied, 1))
    hashes = found["data"]["sha256"]
    for changes, what in (
        ({"data": found["data"] | {"sha256": hashes | {"test_labels": "0" * 64}}}, r"the data \(test_labels\)"),
        ({"sources": {"model.name": "other"}}, r"the file of model\.name"),
    ):
        rewritten(shard_of(copied, 0), sources={"model.name": "one"})
        rewritten(path, **{"data": found["data"], "sources": {"model.name": "one"}} | changes)
        for join in (merge, open_results):
            with pytest.raises(WorkdirError, match=rf"shard-1-of-3: {what}.* differs from that of shard 0/3"):
                join(copied)
    rewritten(path, data=found["data"], sources={"model.name": "one"})
    merge(copied)


def test_shards_of_other_versions_or_devices_are_merged_and_said(copied, capsys):
    merge(copied)
    assert "not all parts" not in capsys.readouterr().err
    path, found = shard_of(copied, 2), record.read_record(shard_of(copied, 2))
    now, device = found["versions"]["jax"], found["packing"]["device_kind"]
    versions = found["versions"] | {"jax": "99.0"}
    rewritten(path, versions=versions, packing=found["packing"] | {"device_kind": "abacus"})
    merge(copied)
    said = capsys.readouterr().err
    assert f"jax: {now} in shard 0/3, shard 1/3; 99.0 in shard 2/3" in said
    assert f"device: {device} (cpu) in shard 0/3, shard 1/3; abacus (cpu) in shard 2/3" in said
    assert said.count("not all parts were trained alike") == 2
