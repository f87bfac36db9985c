"""Stop rules: which runs retire and when, what their rows say, and that no bit of a step that was taken changes."""

import contextlib
import dataclasses
import os
import shutil
import signal

import jax
import numpy as np
import pytest
from harness import assert_same_sweep
from stopping_sweeps import AT, EVERY, RULE, STEPS, STORED, sweep_of

import collapse_jax
from collapse_jax.analysis import timescales
from collapse_jax.engine import living, sweep
from collapse_jax.engine.replay import replay_workdir
from collapse_jax.errors import Preempted
from collapse_jax.experiment.config import Grid, Model, Packing, Schedule, Snapshots, Thresholds
from collapse_jax.experiment.stopping import Stop
from collapse_jax.measuring.batches import Batch
from collapse_jax.workdir.results import reached_step
from collapse_jax.workdir.trees import TreeStore


def trained(tmp_path_factory, what):
    workdir = tmp_path_factory.mktemp("sweep") / "w"
    return workdir, collapse_jax.train(what, workdir)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The sweep without a rule: workdir and results."""
    return trained(tmp_path_factory, sweep_of())


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The same sweep with the rule."""
    return trained(tmp_path_factory, sweep_of(RULE))


def last_checkpoint(workdir):
    store = TreeStore(workdir / "checkpoints")
    return store.load(store.steps()[-1])


def expected(results, events, factor=1.0, at_least=0, at_most=STEPS):
    """The rule by the complete curves of a sweep without one: the first log step at which it holds, -1 for none."""
    taus = timescales(results)
    steps, out = results.step.values, []
    for run in np.ndindex(results.diverged_at.shape):
        come = not any(taus[f"{event}_censored"].values[run] for event in events)
        due = max(at_least, factor * max(taus[f"tau_{event}"].values[run] for event in events)) if come else np.inf
        latest = steps[steps <= at_most][-1]
        first = min([*steps[steps >= due].tolist(), latest])
        out.append(first if first < STEPS else -1)
    return np.reshape(out, results.diverged_at.shape)


@pytest.mark.bits
def test_runs_retire_as_the_rule_says_and_keep_the_bits_of_the_steps_that_they_took(whole, stopped):
    results, without = stopped[1], whole[1]
    np.testing.assert_array_equal(results.retired_at, expected(without, ("fit",), 1.2))
    assert 0 < (results.retired_at >= 0).sum() < results.retired_at.size
    assert "retired_at" not in without
    taken = (results.retired_at < 0) | (results.step <= results.retired_at)
    for name, values in results.data_vars.items():
        if "step" in values.dims:
            np.testing.assert_array_equal(values, without[name].where(taken), err_msg=name)
    final = last_checkpoint(stopped[0])
    snapshots, stored = (TreeStore(workdir / "snapshots") for workdir in (whole[0], stopped[0]))
    for run, at in enumerate(results.retired_at.values.ravel().tolist()):
        there = snapshots.load(at if at >= 0 else STEPS)
        for name in [name for name in there if name.startswith("parameters")]:
            mine = final[name.replace("parameters", "states/params", 1)][run]
            np.testing.assert_array_equal(mine, there[name][run], err_msg=name)
    late = stored.load(AT[-1])
    for name, leaf in snapshots.load(AT[-1]).items():
        for run, at in enumerate(results.retired_at.values.ravel().tolist()):
            np.testing.assert_array_equal(late[name][run], leaf[run] if at < 0 else leaf[run] * np.nan)


def test_the_final_state_is_that_of_the_others_with_and_without_the_rule(whole, stopped):
    a, b = last_checkpoint(whole[0]), last_checkpoint(stopped[0])
    lives = stopped[1].retired_at.values.ravel() < 0
    for name in [name for name in a if name.startswith("states/")]:
        np.testing.assert_array_equal(a[name][lives], b[name][lives], err_msg=name)
        if "params" in name:
            assert (a[name][~lives] != b[name][~lives]).any(), name


@pytest.mark.slow  # compiles two sweeps of each model
@pytest.mark.bits
@pytest.mark.parametrize(
    "model",
    [Model(hidden=(16, 12), norm="batch"), Model("cnn", width=2), Model("transformer", width=8, heads=2)],
    ids=["batch norm", "cnn", "transformer"],
)
def test_other_models_keep_their_bits_too(model, tmp_path):
    fields = {
        "steps": 40,
        "log": Schedule("explicit", at=AT[:4]),
        "snapshots": Snapshots(content=()),
        "model": model,
    }
    whole = collapse_jax.train(sweep_of(**fields), tmp_path / "whole")
    reached = whole.train_accuracy.isel(step=slice(0, -1)).max("step").values
    level = Thresholds(train_accuracy=float(np.sort(reached.ravel())[-3]), test_accuracy=0.5)  # of half of the runs
    stopped = collapse_jax.train(sweep_of(Stop(events=("fit",)), thresholds=level, **fields), tmp_path / "stopped")
    assert (stopped.retired_at >= 0).sum() >= 3
    taken = (stopped.retired_at < 0) | (stopped.step <= stopped.retired_at)
    for name in ("train_loss", "test_loss", "weight_norm"):
        np.testing.assert_array_equal(stopped[name], whole[name].where(taken), err_msg=name)
    lives = stopped.retired_at.values.ravel() < 0
    a, b = last_checkpoint(tmp_path / "whole"), last_checkpoint(tmp_path / "stopped")
    for name in [name for name in a if name.startswith("states/")]:
        np.testing.assert_array_equal(a[name][lives], b[name][lives], err_msg=name)


@pytest.mark.parametrize(
    "rule",
    [
        Stop(events=("fit", "grok")),
        Stop(events=("grok",), factor=1.5, at_least=60, at_most=95),
        Stop(events=("fit",), at_most=0),
    ],
    ids=["both", "bounds", "at once"],
)
def test_bounds_and_several_events(whole, tmp_path, rule):
    """At the latest at the last log step that is not after at_most; where all retire, nothing comes after."""
    results = collapse_jax.train(sweep_of(rule), tmp_path / "w")
    limits = {name: value for name, value in vars(rule).items() if value is not None}
    np.testing.assert_array_equal(results.retired_at, expected(whole[1], limits.pop("events"), **limits))
    assert reached_step(results) == STEPS
    if rule.at_most is not None:
        assert (results.retired_at >= 0).all()
        last = int(results.retired_at.max())
        assert TreeStore(tmp_path / "w" / "snapshots").steps() == [step for step in (*AT, STEPS) if step <= last]
        before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*.nc"))
        collapse_jax.train(sweep_of(rule), tmp_path / "w")  # is done
        assert before == sorted(path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*.nc"))


def test_a_sweep_that_is_stopped_again_and_again_is_the_same(stopped, tmp_path, monkeypatch):
    """By a signal before, at and after the step at which a run retires first, and near the end."""
    original = sweep.Sweep._record
    first = int(stopped[1].retired_at.where(stopped[1].retired_at >= 0).min())
    moments = [first - EVERY, first, first + EVERY, AT[-1]]

    def interrupted(self, step, *arguments):
        if step in moments and not self.stop.requested:
            moments.remove(step)
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, step, *arguments)

    monkeypatch.setattr(sweep.Sweep, "_record", interrupted)
    preempted, ended = 0, None
    while ended is None:
        with contextlib.suppress(Preempted):
            ended = collapse_jax.train(sweep_of(RULE), tmp_path / "w")
        preempted += ended is None
    assert preempted == 4
    monkeypatch.undo()
    assert_same_sweep(tmp_path / "w", stopped[0])
    # Trained again from the beginning to the last but one checkpoint, and from there to the last.
    assert [wrong for _, wrong in replay_workdir(tmp_path / "w", 20)] == ["", ""]


def test_a_sweep_that_grows_retires_its_runs_as_one_done_in_one_go(stopped, tmp_path):
    """From a last step at which runs are due, with a measure more."""
    at = stopped[1].retired_at
    half = int(at.where(at >= 0).max())
    steps = tuple(step for step in AT if step < half)
    fewer = {
        "log": Schedule("explicit", at=steps),
        "snapshots": dataclasses.replace(STORED, schedule=Schedule("explicit", at=steps)),
    }
    begun = collapse_jax.train(sweep_of(RULE, steps=half, measures=("fit",), **fewer), tmp_path / "w")
    assert int(begun.retired_at.max()) < half
    grown = collapse_jax.train(sweep_of(RULE), tmp_path / "w", extend=True)
    np.testing.assert_array_equal(grown.retired_at, at)
    for name in ("train_accuracy", "test_loss"):
        np.testing.assert_array_equal(grown[name], stopped[1][name], err_msg=name)
    np.testing.assert_array_equal(grown.weight_norm, stopped[1].weight_norm)  # before, from snapshots
    a, b = last_checkpoint(tmp_path / "w"), last_checkpoint(stopped[0])
    for name in [name for name in b if name.startswith("states/")]:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.slow  # compiles two more widths
def test_wide_tiles_pack_the_living_and_agree_up_to_rounding(stopped, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(living, "COMPILED", {"cpu": 0})  # else so small a sweep gets no narrower program
    widths, original = [], living.width
    monkeypatch.setattr(living, "width", lambda *arguments: widths.append(original(*arguments)) or widths[-1])
    results = collapse_jax.train(sweep_of(RULE, packing=Packing(devices=1, runs_per_tile=4)), tmp_path / "w")
    assert set(widths) == {4, 2}
    assert capsys.readouterr().err.count("compiling for 2 run(s) per tile") == 1
    np.testing.assert_array_equal(results.retired_at, stopped[1].retired_at)
    for name in ("train_loss", "weight_norm"):
        np.testing.assert_allclose(results[name], stopped[1][name], rtol=1e-3, err_msg=name)
    # The state of a run that shared its tile with living ones after it had retired is that of its last step.
    stays, there = last_checkpoint(tmp_path / "w"), last_checkpoint(stopped[0])
    for name in [name for name in there if name.startswith("states/params")]:
        np.testing.assert_allclose(stays[name], there[name], atol=2e-3, err_msg=name)


def test_a_diverged_run_retires_when_it_is_noticed(tmp_path):
    grid = Grid(weight_decay=(0.1,), learning_rate=(1e-2, 1e-3, 1e30), init_scale=(1.0,), seed=(1, 2))
    results = collapse_jax.train(sweep_of(RULE, grid=grid), tmp_path / "w")
    bad = results.sel(learning_rate=1e30)
    assert (results.sel(learning_rate=[1e-2, 1e-3]).diverged_at == -1).all()
    assert (bad.diverged_at >= 0).all()
    np.testing.assert_array_equal(bad.retired_at, EVERY * np.ceil(bad.diverged_at / EVERY))
    assert bad.train_loss.where(bad.step >= bad.diverged_at).isnull().all()


def test_a_measure_of_the_snapshots_ends_where_the_runs_do(stopped, tmp_path, monkeypatch):
    rows, take = [], Batch.take
    monkeypatch.setattr(
        Batch, "take", lambda self, parts: rows.append(len(jax.tree.leaves(parts)[0])) or take(self, parts)
    )
    shutil.copytree(stopped[0], tmp_path / "w", ignore=shutil.ignore_patterns("checkpoints"))
    results = collapse_jax.measure(tmp_path / "w", "norms", label="later")
    taken = (results.retired_at < 0) | (results.step <= results.retired_at)
    assert sum(rows) == int(taken.sum()) < taken.size  # others cost nothing
    np.testing.assert_array_equal(results.weight_norm_later.notnull(), taken)
    np.testing.assert_allclose(results.weight_norm_later, results.weight_norm, rtol=1e-5)
    file = collapse_jax.open_results(tmp_path / "w" / "measures" / "norms_later.nc")
    np.testing.assert_array_equal(file.weight_norm_later.notnull(), taken)
