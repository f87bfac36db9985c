"""What trackers are told of the runs of a sweep: each value once, whatever was killed, cut or extended."""

import dataclasses
import json
import pathlib
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
from tracking_library import Library

import collapse_jax
from collapse_jax import tracking
from collapse_jax.__main__ import main
from collapse_jax.engine import records, sweep
from collapse_jax.engine.train import train_shard
from collapse_jax.errors import ConfigError, Preempted, WorkdirError
from collapse_jax.experiment.config import Grid
from collapse_jax.experiment.cuts import Shard
from collapse_jax.experiment.stopping import Stop
from collapse_jax.measures.variable import Variable
from collapse_jax.system import signals
from collapse_jax.system.paths import path_of
from collapse_jax.tracking import Run
from collapse_jax.workdir.tracked import FILE, sweep_id


@pytest.fixture
def library():
    return Library()


@pytest.fixture
def eager(monkeypatch):
    """Tell at every log point, however long it takes."""
    monkeypatch.setattr(records, "SHARE", np.inf)


def assert_told(library, results):
    """Each value of the results that is a number, once, and nothing else; ascending steps."""
    for run in library.runs.values():
        point = {name: run.config[name] for name in results["diverged_at"].dims}
        own = results.sel(point)
        rows = library.rows[run.id]
        steps = [step for step, _ in rows]
        assert steps == sorted(set(steps))
        for name in own.data_vars:
            if "step" in own[name].dims:
                told = {step: values[name] for step, values in rows if name in values}
                known = own[name].dropna("step")
                assert told == dict(zip(known["step"].values.tolist(), known.values.tolist(), strict=True))


def test_each_run_has_a_record_with_its_hyperparameters_and_every_value_once(tmp_path, tiny, library):
    results = collapse_jax.train(tiny(), tmp_path / "w", track=library)
    names = {f"weight_decay={decay} seed={seed}" for decay in (0.1, 0.01) for seed in (1, 2)}
    assert {run.name for run in library.runs.values()} == names
    assert_told(library, results)
    (group,) = {run.group for run in library.runs.values()}
    for run in library.runs.values():
        assert f"weight_decay={run.config['weight_decay']} seed={run.config['seed']}" == run.name
        assert (run.project, run.config["batch_size"], run.config["model.hidden"]) == ("tiny", 30, "(16, 12)")
        assert (group, run.folder) == (f"tiny {sweep_id(path_of('w', tmp_path / 'w'))}", str(tmp_path / "w"))
        json.dumps(dict(run.config), allow_nan=False)
    assert [*library.outcomes.values()] == [[("finished", 40)]] * 4
    collapse_jax.train(tiny(), tmp_path / "w", track=library)  # there is nothing more to tell
    assert_told(library, results)


def test_tracking_changes_no_bit(tmp_path, tiny, library, eager):
    tracked = collapse_jax.train(tiny(), tmp_path / "a", track=library)
    xr.testing.assert_identical(tracked, collapse_jax.train(tiny(), tmp_path / "b"))
    assert not (tmp_path / "b" / FILE).exists()


def test_a_library_is_imported_by_its_own_file_alone_and_that_by_its_name():
    own = {file.rpartition(".")[2].partition(":")[0]: name for name, file in tracking.TRACKERS.items()}
    for path in pathlib.Path(collapse_jax.__file__).parent.rglob("*.py"):
        imported = set(re.findall(r"^\s*(?:import|from) ([\w.]+)", path.read_text(), re.MULTILINE))
        libraries = {name.partition(".")[0] for name in imported} & set(tracking.TRACKERS)
        assert libraries == ({own[path.stem]} if path.stem in own else set()), path
        assert not {name.rpartition(".")[2] for name in imported} & set(own), path


class Killed(BaseException):
    """As SIGKILL: nobody closes anything."""


@pytest.mark.parametrize("checkpoint_seconds", [1e-9, 1e9], ids=["checkpoints", "none"])
def test_after_a_kill_no_step_is_missing_and_none_told_twice(
    tmp_path, tiny, library, eager, monkeypatch, checkpoint_seconds
):
    """Killed behind what was told, in front of it, and with the last row of one run alone."""
    experiment = tiny(checkpoint_seconds=checkpoint_seconds)
    record = sweep.Sweep._record

    def die(self, step, values):
        record(self, step, values)
        if step == 20:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Sweep, "_record", die)
        with pytest.raises(Killed):
            collapse_jax.train(experiment, tmp_path / "w", track=library)
    told = [rows for rows in library.rows.values() if rows]
    assert [step for step, _ in told[0]] == [0, 7, 20]
    told[0].pop()  # what a library had not written yet
    del told[1][1:]
    assert not library.outcomes
    results = collapse_jax.train(experiment, tmp_path / "w", track=library)
    assert len(library.runs) == 4
    assert_told(library, results)


def test_what_was_preempted_goes_on(tmp_path, tiny, library, monkeypatch):
    record = sweep.Sweep._record

    def ask(self, step, values):
        record(self, step, values)
        self.stop.ask("SIGTERM")

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Sweep, "_record", ask)
        patch.setattr(signals, "tell", lambda line: None)
        with pytest.raises(Preempted):
            collapse_jax.train(tiny(), tmp_path / "w", track=library)
    (first, *_), *_ = library.outcomes.values()
    assert first[0] == "interrupted"
    results = collapse_jax.train(tiny(), tmp_path / "w", track=library)
    assert [*library.outcomes.values()] == [[first, ("finished", 40)]] * 4
    assert_told(library, results)


def test_from_its_first_bad_step_on_nothing_is_told_of_a_run(library):
    """Whatever numbers its frozen state has; the values of its neighbour are all told."""
    runs = [Run(str(i), str(i), "", "", {}, "") for i in range(2)]
    told = records.Records(library, runs)
    values = {"x": np.arange(6.0).reshape(2, 3)}
    ends = {"diverged": np.array([7, -1]), "retired": np.array([-1, -1])}
    told.close(False, 20, np.array([0, 7, 20]), values, {"x": Variable("", "1", "")}, ends)
    assert library.rows["0"] == [(0, {"x": 0.0}), (8, {"diverged_at": 7})]
    assert library.rows["1"] == [(0, {"x": 3.0}), (7, {"x": 4.0}), (20, {"x": 5.0})]
    assert library.outcomes == {"0": [("diverged", 7)], "1": [("finished", 20)]}


@pytest.mark.slow
def test_runs_that_end_early_are_marked(tmp_path, tiny, library):
    """A learning rate that diverges, beside runs that the stop rule ends once they fit, which is at once here."""
    grid = Grid(learning_rate=(1e-3, 1e30), seed=(1,), init_scale=(1.0,))
    stop = Stop(events=("fit",), at_least=7)
    thresholds = dataclasses.replace(tiny().thresholds, train_accuracy=0.01)
    experiment = tiny(grid=grid, stop=stop, thresholds=thresholds)
    for _ in range(2):
        results = collapse_jax.train(experiment, tmp_path / "w", track=library)
    diverged_at = results["diverged_at"].sel(learning_rate=1e30).item()
    assert diverged_at > 0
    assert results["retired_at"].sel(learning_rate=1e-3).item() == 7
    diverged, retired = (library.of(f"weight_decay=0.01 learning_rate={x} seed=1") for x in ("1e+30", "0.001"))
    assert diverged[-1] == (diverged_at + 1, {"diverged_at": diverged_at})
    assert all(step < diverged_at for step, _ in diverged[:-1])
    assert retired[-2][0] == 7
    assert retired[-1] == (8, {"retired_at": 7})
    assert {tuple(told) for told in library.outcomes.values()} == {
        (("diverged", diverged_at),) * 2,
        (("retired", 7),) * 2,
    }
    assert len(diverged) == len({step for step, _ in diverged})


@pytest.mark.slow
def test_shards_static_axes_and_further_runs_are_records_of_one_workdir(tmp_path, tiny, library):
    whole = tiny(
        grid=Grid(batch_size=(30,), weight_decay=(0.1,), seed=(1, 2), init_scale=(1.0,)), measures=("fit",)
    )
    for index in range(2):
        train_shard(whole, path_of("workdir", tmp_path / "w"), Shard(index, 2), track=library)
    results = collapse_jax.open_results(tmp_path / "w")
    names = {f"batch_size=30 weight_decay=0.1 seed={seed}" for seed in (1, 2)}
    assert {run.name for run in library.runs.values()} == names
    assert_told(library, results)
    larger = dataclasses.replace(whole, grid=dataclasses.replace(whole.grid, seed=(1, 2, 3)))
    for index in range(2):  # the further run is in the first
        train_shard(larger, path_of("workdir", tmp_path / "w"), Shard(index, 2), extend=True, track=library)
    assert_told(library, collapse_jax.open_results(tmp_path / "w"))
    assert len(library.runs) == 3
    assert len({run.group for run in library.runs.values()}) == 1


def test_what_grows_in_steps_goes_on_in_the_same_records(tmp_path, tiny, library):
    collapse_jax.train(tiny(), tmp_path / "w", track=library)
    results = collapse_jax.train(tiny(steps=60), tmp_path / "w", extend=True, track=library)
    assert len(library.runs) == 4
    assert_told(library, results)
    assert all(told == [("finished", 40), ("finished", 60)] for told in library.outcomes.values())


def test_values_with_axes_of_their_own_have_a_name_for_each_entry():
    values = np.arange(6.0).reshape(2, 3)
    variable = Variable("", "1", "", dims=("layer", "class"), coords={"layer": ("first", "last")})
    told = dict(records._named("x", values, variable))
    assert told == {f"x/{layer}/{k}": values[i, k] for i, layer in enumerate(("first", "last")) for k in range(3)}
    assert not [*records._named("x", np.ones((records.MOST + 1,)), variable)]


def test_telling_takes_a_hundredth_of_the_time(tmp_path, tiny, library, monkeypatch):
    """By a clock that moves only while something is told: none of the further log points is told before the end."""
    now = [0.0]
    monkeypatch.setattr(records.time, "monotonic", lambda: now[0])
    told = records.Records._tell_all

    def take_a_second(self, *arguments):
        told(self, *arguments)
        now[0] += 1

    monkeypatch.setattr(records.Records, "_tell_all", take_a_second)
    results = collapse_jax.train(tiny(), tmp_path / "w", track=library)
    assert_told(library, results)
    assert library.calls == 4  # at the end, for each run: the first time there was nothing logged
    one = records.Records(library, [])
    logged = (np.array([0]), {}, {}, {"diverged": np.array([]), "retired": np.array([])})
    now[0] = 1000.0
    for _ in range(201):  # after the first, which takes a second
        one.tell(0, *logged)
        now[0] += 1
    assert now[0] == 1000 + 201 + 3  # at 0, 100 and 200 seconds


class Broken(Library):
    """A library whose server has gone at the second call."""

    def __call__(self):
        fake = super().__call__()

        def fail(rows):
            raise ConnectionError("no route to host\nand more")

        fake.log = fail
        return fake


def test_a_library_that_fails_stops_no_training(tmp_path, tiny, capsys):
    results = collapse_jax.train(tiny(), tmp_path / "w", track=Broken())
    assert results["diverged_at"].shape == (2, 2)
    said = capsys.readouterr().err
    assert said.count("WARNING: a record of Fake is left alone: no route to host") == 4
    assert "and more" not in said


def test_what_cannot_begin_is_refused_before_anything_compiles(tmp_path, tiny, monkeypatch, capsys):
    class NoAccount:
        def start(self, run):
            raise PermissionError("log in first")

    with pytest.raises(ConfigError, match=r"^--track='NoAccount': cannot begin: log in first$"):
        collapse_jax.train(tiny(), tmp_path / "w", track=NoAccount)
    assert "compiling" not in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"--track='wandbb': unknown library; did you mean 'wandb'\?"):
        collapse_jax.train(tiny(), tmp_path / "v", track="wandbb")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = "--config=configs/quickstart.py:smoke"
    assert main(["train", config, f"--workdir={tmp_path / 'v'}", "--track=mlflow"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("collapse-jax: --track='mlflow': needs the package mlflow: pip install")
    assert said.count("\n") == 1
    assert not (tmp_path / "v").exists()


def test_the_name_of_a_workdir_is_drawn_once(tmp_path):
    workdir = path_of("workdir", tmp_path)
    name = sweep_id(workdir)
    assert sweep_id(workdir) == name
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        with ThreadPoolExecutor(8) as asking:  # threads stand for processes
            drawn = asking.map(sweep_id, [workdir / str(number)] * 8)
            assert len({*drawn}) == 1
        assert [path.name for path in (tmp_path / str(number)).iterdir()] == [FILE]
    (tmp_path / FILE).write_text("{")
    with pytest.raises(WorkdirError, match="is damaged"):
        sweep_id(workdir)
