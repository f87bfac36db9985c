"""Records of the nodes of a workdir: no damage is read as another experiment, no refused command writes."""

import dataclasses
import pathlib
import shutil

import pytest
from etils import epath

import collapse_jax
from collapse_jax.errors import WorkdirError
from collapse_jax.experiment.config import Grid, Model, Snapshots
from collapse_jax.workdir.lock import one_writer
from collapse_jax.workdir.record import read_record
from collapse_jax.workdir.tree import leaves


@pytest.fixture(scope="module")
def experiment():
    from conftest import tiny_experiment

    grid = Grid(weight_decay=(0.1, 0.01), init_scale=(1.0,), depth=(1, 2))
    return tiny_experiment(
        grid=grid, model=Model(hidden=(12,)), snapshots=Snapshots(content=(), test_size=50), measures=("fit",)
    )


@pytest.fixture(scope="module")
def trained(experiment, tmp_path_factory):
    """A workdir with a branch and two leaves."""
    workdir = epath.Path(tmp_path_factory.mktemp("tree") / "workdir")
    collapse_jax.train(experiment, workdir)
    return workdir


def test_no_flipped_bit_of_a_record_changes_what_is_read(trained, tmp_path, rng):
    """A record is refused, or says what it said: the meaning carries the checksum, of branches and leaves alike."""
    refused = 0
    for folder in (trained, next((trained / "parts").iterdir())):
        content, whole = (folder / "experiment.json").read_bytes(), read_record(epath.Path(folder))
        for at in rng.integers(len(content), size=250):
            flipped = bytearray(content)
            flipped[at] ^= 1 << rng.integers(8)
            (tmp_path / "experiment.json").write_bytes(flipped)
            try:
                assert read_record(epath.Path(tmp_path)) == whole, at
            except WorkdirError:
                refused += 1
    assert refused >= 400


def test_a_refused_command_changes_nothing(experiment, trained, tmp_path):
    """The lock of a leaf is held, or another experiment is asked for: no byte of the workdir is another one."""
    workdir = epath.Path(tmp_path / "w")
    shutil.copytree(trained, workdir)
    leaf = leaves(workdir)[0].path

    def content():
        return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in pathlib.Path(workdir).rglob("*") if p.is_file()}

    with one_writer(leaf):
        before = content()
        with pytest.raises(WorkdirError, match="is writing it"):
            collapse_jax.train(experiment, workdir)
        assert content() == before
    before = content()
    with pytest.raises(WorkdirError, match="steps is"):
        collapse_jax.train(dataclasses.replace(experiment, steps=experiment.steps + 1), workdir)
    assert content() == before
