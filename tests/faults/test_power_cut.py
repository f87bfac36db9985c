"""Loss of power: what was said to be saved is there when the machine is on again."""

import os
import signal

import harness
import orbax.checkpoint as ocp
import pytest
from harness import Child, assert_same_sweep, experiment
from power_cut import Durable, cut, ext4

import collapse_jax
from collapse_jax.engine import sweep
from collapse_jax.errors import Preempted
from collapse_jax.workdir.trees import TreeStore
from collapse_jax.workdir.verify import verify_workdir

WHAT = experiment()
LONG = experiment(steps=100, every=10)

undisturbed = harness.undisturbed_sweep(WHAT)
undisturbed_long = harness.undisturbed_sweep(LONG)


@pytest.mark.slow  # four sweeps
def test_what_is_saved_survives_on_a_disk_that_keeps_what_is_synced_alone(undisturbed, tmp_path, monkeypatch):
    """Power is lost whenever an old checkpoint has been removed, at a signal, and at the end."""
    disk = tmp_path / "disk"
    disk.mkdir()
    durable, record, left = Durable(disk, monkeypatch), sweep.Sweep._record, []
    delete = ocp.CheckpointManager.delete

    def removed(self, step):
        delete(self, step)
        left.append(durable.left(tmp_path / f"left-{len(left)}"))

    def signalled(self, step, *arguments):
        if step == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        record(self, step, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ocp.CheckpointManager, "delete", removed)
        patch.setattr(sweep.Sweep, "_record", signalled)
        with pytest.raises(Preempted, match="saved at step") as stopped:
            collapse_jax.train(WHAT, disk / "new" / "w")
        assert len(left) >= 1
        saved = durable.left(tmp_path / "saved")
        assert f"saved at step {TreeStore(saved / 'new' / 'w' / 'checkpoints').steps()[-1]};" in str(stopped.value)
    for power_lost in (left[0], saved):
        assert not [name for name, wrong in verify_workdir(power_lost / "new" / "w") if wrong]
        collapse_jax.train(WHAT, power_lost / "new" / "w")
        assert_same_sweep(power_lost / "new" / "w", undisturbed)
    collapse_jax.train(WHAT, disk / "new" / "w")
    collapse_jax.measure(disk / "new" / "w", "fit")
    assert_same_sweep(durable.left(tmp_path / "end") / "new" / "w", undisturbed)
    assert (tmp_path / "end" / "new" / "w" / "measures" / "fit.nc").stat().st_size


@pytest.mark.slow
def test_power_is_cut_after_a_save(undisturbed_long, tmp_path):
    """On ext4 whose image is copied when the process has ended with 75, without a sync or an unmount."""
    with ext4(tmp_path / "disk") as (disk, image):
        child = Child(disk / "w", LONG, folder=tmp_path).until_line("compiled")
        while len(TreeStore(disk / "w" / "checkpoints").steps()) < 2:
            pass
        assert child.signal(signal.SIGTERM).end() == 75, child.stderr
        copy = cut(image, tmp_path / "copy.img")
    with ext4(tmp_path / "again", copy) as (disk, _):
        assert not [name for name, wrong in verify_workdir(disk / "w") if wrong]
        child = Child(disk / "w", LONG, folder=tmp_path)
        assert child.end() == 0, child.stderr
        assert "continuing at step" in child.stderr
        assert "skipped" not in child.stderr
        assert_same_sweep(disk / "w", undisturbed_long)
