"""Full and read-only disks: one line, exit code 3, the last checkpoint good, and the same bits after a repair."""

import contextlib
import errno
import os
import shutil
import subprocess

import harness
import orbax.checkpoint as ocp
import pytest
import xarray as xr
from harness import Child, assert_same_sweep, experiment

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.errors import StoreError
from collapse_jax.workdir import netcdf, results
from collapse_jax.workdir.results import open_results
from collapse_jax.workdir.verify import verify_workdir

# What Orbax leaves behind when a save fails.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
WHAT = experiment()


undisturbed = harness.undisturbed_sweep(WHAT)


@contextlib.contextmanager
def small_disk(path, kibibytes):
    """A file system of its own in memory; needs root."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", path]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def remount(path, options):
    subprocess.run(["mount", "-o", f"remount,{options}", path], check=True)


def fill(ballast, free):
    """Take all of a disk but some KiB."""
    room = shutil.disk_usage(ballast.parent).free - 1024 * free
    ballast.write_bytes(bytes(room))


def failing(after, code=errno.ENOSPC):
    calls = iter(range(10**6))

    def fail(original):
        """Fail when the work is done, so that nothing goes on behind the test's back."""

        def action(*arguments, **keywords):
            returned = original(*arguments, **keywords)
            if next(calls) >= after:
                raise OSError(code, os.strerror(code))
            return returned

        return action

    return fail


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("results", errno.ENOSPC),
        ("save", errno.EROFS),
        ("commit", errno.EIO),
    ],
)
def test_a_failing_write_ends_in_one_line_and_loses_nothing(undisturbed, tmp_path, monkeypatch, what, code):
    targets = {
        "results": (netcdf, "sealed"),
        "save": (ocp.CheckpointManager, "save"),
        "commit": (ocp.CheckpointManager, "wait_until_finished"),
    }
    owner, name = targets[what]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing(after=3, code=code)(getattr(owner, name)))
        with pytest.raises(StoreError) as error:
            collapse_jax.train(WHAT, tmp_path / "w")
    assert error.value.code == 3
    assert os.strerror(code) in str(error.value)
    assert "\n" not in str(error.value)
    damaged = {name for name, wrong in verify_workdir(tmp_path / "w") if wrong}
    assert not damaged
    collapse_jax.train(WHAT, tmp_path / "w")
    assert_same_sweep(tmp_path / "w", undisturbed)


def test_the_command_line_ends_with_3(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "open_results", failing(0)(lambda workdir: None))
    assert main(["show", f"--workdir={tmp_path}"]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert os.strerror(errno.ENOSPC) in said


@pytest.mark.slow
@pytest.mark.parametrize("kibibytes", [1400, 1100, 800])
def test_a_full_disk(undisturbed, tmp_path, kibibytes):
    """A file system that fills up on the way, wherever that is; then it is made larger."""
    with small_disk(tmp_path / "disk", kibibytes) as disk:
        child = Child(disk / "w", WHAT, folder=tmp_path)
        assert child.end() == 3, child.stderr
        last = child.stderr.splitlines()[-1]
        assert last.startswith("collapse-jax: ")
        assert "space" in last or "RESOURCE_EXHAUSTED" in last
        assert not list(disk.rglob("*tmp*"))
        remount(disk, "size=200m")
        assert not [name for name, wrong in verify_workdir(disk / "w") if wrong]
        child = Child(disk / "w", WHAT, folder=tmp_path)
        assert child.end() == 0, child.stderr
        assert "continuing at step" in child.stderr
        assert_same_sweep(disk / "w", undisturbed)


@pytest.mark.parametrize("free", [0, *(pytest.param(free, marks=pytest.mark.slow) for free in (4, 12))])
def test_a_full_disk_while_measuring(undisturbed, tmp_path, capsys, free):
    """The disk has `free` KiB left when a file of measures grows and another is to be made; then space is freed."""
    whole = tmp_path / "whole"
    shutil.copytree(undisturbed, whole)
    expected = collapse_jax.measure(whole, ["fit", "norms"])
    with small_disk(tmp_path / "disk", 20_000) as disk:
        workdir, ballast = disk / "w", disk / "ballast"
        shutil.copytree(undisturbed, workdir)
        collapse_jax.measure(workdir, "norms", steps=[0])
        before = (workdir / "measures" / "norms.nc").read_bytes()
        fill(ballast, free)
        capsys.readouterr()
        command = ["measure", f"--workdir={workdir}", "--measures=fit,norms"]
        assert main(command) == 3
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("collapse-jax: ")
        assert "cannot be written: No space left on device; the same command continues" in last
        assert (workdir / "measures" / "norms.nc").read_bytes() == before
        assert [path.name for path in (workdir / "measures").iterdir()] == ["norms.nc"]
        assert not [name for name, wrong in verify_workdir(workdir) if wrong]
        ballast.unlink()
        assert main(command) == 0
        assert collapse_jax.open_results(workdir).identical(expected)
        for name in ("fit", "norms"):
            files = [open_results(w / "measures" / f"{name}.nc") for w in (workdir, whole)]
            xr.testing.assert_identical(*files)
        assert_same_sweep(workdir, undisturbed)


def test_a_read_only_disk(undisturbed, tmp_path, capsys):
    """Refused before anything compiles; reading works."""
    with small_disk(tmp_path / "disk", 100_000) as disk:
        collapse_jax.train(WHAT, disk / "w")
        remount(disk, "ro")
        with pytest.raises(collapse_jax.errors.WorkdirError, match="cannot be written: Read-only"):
            collapse_jax.train(WHAT, disk / "w")
        assert "compiling" not in capsys.readouterr().err.splitlines()[-1]
        assert not [name for name, wrong in verify_workdir(disk / "w") if wrong]
        assert main(["show", f"--workdir={disk / 'w'}"]) == 0
        assert main(["plot", f"--workdir={disk / 'w'}"]) == 3
        remount(disk, "rw")
        assert_same_sweep(disk / "w", undisturbed)
