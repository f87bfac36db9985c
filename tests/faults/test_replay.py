"""Bits that flip in memory, before any checksum: chunks are computed again and compared with what is stored."""

import dataclasses
import pathlib
import shutil

import harness
import jax
import numpy as np
import pytest
from etils import epath
from harness import experiment, state

import collapse_jax
from collapse_jax import tasks
from collapse_jax.__main__ import main
from collapse_jax.engine import replay, sweep
from collapse_jax.engine.replay import replay_workdir
from collapse_jax.errors import WorkdirError
from collapse_jax.experiment.config import Grid
from collapse_jax.workdir.lock import one_writer
from collapse_jax.workdir.trees import TreeStore, from_flat
from collapse_jax.workdir.verify import verify_workdir

WHAT = experiment()
QUIET = dataclasses.replace(WHAT, checkpoint_seconds=1e6)  # one checkpoint, at the end
TRIALS = 20

undisturbed = harness.undisturbed_sweep(WHAT)


@pytest.fixture(autouse=True)
def _load_data_once(monkeypatch, data={}):  # noqa: B006 - shared by all tests
    load = tasks.load

    def load_once(task, dtype):
        key = (str(task), dtype)
        data[key] = data.get(key) or load(task, dtype)
        return data[key]

    monkeypatch.setattr(tasks, "load", load_once)


@pytest.fixture
def copy(undisturbed, tmp_path):
    return epath.Path(shutil.copytree(undisturbed, tmp_path / "copy"))


def flipped(flat, rng):
    """One bit of one number, in the parameters or the moments of a run."""
    names = sorted(name for name in flat if name.startswith(("states/params", "states/opt_state")))
    sizes = np.array([flat[name].size for name in names])
    name = rng.choice(names, p=sizes / sizes.sum())
    leaf = flat[name].copy()
    bytes_ = leaf.reshape(-1).view(np.uint8)
    bytes_[rng.integers(len(bytes_))] ^= np.uint8(1 << rng.integers(8))
    return flat | {name: leaf}


def put(workdir, checkpoints):
    """Store checkpoints as a sweep does, with right checksums of the bits that it is given; later ones go."""
    for path in (workdir / "checkpoints").iterdir():
        if path.name.isdigit() and int(path.name) >= min(checkpoints):
            shutil.rmtree(path)
    with one_writer(workdir) as lock:
        store = TreeStore(workdir / "checkpoints", lock=lock)
        for step, flat in checkpoints.items():
            store.save(step, flat)
        store.close()


def files_of(workdir):
    return sorted(pathlib.Path(workdir).rglob("*"))


def wrong_in(workdir, count):
    return [wrong for _, wrong in replay_workdir(workdir, count) if wrong]


@pytest.mark.slow  # many trials
def test_a_flip_in_memory_is_found_in_every_trial(copy, undisturbed, rng, monkeypatch):
    """In a checkpoint before its checksum, or in the devices during a chunk; what leaves no trace is no damage."""
    monkeypatch.setattr("collapse_jax.workdir.lock.SETTLE_SECONDS", 0.0)
    earlier, newest = TreeStore(copy / "checkpoints").steps()
    good = {step: TreeStore(copy / "checkpoints").load(step) for step in (earlier, newest)}
    programs = replay._Replay(replay.leaves(copy)[0], False).programs
    like = jax.eval_shape(programs.initial)

    def during_the_chunk():
        step = int(rng.integers(earlier, newest))
        states = programs.place(from_flat(good[earlier], {"states": like})["states"])
        flat = replay.to_flat({"states": programs.advance(states, earlier, step)})
        states = programs.place(from_flat(flipped(flat, rng), {"states": like})["states"])
        return newest, good[newest] | replay.to_flat({"states": programs.advance(states, step, newest)})

    def in_a_checkpoint():
        step = (earlier, newest)[rng.integers(2)]
        return step, flipped(good[step], rng)

    found = {during_the_chunk: 0, in_a_checkpoint: 0}
    while min(found.values()) < TRIALS // 2:
        inject = min(found, key=found.get)
        step, flat = inject()
        put(copy, {step: flat} if step == newest else {step: flat, newest: good[newest]})
        traced = any(flat[name].tobytes() != leaf.tobytes() for name, leaf in good[step].items())
        chunks = 2 if step == earlier else 1  # what the flip would have to heal in, and where it came from
        wrong = wrong_in(copy, chunks)
        assert bool(wrong) == traced, (inject, step, wrong)
        found[inject] += traced
        if step == earlier:
            put(copy, good)
    assert sum(found.values()) == TRIALS


def test_a_flip_while_a_sweep_trains_is_found_though_every_file_is_good(copy, undisturbed, monkeypatch, capsys):
    """The whole way: the sweep goes on with the flipped bit, and stores what follows with right checksums."""
    steps = TreeStore(copy / "checkpoints").steps()
    shutil.rmtree(copy / "checkpoints" / str(steps[-1]))
    advance = sweep.Sweep._advance

    def struck(self, stop):
        if self.step == steps[0]:
            states = jax.tree.map(np.array, self.states)
            kernel = states.params["head"]["kernel"]
            kernel.reshape(-1).view(np.uint32)[7] ^= 1  # the last bit of a weight of the first run
            self.states = self.programs.place(states)
        advance(self, stop)

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Sweep, "_advance", struck)
        collapse_jax.train(QUIET, copy)
    assert not any(wrong for _, wrong in verify_workdir(copy))
    capsys.readouterr()
    assert main(["verify", f"--workdir={copy}", "--replay=1"]) == 3
    shown = capsys.readouterr()
    assert "results.nc: good" in shown.out
    (line,) = [line for line in shown.out.splitlines() if "again: " in line]
    assert line.startswith(f"steps {steps[0]} ... {steps[1]} again: snapshots/40 has other bits than step 40 when")
    assert "numbers of head/" in line
    assert line.endswith("the first of weight decay 0.1, learning rate 0.001, init scale 1, seed 1")
    assert "1 damaged" in shown.err
    # What the documentation advises: the older checkpoint is good, so train again from there.
    assert [bool(wrong) for _, wrong in replay_workdir(copy, 2)] == [True, False]
    shutil.rmtree(copy / "checkpoints" / str(steps[1]))
    collapse_jax.train(QUIET, copy)
    assert not wrong_in(copy, 2)
    harness.assert_same_sweep(pathlib.Path(copy), undisturbed)


@pytest.mark.parametrize("where", ["results", "diverged_at", "snapshots"])
def test_what_is_stored_beside_the_states_is_compared_too(copy, where, monkeypatch):
    newest = TreeStore(copy / "checkpoints").steps()[-1]
    if where == "snapshots":
        monkeypatch.setattr(TreeStore, "load", _with_flips(TreeStore.load, "snapshots", "head/kernel"))
    elif where == "results":
        monkeypatch.setattr(TreeStore, "load", _with_flips(TreeStore.load, "checkpoints", "results/train_loss"))
    else:
        flat = TreeStore(copy / "checkpoints").load(newest)
        put(copy, {newest: flat | {"diverged_at": np.array([-1, 20, -1, -1], np.int32)}})
    *_, second = replay_workdir(copy, 2)
    assert second[0].startswith("steps 0 ... ")
    named = {"results": "results has", "diverged_at": "of diverged", "snapshots": "snapshots/"}[where]
    assert named in second[1]
    assert "seed" in second[1]


def _with_flips(load, folder, leaf):
    def flipping(self, step, only=""):
        flat = load(self, step, only)
        if self.directory.name == folder:
            flat[leaf] = flat[leaf].copy()
            flat[leaf].reshape(len(flat[leaf]), -1).view(np.uint32)[:, 0] ^= 1
        return flat

    return flipping


def test_replaying_changes_nothing_and_a_good_sweep_stays_good_however_it_was_interrupted(copy, undisturbed):
    before = {path: path.stat().st_mtime_ns for path in files_of(copy)}
    found = list(replay_workdir(copy, 99))
    assert {path: path.stat().st_mtime_ns for path in files_of(copy)} == before
    earlier, newest = TreeStore(copy / "checkpoints").steps()
    assert found == [(f"steps {earlier} ... {newest} again", ""), (f"steps 0 ... {earlier} again", "")]
    assert state(copy).keys() == state(undisturbed).keys()


def test_without_moments_every_snapshot_with_parameters_is_a_beginning(tmp_path, monkeypatch):
    """And a workdir that is cut is replayed leaf after leaf."""
    axes = {"weight_decay": (0.1,), "seed": (1,), "init_scale": (1.0,), "learning_rate": (0.01,)}
    grid = Grid(**axes, optimizer=("sgd", "adamw"))
    what = dataclasses.replace(
        experiment(steps=12, every=2), grid=grid, checkpoint_seconds=1e6, measures=("norms",)
    )
    workdir = epath.Path(tmp_path / "w")
    collapse_jax.train(what, workdir)
    found = list(replay_workdir(workdir, 3))
    assert found == [
        ("parts/0-optimizer=sgd/steps 6 ... 12 again", ""),
        ("parts/0-optimizer=sgd/steps 0 ... 6 again", ""),
        ("parts/1-optimizer=adamw/steps 0 ... 12 again", ""),
    ]
    monkeypatch.setattr(TreeStore, "load", _with_flips(TreeStore.load, "snapshots", "parameters/head/kernel"))
    assert [bool(wrong) for _, wrong in replay_workdir(workdir, 1)] == [True, True]


def test_what_cannot_be_replayed_is_refused(copy, tmp_path, capsys):
    assert main(["verify", f"--workdir={copy}", "--replay=-1"]) == 2
    assert "--replay=-1: must be 0" in capsys.readouterr().err
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(WorkdirError, match="no checkpoint yet"):
        list(replay_workdir(copy, 1))
