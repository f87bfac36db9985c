"""Files of a finished sweep that are damaged, gone or added: named by `verify`, written anew by `train`."""

import dataclasses
import os
import shutil

import harness
import numpy as np
import pytest
from etils import epath
from harness import assert_same_sweep, damage, experiment, files_of

import collapse_jax
from collapse_jax.errors import CollapseError, WorkdirError
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.trees import TreeStore
from collapse_jax.workdir.verify import verify_workdir

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
WHAT = experiment()
QUIET = dataclasses.replace(WHAT, checkpoint_seconds=1e6)  # one checkpoint, at the end

undisturbed = harness.undisturbed_sweep(WHAT)


def test_damaged_results_of_a_finished_sweep_are_written_anew(undisturbed, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(undisturbed, copy)
    content = bytearray((copy / "results.nc").read_bytes())
    rng = np.random.default_rng(0)
    seen, whole = 0, collapse_jax.open_results(undisturbed)
    for at in rng.integers(len(content), size=30):
        flipped = content.copy()
        flipped[at] ^= 1 << rng.integers(8)
        (copy / "results.nc").write_bytes(flipped)
        try:
            found = collapse_jax.open_results(copy)
        except WorkdirError:
            seen += 1
        else:
            assert found.identical(whole), at
    assert seen >= 5
    (copy / "results.nc").write_bytes(content[:100])
    collapse_jax.train(QUIET, copy)
    assert "written anew" in capsys.readouterr().err
    assert_same_sweep(copy, undisturbed)


def test_verify_names_what_is_damaged(undisturbed, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(undisturbed, copy)
    found = dict(verify_workdir(copy))
    assert {"experiment.json", "results.nc", "checkpoints/40", "snapshots/0"} <= found.keys()
    assert not any(found.values())
    largest = max(files_of(copy / "snapshots" / "30"), key=lambda path: path.stat().st_size)
    damage(largest, "truncate", None)
    os.truncate(copy / "results.nc", 1000)
    assert {name for name, wrong in verify_workdir(copy) if wrong} == {"results.nc", "snapshots/30"}
    with pytest.raises(CollapseError):
        list(verify_workdir(tmp_path / "nowhere"))


def test_a_step_that_a_trainer_removes_meanwhile_is_no_damage(undisturbed, tmp_path, monkeypatch):
    copy = shutil.copytree(undisturbed, tmp_path / "copy")
    earlier = TreeStore(copy / "checkpoints").steps()[0]
    load = TreeStore.load

    def removed(self, step, only=""):
        if step == earlier:
            shutil.rmtree(self.directory / str(step))
        return load(self, step, only)

    monkeypatch.setattr(TreeStore, "load", removed)
    found = dict(verify_workdir(epath.Path(copy)))
    assert f"checkpoints/{earlier}" not in found
    assert "checkpoints/40" in found
    assert not any(found.values())


def test_what_was_measured_later_makes_a_finished_sweep_write_nothing_and_is_verified(undisturbed, tmp_path):
    copy = epath.Path(shutil.copytree(undisturbed, tmp_path / "copy"))
    measured = collapse_jax.open_results(copy)[["weight_norm"]].rename(weight_norm="measured_later")
    for path in (copy / "measures/norms.nc", copy / "measures/other_options/norms-0123456789abcdef.nc"):
        path.parent.mkdir()
        write_dataset(measured, path)
    stamp = os.stat(copy / "results.nc").st_mtime_ns
    assert "measured_later" in collapse_jax.train(WHAT, copy)
    assert os.stat(copy / "results.nc").st_mtime_ns == stamp
    assert not any(wrong for _, wrong in verify_workdir(copy))
    for path in (copy / "measures/norms.nc", copy / "measures/other_options/norms-0123456789abcdef.nc"):
        os.truncate(path, 1000)
    wrong = [name for name, what in verify_workdir(copy) if what]
    assert wrong == ["measures/norms.nc", "measures/other_options/norms-0123456789abcdef.nc"]
