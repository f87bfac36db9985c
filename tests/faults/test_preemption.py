"""SIGTERM and SIGINT: saved and exit code 75, or stopped at once with the last checkpoint good."""

import contextlib
import os
import signal
import threading

import harness
import pytest
from harness import Child, assert_same_sweep, experiment

import collapse_jax
from collapse_jax.engine import sweep
from collapse_jax.engine.chunks import Chunks
from collapse_jax.errors import Preempted
from collapse_jax.system import signals
from collapse_jax.workdir.trees import TreeStore

WHAT = experiment()
LONG = experiment(steps=100, every=10)


undisturbed = harness.undisturbed_sweep(WHAT)
undisturbed_long = harness.undisturbed_sweep(LONG)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param("_record", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("_store_snapshot", signal.SIGINT, marks=pytest.mark.slow),
        ("_checkpoint", signal.SIGTERM),
    ],
)
def test_a_signal_saves_and_the_same_call_continues(undisturbed, tmp_path, monkeypatch, number, moment):
    """Again and again, at every step where something is written, until the sweep is done."""
    original, before = getattr(sweep.Sweep, moment), signal.getsignal(number)
    seen = set()

    def interrupted(self, step, *arguments):
        if step not in seen and not self.stop.requested:
            seen.add(step)
            os.kill(os.getpid(), number)
        original(self, step, *arguments)

    monkeypatch.setattr(sweep.Sweep, moment, interrupted)
    preempted = 0
    ended = None
    while ended is None:
        with contextlib.suppress(Preempted):
            ended = collapse_jax.train(WHAT, tmp_path / "w")
        preempted += ended is None
    assert preempted >= 1
    assert signal.getsignal(number) is before
    monkeypatch.undo()
    assert_same_sweep(tmp_path / "w", undisturbed)


def test_a_signal_between_two_boundaries_is_heeded_there(tmp_path, monkeypatch):
    """The next log step is far away: the sweep stops before it, and continues from the step where it stopped."""
    what = experiment(steps=200, every=1000, measures=("norms",))
    collapse_jax.train(what, tmp_path / "whole")
    took = Chunks.took

    def signalled(self, steps, seconds):
        took(self, steps, seconds)
        if steps:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Chunks, "took", signalled)
        with pytest.raises(Preempted, match="SIGTERM: saved at step") as error:
            collapse_jax.train(what, tmp_path / "cut")
    assert error.value.code == 75
    (step,) = (s for s in TreeStore(tmp_path / "cut" / "checkpoints").steps() if s)
    assert 0 < step < 200
    collapse_jax.train(what, tmp_path / "cut")
    assert_same_sweep(tmp_path / "cut", tmp_path / "whole")


def test_the_second_signal_stops_at_once(undisturbed, tmp_path, monkeypatch):
    original = sweep.Sweep._store_snapshot

    def twice(self, step, *arguments):
        if step == 30:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, step, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Sweep, "_store_snapshot", twice)
        with pytest.raises(KeyboardInterrupt):
            collapse_jax.train(WHAT, tmp_path / "w")
    collapse_jax.train(WHAT, tmp_path / "w")
    assert_same_sweep(tmp_path / "w", undisturbed)


def test_two_kinds_of_signal_at_the_same_time_are_one_wish(undisturbed, tmp_path, monkeypatch):
    """As when Ctrl-C reaches the training from the terminal, and from the script that started it."""
    original = sweep.Sweep._record

    def both(self, step, *arguments):
        if step == 20:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, step, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Sweep, "_record", both)
        with pytest.raises(Preempted, match="SIGINT: saved at step"):
            collapse_jax.train(WHAT, tmp_path / "w")
    collapse_jax.train(WHAT, tmp_path / "w")
    assert_same_sweep(tmp_path / "w", undisturbed)


@pytest.mark.parametrize(
    ("moment", "kept"), [(0, "there is no checkpoint yet"), (30, r"the checkpoint of step \d+ is good")]
)
def test_what_stops_at_once_says_what_is_saved(tmp_path, monkeypatch, moment, kept):
    original = sweep.Sweep._record

    def twice(self, step, *arguments):
        if step == moment:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, step, *arguments)

    monkeypatch.setattr(sweep.Sweep, "_record", twice)
    with pytest.raises(KeyboardInterrupt, match=f"SIGTERM and SIGTERM: stopped at once; {kept}$"):
        collapse_jax.train(WHAT, tmp_path / "w")


def test_without_the_main_thread_signals_are_left_alone(tmp_path):
    before, found = signal.getsignal(signal.SIGTERM), []

    def listen():
        with signals.listening() as stop:
            found.append((stop.requested, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert found == [(None, before)]


def test_chunks_follow_the_rate():
    chunks = Chunks(2.0)
    assert chunks.end(0, 0) == 0
    start, lengths = 0, []
    while start < 100_000:
        stop = chunks.end(start, 100_000)
        lengths.append(stop - start)
        chunks.took(stop - start, (stop - start) / 1000)  # 1000 steps a second
        start = stop
    assert lengths[:5] == [1, 8, 64, 512, 2000]
    assert set(lengths[5:-1]) == {2000}
    chunks.took(2000, 20.0)  # the machine has become ten times slower
    assert chunks.end(0, 100_000) == 200
    chunks.took(1, 0.1)  # a call too short to tell
    assert chunks.end(0, 100_000) == 200


@pytest.mark.slow
@pytest.mark.parametrize("second", [False, True])
def test_a_process_ends_with_the_documented_code(undisturbed_long, tmp_path, second):
    """SIGTERM in a save: 75, or 143 at the second; the same command continues and ends with 0."""
    child = Child(tmp_path / "w", LONG).until_line("compiled").until_saving().signal(signal.SIGTERM)
    if second:
        child.until_line("SIGTERM: saving").signal(signal.SIGTERM)
    code = child.end()
    assert code in ((143, 75) if second else (75,)), child.stderr
    if code == 75:
        assert "saved at step" in child.stderr
    assert Child(tmp_path / "w", LONG).end() == 0
    assert_same_sweep(tmp_path / "w", undisturbed_long)


def test_sigterm_while_compiling_ends_at_once(tmp_path):
    child = Child(tmp_path / "w", LONG).until_line("compiling").signal(signal.SIGTERM)
    assert child.end() == 75, child.stderr
    assert "nothing was unsaved" in child.stderr
    assert sorted(path.name for path in (tmp_path / "w").iterdir()) == ["experiment.json"]
