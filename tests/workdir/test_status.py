"""How far a sweep is, from its workdir alone: finished, training, killed, on another machine, in parts."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.cli.status import described, duration
from collapse_jax.engine.account import Account
from collapse_jax.errors import WorkdirError
from collapse_jax.experiment.cuts import Shard
from collapse_jax.system.host import this_host
from collapse_jax.system.paths import path_of
from collapse_jax.workdir import lock
from collapse_jax.workdir.netcdf import read_dataset, write_dataset
from collapse_jax.workdir.status import Status, status
from collapse_jax.workdir.tree import open_tree


@pytest.fixture
def sweep(finished, tmp_path):
    """A finished sweep, to be changed."""
    return path_of("workdir", shutil.copytree(finished[1], tmp_path / "sweep"))


def hold(workdir, **held):
    """Write a lock as another process would leave it, or hold it."""
    record = {"host": this_host(), "pid": os.getpid(), "since": "noon", "token": "t", "heartbeat": "0"} | held
    (workdir / lock.LOCK).write_text(json.dumps(record).ljust(lock.WIDTH))


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def content(workdir):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in workdir.rglob("*") if path.is_file()}


def test_a_finished_sweep_is_at_its_last_step_and_nobody_trains_it(sweep):
    found = status(sweep)
    assert len(found) == 1
    assert (found[0].state, found[0].step, found[0].steps, found[0].checkpoint, found[0].runs) == (
        "finished",
        40,
        40,
        40,
        4,
    )
    assert (found[0].writer, found[0].alive, found[0].left, found[0].rate) == ("", None, None, None)
    assert found[0].checkpoint_age >= 0


def test_runs_that_ended_are_counted_in_the_results(sweep):
    results = read_dataset(sweep / "results.nc")
    ends = {"diverged_at": [[-1, 7], [-1, -1]], "retired_at": [[20, 20], [20, -1]]}
    results = results.assign({name: (("weight_decay", "seed"), at) for name, at in ends.items()})
    write_dataset(results, sweep / "results.nc")
    assert (status(sweep)[0].diverged, status(sweep)[0].retired) == (1, 2)  # one diverged, and so retired too


def test_of_a_sweep_that_trains_the_heartbeat_is_told(tmp_path, tiny, monkeypatch):
    """Asked after each chunk, by the process that trains: what it knows; no file changes, and the lock stays."""
    asked, moved = [], Account.moved

    def ask(account, step, *ends):
        moved(account, step, *ends)
        account.lock._write()  # a heartbeat
        before = content(tmp_path / "w")
        asked.append((step, status(tmp_path / "w")[0], account.lock.progress["rate"]))
        assert content(tmp_path / "w") == before
        account.lock.check()

    monkeypatch.setattr(Account, "moved", ask)
    collapse_jax.train(tiny(), tmp_path / "w")
    assert asked[-1][0] == 40
    for step, found, rate in asked:
        assert (found.state, found.step, found.steps, found.alive) == ("training", step, 40, True)
        assert found.writer.startswith(f"process {os.getpid()} on ")
        assert found.rate == rate
        assert found.left == (pytest.approx((160 - 4 * step) / found.rate) if rate else None)  # four runs
    assert asked[0][1].checkpoint is None
    assert status(tmp_path / "w")[0].writer == ""


def test_a_killed_sweep_is_at_its_last_checkpoint(sweep):
    hold(sweep, pid=dead_process(), step=39, rate=9.0, done=156, total=160)
    shutil.rmtree(sweep / "checkpoints" / "40")
    shutil.copytree(sweep / "snapshots" / "11", sweep / "checkpoints" / "11")
    (sweep / "checkpoints" / "40.orbax-checkpoint-tmp").mkdir()
    found = status(sweep)[0]
    assert (found.state, found.step, found.alive, found.rate) == ("stopped", 11, False, None)
    assert ", dead" in described(found)


def test_a_process_on_another_machine_lives_while_its_heart_beats(sweep):
    hold(sweep, host="elsewhere 0", pid=1, step=7, rate=2.0, done=28, total=160)
    assert status(sweep)[0].alive
    assert "step 7 of 40 (18%), 2 run-steps/s, 1:06 min left" in described(status(sweep)[0])
    old = (sweep / lock.LOCK).stat().mtime - 2 * lock.STALE_SECONDS
    os.utime(sweep / lock.LOCK, (old, old))
    assert (status(sweep)[0].state, status(sweep)[0].alive) == ("finished", False)


def test_results_without_checkpoints_say_how_far_they_are(sweep):
    shutil.rmtree(sweep / "checkpoints")
    assert (status(sweep)[0].state, status(sweep)[0].step, status(sweep)[0].checkpoint) == ("finished", 40, None)
    results = read_dataset(sweep / "results.nc")
    logged = [name for name, variable in results.items() if "step" in variable.dims]
    write_dataset(results.assign({n: results[n].where(results["step"] < 20) for n in logged}), sweep / "results.nc")
    assert (status(sweep)[0].state, status(sweep)[0].step) == ("stopped", 7)


def test_progress_that_does_not_fit_into_the_lock_is_left_out(tmp_path):
    """The lock itself must stay what it is."""
    with lock.one_writer(path_of("workdir", tmp_path / "w")) as held:
        held.progress = {"step": 3, "more": "x" * lock.WIDTH}
        held._write()
        held.check()
        assert "step" not in lock.read_lock(path_of("workdir", tmp_path / "w"))


def test_parts_that_have_not_begun_are_named(tmp_path, tiny, capsys):
    open_tree(path_of("workdir", tmp_path / "w"), tiny(), Shard(0, 2))
    assert [(part.part, part.state) for part in status(tmp_path / "w")] == [
        ("shard 0/2", "not begun"),
        ("shard 1/2", "not begun"),
    ]
    assert main(["status", f"--workdir={tmp_path / 'w'}"]) == 0
    assert capsys.readouterr().out == "shard 0/2: not begun\nshard 1/2: not begun\n"


def test_the_command_prints_a_line_or_json(sweep, capsys):
    assert main(["status", f"--workdir={sweep}"]) == 0
    assert capsys.readouterr().out.startswith("finished, step 40 of 40 (100%), 4 runs, checkpoint of step 40, ")
    assert main(["status", f"--workdir={sweep}", "--format=json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told[0] | {"checkpoint_age": 0.0} == dataclasses.asdict(status(sweep)[0]) | {"checkpoint_age": 0.0}
    assert main(["status", f"--workdir={sweep}", "--format=yaml"]) == 2
    with pytest.raises(WorkdirError, match="no sweep here"):
        status(sweep / "nothing")


def test_times_are_shown_in_two_units():
    shown = {0.4: "0 s", 59: "59 s", 65: "1:05 min", 3600: "1:00 h", 12_000: "3:20 h", 187_200: "2 d 4 h"}
    assert {seconds: duration(seconds) for seconds in shown} == shown
    assert described(Status("", "stopped", None, 9, 1)) == "stopped before the first checkpoint"
