"""Deleted, truncated, emptied and flipped files of every kind: the same bits in the end, or a named refusal."""

import dataclasses
import os
import pathlib
import shutil

import harness
import numpy as np
import pytest
from etils import epath
from harness import assert_same_sweep, damage, experiment, files_of, state

import collapse_jax
from collapse_jax.errors import StoreError, WorkdirError
from collapse_jax.experiment.config import Packing
from collapse_jax.reporting.provenance import provenance
from collapse_jax.reporting.sweeps import load
from collapse_jax.workdir import record
from collapse_jax.workdir.lock import one_writer
from collapse_jax.workdir.software import device_of
from collapse_jax.workdir.trees import TreeStore
from collapse_jax.workdir.verify import verify_workdir

# What Orbax and h5netcdf leave behind when they meet a damaged file.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
WHAT = experiment()
QUIET = dataclasses.replace(WHAT, checkpoint_seconds=1e6)  # one checkpoint, at the end
KINDS = ("delete", "truncate", "empty", "flip")

undisturbed = harness.undisturbed_sweep(WHAT)


@pytest.fixture(scope="module")
def half_done(tmp_path_factory):
    """A sweep that was stopped on the way: two checkpoints, some snapshots, results up to there."""
    workdir = harness.stopped(WHAT, tmp_path_factory.mktemp("half") / "sweep", step=20)
    steps = TreeStore(workdir / "checkpoints").steps()
    assert len(steps) == 2
    assert steps[-1] < 40
    return workdir


def every_file(half_done, kind):
    return [path.relative_to(half_done) for path in files_of(half_done)]


def a_few(half_done, kind):
    """The largest file of the newest checkpoint, and of the others those that this kind of damage gets."""
    files = every_file(half_done, kind)
    newest = max(TreeStore(half_done / "checkpoints").steps())

    def largest(folder):
        inside = [path for path in files if path.is_relative_to(folder)]
        return max(inside, key=lambda path: (half_done / path).stat().st_size)

    inside = [path for path in files if path.is_relative_to(f"checkpoints/{newest}")]
    others = inside[KINDS.index(kind) :: len(KINDS)]
    elsewhere = {"flip": ["results.nc", largest("snapshots")], "truncate": ["experiment.json"]}.get(kind, [])
    return {largest(f"checkpoints/{newest}"), *others, *map(pathlib.Path, elsewhere)}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("chosen", "kind"),
    [(a_few, "flip"), *(pytest.param(every_file, kind, marks=pytest.mark.slow) for kind in KINDS)],
)
def test_every_file_damaged_in_every_way(half_done, undisturbed, tmp_path, capsys, rng, kind, chosen):
    names = sorted(chosen(half_done, kind))
    refused = walked_back = harmless = 0
    for name in names:
        copy = tmp_path / "copy"
        shutil.copytree(half_done, copy)
        damage(copy / name, kind, rng)
        capsys.readouterr()
        try:
            collapse_jax.train(QUIET, copy)
        except WorkdirError as refusal:
            assert name.name == "experiment.json", (name, kind, str(refusal))  # noqa: PT017 - which of many files
            assert name.name in str(refusal)  # noqa: PT017
            refused += 1
        else:
            said = capsys.readouterr().err
            assert "continuing at step" in said, (name, kind, said)
            walked_back += "skipped a checkpoint" in said
            harmless += "skipped a checkpoint" not in said
            if name.parts[0] == "snapshots":
                _check_snapshots(copy, undisturbed, name, kind, said)
            else:
                assert_same_sweep(copy, undisturbed)
        shutil.rmtree(copy)
    print(f"{kind}: {refused} refused, {walked_back} walked back, {harmless} without loss")
    assert walked_back >= 1
    assert walked_back + harmless + refused == len(names)
    manifests = sum(name.name == "experiment.json" for name in names)
    # A flipped bit can leave the meaning ("1e-6" and "1E-6"); then the sweep has ended with the same bits.
    assert refused == manifests or (kind == "flip" and refused < manifests)


def _check_snapshots(copy, undisturbed, name, kind, said):
    """A damaged snapshot is named by `verify` or reads with the right bits; the sweep is as it should be."""
    step = name.parts[1]
    wrong = [f for f, what in verify_workdir(copy) if what]
    gone = f"snapshots of the steps {step} are gone" in said
    if wrong or gone:
        assert wrong == ([] if gone else [f"snapshots/{step}"]), (name, kind, wrong)
        shutil.rmtree(copy / "snapshots" / step, ignore_errors=True)
        shutil.copytree(undisturbed / "snapshots" / step, copy / "snapshots" / step)
    assert_same_sweep(copy, undisturbed)


@pytest.mark.parametrize("what", ["emptied", "renamed", "file", "removed"])
def test_a_damaged_step_directory_is_walked_back(half_done, undisturbed, tmp_path, capsys, what):
    copy = tmp_path / "copy"
    shutil.copytree(half_done, copy)
    old, new = TreeStore(copy / "checkpoints").steps()
    newest = copy / "checkpoints" / str(new)
    if what == "renamed":  # how Orbax names a save that is not whole
        newest.rename(newest.with_name(f"{new}.orbax-checkpoint-tmp"))
    else:
        shutil.rmtree(newest)
    if what == "emptied":
        newest.mkdir()
    if what == "file":
        newest.write_text("not a directory")
    collapse_jax.train(QUIET, copy)
    said = capsys.readouterr().err
    assert f"continuing at step {old}" in said
    assert ("skipped a checkpoint" in said) == (what == "emptied")
    if what == "file":
        newest.unlink(missing_ok=True) if newest.is_file() else None
    assert_same_sweep(copy, undisturbed)


def test_no_readable_checkpoint_is_never_a_silent_beginning(half_done, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(half_done, copy)
    rng = np.random.default_rng(0)
    for step in (copy / "checkpoints").iterdir():
        for path in files_of(step):
            damage(path, "empty", rng)
    with pytest.raises(WorkdirError, match="no checkpoint is good"):
        collapse_jax.train(QUIET, copy)
    assert capsys.readouterr().err.count("skipped a checkpoint") == 2
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(WorkdirError, match=r"holds results\.nc but no checkpoint"):
        collapse_jax.train(QUIET, copy)


def test_a_checkpoint_that_cannot_be_read_or_is_of_others_is_neither_skipped_nor_removed(half_done, tmp_path):
    """The system's own words, and nothing is changed: advice to delete it would destroy what may be good."""
    copy = tmp_path / "copy"
    shutil.copytree(half_done, copy)
    newest = copy / "checkpoints" / str(max(TreeStore(copy / "checkpoints").steps()))
    largest = max(files_of(newest), key=lambda path: path.stat().st_size)
    largest.unlink()
    largest.symlink_to(largest)  # nobody can open it
    before = files_of(copy)
    with pytest.raises(StoreError, match=f"{largest.name} cannot be read: Too many levels of symbolic links"):
        collapse_jax.train(QUIET, copy)
    assert files_of(copy) == before
    shutil.rmtree(newest)
    with one_writer(copy) as lock:
        foreign = TreeStore(copy / "checkpoints", lock=lock, fingerprint="0" * 16)
        foreign.save(39, {"states": np.zeros(3)})
        foreign.close()
    with pytest.raises(WorkdirError, match=r"checkpoints/39 belongs to another experiment \(0{16}\); move it away"):
        collapse_jax.train(QUIET, copy)
    assert (copy / "checkpoints" / "39").is_dir()


def test_old_checkpoints_stay_until_the_new_one_reads_back(tmp_path, undisturbed, monkeypatch, capsys):
    """A disk that flips a bit of some checkpoints: there is always a good one, and the end has the same bits."""
    original = TreeStore.save
    flipped = []

    def faulty(self, step, tree):
        original(self, step, tree)
        if self.directory.name == "checkpoints":
            good = set(self.steps()) - set(flipped) - {step}
            assert good or not flipped
            if step < WHAT.steps and len(flipped) * 2 < step / 10:
                self._manager.wait_until_finished()
                largest = max(files_of(self.directory / str(step)), key=lambda path: path.stat().st_size)
                content = bytearray(largest.read_bytes())
                content[len(content) // 2] ^= 1
                largest.write_bytes(content)
                flipped.append(step)

    monkeypatch.setattr(TreeStore, "save", faulty)
    collapse_jax.train(WHAT, tmp_path / "w")
    assert flipped
    assert capsys.readouterr().err.count("does not read back") == len(flipped)
    assert_same_sweep(tmp_path / "w", undisturbed)


def test_another_version_that_continues_a_sweep_is_recorded_with_its_step(
    half_done, undisturbed, tmp_path, monkeypatch
):
    copy = epath.Path(tmp_path / "copy")
    shutil.copytree(half_done, copy)
    step, begun = max(TreeStore(copy / "checkpoints").steps()), record.read_record(copy)
    monkeypatch.setattr(record, "software", lambda: later)
    later = {name: begun[name] for name in ("versions", "machine", "git_commit")}
    later = later | {"versions": begun["versions"] | {"jax": "99.0"}}
    collapse_jax.train(QUIET, copy)
    expected = {"step": step, "device": device_of(begun["packing"]), **later}
    assert record.read_record(copy) == begun | {"continued": [expected]}
    later = later | {"versions": begun["versions"] | {"jax": "100.0"}}
    collapse_jax.train(QUIET, copy)  # has nothing left to do
    assert record.read_record(copy)["continued"] == [expected]
    rows = dict(row for row in provenance(load([copy])).rows)
    assert rows["jax"] == f"{begun['versions']['jax']}, 99.0 from step {step}"
    assert rows["numpy"] == begun["versions"]["numpy"]
    assert_same_sweep(tmp_path / "copy", undisturbed)


def test_left_overs_of_killed_saves_are_removed(undisturbed, half_done, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(half_done, copy)
    left = ["checkpoints/39.orbax-checkpoint-tmp/d", "snapshots/35.orbax-checkpoint-tmp-1/d", "measures", "figures"]
    for name in left:
        (copy / name).mkdir(parents=True)
    dead = 2**22 + 1  # no process has this number
    for name in ("", "measures/", "figures/"):
        (copy / f"{name}.x.{dead}.tmp").write_bytes(b"half")
    foreign = [copy / "figures" / f".phases.png.{who}.tmp" for who in (os.getppid(), f"0badcafe-{dead}")]
    for path in foreign:
        path.write_bytes(b"being drawn by another command, of this machine or of another one")
    collapse_jax.train(QUIET, copy)
    for path in foreign:
        path.unlink()
    assert_same_sweep(copy, undisturbed)
    assert state(copy)


def test_another_number_of_devices_continues_with_the_same_bits_and_is_recorded(
    half_done, undisturbed, tmp_path, capsys
):
    copy = tmp_path / "copy"
    shutil.copytree(half_done, copy)
    other = dataclasses.replace(QUIET, packing=Packing(devices=1, runs_per_tile=1))
    collapse_jax.train(other, copy)
    assert "goes on with 1 devices, until now 2: the same bits" in capsys.readouterr().err
    assert_same_sweep(copy, undisturbed)
    assert record.read_record(epath.Path(copy))["continued"][0]["packing"]["devices"] == 1
    assert record.recorded_packing(epath.Path(copy)) == {"devices": 1, "runs_per_tile": 1, "threads": 2}
    wider = dataclasses.replace(QUIET, packing=Packing(devices=1, runs_per_tile=2))
    with pytest.raises(WorkdirError, match=r"begun with packing\.runs_per_tile=1, now 2"):
        collapse_jax.train(wider, copy)
