"""One writer per workdir: two starters, a dead holder, a holder on another machine, a suspended one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import harness
import pytest
from harness import Child, assert_same_sweep, experiment

from collapse_jax.errors import CollapseError, WorkdirError
from collapse_jax.workdir import lock
from collapse_jax.workdir.lock import one_writer

LONG = experiment(steps=100, every=10)

undisturbed = harness.undisturbed_sweep(LONG)


def held_elsewhere(workdir, **changes):
    record = {"host": "elsewhere 0-0", "pid": 1, "since": "2026-01-01", "token": "t", "heartbeat": "0"} | changes
    file = os.open(workdir / lock.LOCK, os.O_RDWR | os.O_CREAT)
    os.pwrite(file, json.dumps(record).ljust(lock.WIDTH).encode(), 0)  # as a holder does: never half a record
    os.close(file)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for name in ("STALE_SECONDS", "SETTLE_SECONDS", "HEARTBEAT_SECONDS"):
        monkeypatch.setattr(lock, name, 0.3)
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.02)


def test_a_live_holder_is_named_and_the_lock_goes_with_it(tmp_path):
    with one_writer(tmp_path / "w"):
        record = json.loads((tmp_path / "w" / lock.LOCK).read_text())
        assert record["pid"] == os.getpid()
        with (
            pytest.raises(WorkdirError, match=rf"process {os.getpid()} on \S+ since .* is writing it"),
            one_writer(tmp_path / "w"),
        ):
            pass
        assert (tmp_path / "w" / lock.LOCK).exists()
    assert not list((tmp_path / "w").iterdir())
    with one_writer(tmp_path / "w"):
        pass


@pytest.mark.parametrize("kind", [lock.Lock, lock.LocalLock])
def test_of_many_starters_exactly_one_wins(tmp_path, kind):
    """From a free lock, one of a dead machine and half a record; threads stand for starters."""
    for round_ in range(3 if kind is lock.LocalLock else 2):
        if round_ % 3 == 1:
            held_elsewhere(tmp_path)
        if round_ % 3 == 2:
            (tmp_path / lock.LOCK).write_text("half a rec")
        won, refused, barrier = [], [], threading.Barrier(6)

        def start(won=won, refused=refused, barrier=barrier):
            barrier.wait()
            try:
                won.append(kind(tmp_path))
            except WorkdirError:
                refused.append(1)

        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert len(refused) == 5
        won[0].check()
        won[0].release()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    code = (
        "import pathlib, sys, time; from collapse_jax.workdir.lock import one_writer\n"
        "with one_writer(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(WorkdirError, match=f"process {process.pid} on"), one_writer(tmp_path):
            pass
        process.kill()
    with one_writer(tmp_path) as mine:
        mine.check()


def test_a_silent_lock_of_another_machine_is_taken_over_and_a_beating_one_respected(tmp_path, capsys):
    held_elsewhere(tmp_path)
    with one_writer(tmp_path):
        assert "process 1 on elsewhere" in capsys.readouterr().err
    stop = threading.Event()

    def beat():
        for count in range(1000):
            held_elsewhere(tmp_path, heartbeat=str(count))
            if stop.wait(0.02):
                return

    thread = threading.Thread(target=beat)
    held_elsewhere(tmp_path)
    thread.start()
    try:
        with pytest.raises(WorkdirError, match="process 1 on elsewhere since 2026-01-01"), one_writer(tmp_path):
            pass
    finally:
        stop.set()
        thread.join()


def test_the_heartbeat_beats_and_a_lost_lock_is_noticed(tmp_path):
    with one_writer(tmp_path) as mine:
        before = json.loads((tmp_path / lock.LOCK).read_text())
        os.truncate(tmp_path / lock.LOCK, 20)
        threading.Event().wait(0.1)
        with pytest.raises(WorkdirError, match="has taken it over"):
            mine.check()
        mine._write()
        threading.Event().wait(1.0)
        after = json.loads((tmp_path / lock.LOCK).read_text())
        assert after["token"] == before["token"]
        mine.check()
        held_elsewhere(tmp_path)
        with pytest.raises(WorkdirError, match="process 1 on elsewhere since 2026-01-01 has taken it over"):
            mine.check()
    assert (tmp_path / lock.LOCK).exists()  # of the other, so it stays


def test_without_flock_the_record_decides(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(lock.errno.ENOLCK, "no locks")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    with one_writer(tmp_path), pytest.raises(WorkdirError, match=f"process {os.getpid()}"), one_writer(tmp_path):
        pass
    held_elsewhere(tmp_path, host=_own_host(), pid=2**22 + 1)
    with one_writer(tmp_path):
        pass


@pytest.mark.parametrize("code", [lock.errno.ENOLCK, lock.errno.EINVAL, 524, lock.errno.EIO, lock.errno.ESTALE])
def test_what_flock_says_is_not_taken_for_another_process(tmp_path, monkeypatch, code):
    """A file system that cannot lock leaves it to the record; any other failure keeps its own words."""

    def fails(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(lock.fcntl, "flock", fails)
    if code in lock.NO_FLOCK:
        with one_writer(tmp_path) as mine:
            mine.check()
    else:
        with pytest.raises(CollapseError, match=f"cannot be written: {os.strerror(code)}"), one_writer(tmp_path):
            pass


@pytest.mark.parametrize("content", [b"\xff\xfe\x00garbage", bytes(range(256)) * 4, b"{}", b""])
def test_whatever_the_file_holds_it_is_taken_over(tmp_path, content):
    (tmp_path / lock.LOCK).write_bytes(content)
    with one_writer(tmp_path) as mine:
        mine.check()
        assert json.loads((tmp_path / lock.LOCK).read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_link_is_not_followed(tmp_path):
    mine, target = tmp_path / "w", tmp_path / "precious"
    mine.mkdir()
    target.write_text("precious")
    (mine / lock.LOCK).symlink_to(target)
    with pytest.raises(WorkdirError, match=r"writer\.lock is a symbolic link; remove it"), one_writer(mine):
        pass
    assert target.read_text() == "precious"


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o755, 0o644), (0o775, 0o664), (0o777, 0o666)])
def test_who_may_write_the_workdir_may_take_the_lock_over(tmp_path, folder, file):
    tmp_path.chmod(folder)
    with one_writer(tmp_path):
        assert (tmp_path / lock.LOCK).stat().st_mode & 0o777 == file


def test_a_lock_that_somebody_removes_is_made_again_and_holds(tmp_path):
    with one_writer(tmp_path) as mine:
        (tmp_path / lock.LOCK).unlink()
        mine.check()
        with pytest.raises(WorkdirError, match=rf"process {os.getpid()} on .* is writing it"), one_writer(tmp_path):
            pass
        (tmp_path / lock.LOCK).unlink()
        with one_writer(tmp_path), pytest.raises(WorkdirError, match="has taken it over; this process stops"):
            mine.check()  # another one was faster
    assert not list(tmp_path.iterdir())


def _own_host():

    return lock.this_host()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_commands_race(undisturbed, tmp_path, request):
    """Of two commands on one workdir one trains and one is refused by name, before it compiles."""
    for _ in range(max(request.config.getoption("--faults") // 4, 1)):
        workdir = tmp_path / "w"
        children = [Child(workdir, LONG) for _ in range(2)]
        codes = [child.end() for child in children]
        if sorted(codes) == [0, 0]:  # the second came when the first was done, and had nothing to do
            assert any("continuing at step 100" in child.stderr for child in children)
        else:
            assert sorted(codes) == [0, 2]
            (refused,) = (child for child in children if child.process.returncode == 2)
            (winner,) = (child for child in children if child.process.returncode == 0)
            assert f"process {winner.process.pid} on" in refused.stderr
            assert "compiled" not in refused.stderr
        assert_same_sweep(workdir, undisturbed)
        shutil.rmtree(workdir)


@pytest.mark.slow
def test_a_stopped_process_loses_the_workdir_and_says_so(tmp_path):
    """SIGSTOP, then another machine takes over: the first one stops when it wakes, and overwrites nothing."""
    child = Child(tmp_path / "w", LONG).until_line("compiled").until_saving().signal(signal.SIGSTOP)
    (tmp_path / "w" / lock.LOCK).unlink()
    held_elsewhere(tmp_path / "w")
    before = sorted(path.name for path in (tmp_path / "w" / "snapshots").iterdir() if "tmp" not in path.name)
    child.signal(signal.SIGCONT)
    assert child.end() == 2, child.stderr
    assert "process 1 on elsewhere since 2026-01-01 has taken it over" in child.stderr
    after = sorted(path.name for path in (tmp_path / "w" / "snapshots").iterdir() if "tmp" not in path.name)
    assert len(set(after) - set(before)) <= 1  # the save that was under way
