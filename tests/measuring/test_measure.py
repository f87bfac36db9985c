"""Measures of stored snapshots: equal to the in-line ones, resumable, whole on disk, joined to the results."""

import json
import pathlib
import shutil
import textwrap

import numpy as np
import pytest
import xarray as xr

import collapse_jax
from collapse_jax import figures as plots
from collapse_jax import measures
from collapse_jax.analysis import tables
from collapse_jax.analysis.events import own_thresholds
from collapse_jax.errors import ConfigError, StoreError, WorkdirError
from collapse_jax.experiment.config import Grid, Optimizer, Schedule, Snapshots
from collapse_jax.measures import Measure, Variable
from collapse_jax.measures.estimators.probe_choice import choose_examples
from collapse_jax.measuring import run as engine
from collapse_jax.measuring.files import MeasureFile
from collapse_jax.workdir.netcdf import write_dataset

CONTENT = ("train", "test", "head", "parameters")
AT = Schedule(rule="explicit", at=(0, 11, 20))
LAYER_SIZE = Variable("Mean of a layer", "feature", "mean over units and examples", ("layer",))


MOMENT = Variable("Moment", "1", "mean power of the features")


def moment(snapshot, *, split="auto", power: int = 2):
    return {"moment": (choose_examples(snapshot, split).features ** power).mean()}


def layer_means(snapshot):
    import jax.numpy as jnp

    return {"layer_mean": jnp.stack([layer.mean() for layer in snapshot.train.layers])}


@pytest.fixture(scope="module", autouse=True)
def vector_measure():
    """Register a measure whose value has an axis of its own."""
    measure = Measure("layer_means", layer_means, {"layer_mean": LAYER_SIZE}, needs=("train", "layers"))
    measures.MEASURES["layer_means"] = measure
    measures.MEASURES["moment"] = Measure("moment", moment, {"moment": MOMENT}, needs=("probe",))
    yield
    del measures.MEASURES["layer_means"], measures.MEASURES["moment"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, vector_measure):
    """Train once: in-line measures of every kind, parameters stored, one run of four diverging."""
    from conftest import tiny_experiment

    experiment = tiny_experiment(
        grid=Grid(weight_decay=(0.1, 0.01), learning_rate=(1e-5, 1e3), init_scale=(1.0,), seed=(1,)),
        optimizer=Optimizer("sgd"),
        snapshots=Snapshots(AT, CONTENT, 50),
        measures=("fit", "collapse", "norms", "nhsic", "layer_means"),
    )
    workdir = tmp_path_factory.mktemp("measure") / "sweep"
    return workdir, collapse_jax.train(experiment, workdir)


@pytest.fixture
def workdir(trained, tmp_path):
    """Give a test its own copy of the sweep, without measures."""
    copy = tmp_path / "sweep"
    shutil.copytree(trained[0], copy, ignore=shutil.ignore_patterns("measures", "checkpoints"))
    return copy


def measured(workdir, name):
    return xr.load_dataset(workdir / "measures" / f"{name}.nc", engine="h5netcdf")


@pytest.mark.slow
def test_from_the_store_equals_in_line(trained, workdir):
    _, in_line = trained
    collapse_jax.measure(workdir, ["fit", "collapse", "norms", "nhsic", "layer_means"])
    assert in_line.layer_mean.dims == ("weight_decay", "learning_rate", "seed", "step", "layer")
    compared = 0
    for name in ("fit", "collapse", "norms", "nhsic", "layer_means"):
        ours = measured(workdir, name)
        assert ours.step.values.tolist() == [0, 11, 20, 40]
        for variable in ours.data_vars:
            a, b = ours[variable], in_line[variable]
            assert a.dims == b.dims
            if variable == "diverged_at":
                continue
            assert {"long_name", "units", "definition"} <= a.attrs.keys()
            steps = [0, 20, 40]
            np.testing.assert_allclose(
                a.sel(step=steps).values, b.sel(step=steps).values, rtol=1e-4, atol=1e-6, err_msg=variable
            )
            compared += 1
    assert compared > 40


def test_a_diverged_run_is_nan_from_its_first_bad_step_and_hurts_no_other(workdir):
    collapse_jax.measure(workdir, "layer_means", steps=[0, 20])
    values = measured(workdir, "layer_means").layer_mean
    good, bad = values.sel(learning_rate=1e-5), values.sel(learning_rate=1e3)
    assert good.notnull().all()
    assert bad.sel(step=0).notnull().all()
    assert bad.sel(step=20).isnull().all()


@pytest.mark.slow
def test_results_join_on_the_steps_and_figures_still_draw(trained, workdir):
    _, in_line = trained
    joined = collapse_jax.measure(workdir, ["moment", "collapse"], test_size=30)
    xr.testing.assert_identical(joined, collapse_jax.open_results(workdir))
    assert joined.step.values.tolist() == [0, 7, 11, 20, 40]
    new = joined.moment
    assert new.dims == in_line.rnc1.dims
    assert new.dtype == np.float32
    assert new.sel(step=7).isnull().all()
    assert new.sel(step=11, learning_rate=1e-5).notnull().all()
    assert json.loads(new.attrs["measured"])["options"] == {"power": 2, "split": "auto"}
    # In-line values stay as they are, at other steps too.
    np.testing.assert_array_equal(joined.rnc1_test.sel(step=in_line.step), in_line.rnc1_test)
    assert joined.rnc1_test.sel(step=11).isnull().all()
    for name in in_line.data_vars.keys() - {"diverged_at"}:
        xr.testing.assert_identical(joined[name].dropna("step", how="all"), in_line[name].dropna("step", how="all"))
    thresholds = own_thresholds(joined)
    assert tables.runs_table(joined, thresholds) == tables.runs_table(in_line, thresholds)
    xr.testing.assert_identical(collapse_jax.timescales(joined), collapse_jax.timescales(in_line))
    for draw in (plots.FIGURES["phases"], plots.FIGURES["timeline"]):
        ours, theirs = (
            [line.get_xydata() for axes in draw(r, thresholds).axes for line in axes.lines]
            for r in (joined, in_line)
        )
        assert len(ours) > 4
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_interrupted_call_continues_and_takes_no_step_twice(workdir, monkeypatch):
    whole = collapse_jax.measure(workdir, "norms", label="whole").weight_norm_whole
    taken, add, limit = [], MeasureFile.add, 2

    def counted(self, step, values):
        if len(taken) == limit:
            raise KeyboardInterrupt
        taken.append(step)
        add(self, step, values)

    monkeypatch.setattr(engine, "RUNS_TOGETHER", 1)
    monkeypatch.setattr(MeasureFile, "add", counted)
    with pytest.raises(KeyboardInterrupt):
        collapse_jax.measure(workdir, "norms")
    assert measured(workdir, "norms").step.values.tolist() == taken == [0, 11]
    limit = 99
    collapse_jax.measure(workdir, "norms")
    assert taken == [0, 11, 20, 40]
    np.testing.assert_array_equal(measured(workdir, "norms").weight_norm, whole.dropna("step", how="all"))
    collapse_jax.measure(workdir, "norms")
    assert len(taken) == 4


def test_what_was_taken_is_saved_before_the_next_measure_compiles(workdir, monkeypatch):
    """A signal ends the process while it compiles."""
    saved = []
    compiled = engine.compile_batch

    def compile_batch(request, *arguments):
        saved.append({name.stem for name in (workdir / "measures").glob("*.nc")})
        return compiled(request, *arguments)

    monkeypatch.setattr(engine, "compile_batch", compile_batch)
    collapse_jax.measure(workdir, ["norms", "moment"], label="again")
    assert saved == [set(), {"norms_again"}]


def test_a_call_that_continues_takes_as_many_runs_at_once_as_the_one_before(workdir, monkeypatch):
    """How many runs a tile holds decides last bits: it follows from what is asked, not from what is left of it."""
    tiles, compiled = [], engine.compile_batch

    def noted(*arguments):
        tiles.append((batch := compiled(*arguments)).layout.runs_per_tile)
        return batch

    monkeypatch.setattr(engine, "compile_batch", noted)
    monkeypatch.setattr(engine, "RUNS_TOGETHER", 1)
    add = MeasureFile.add
    with monkeypatch.context() as patch:

        def stopped(self, step, values):
            if step == 40:
                raise KeyboardInterrupt
            add(self, step, values)

        patch.setattr(MeasureFile, "add", stopped)
        with pytest.raises(KeyboardInterrupt):
            collapse_jax.measure(workdir, "norms", label="stopped")
    collapse_jax.measure(workdir, "norms", label="stopped")
    assert len(tiles) == 2
    assert tiles[0] == tiles[1] > 4  # four runs are left


def test_other_options_measure_anew_and_the_earlier_file_is_taken_back(workdir, monkeypatch):
    arguments = {"label": "a", "steps": [0], "test_size": 40}
    first = collapse_jax.measure(workdir, "moment", options={"power": 2}, **arguments)
    second = collapse_jax.measure(workdir, "moment", options={"power": 3}, **arguments)
    assert (first.moment_a != second.moment_a).sel(step=0).all()
    assert json.loads(second.moment_a.attrs["measured"])["options"]["power"] == 3
    monkeypatch.setattr(engine, "compile_batch", None)  # nothing is measured again
    again = collapse_jax.measure(workdir, "moment", options={"power": "2"}, **arguments)
    np.testing.assert_array_equal(again.moment_a, first.moment_a)


def test_both_splits_get_names_of_their_own(workdir):
    both = collapse_jax.measure(workdir, "moment", splits=["train", "test"], steps=[40])
    alone = collapse_jax.measure(workdir, "moment", splits="train", steps=[40], label="alone")
    good = {"learning_rate": 1e-5, "step": 40}
    np.testing.assert_array_equal(both.moment_train.sel(good), alone.moment_alone.sel(good))
    assert (both.moment_train.sel(good) != both.moment_test.sel(good)).all()


def test_a_damaged_snapshot_is_skipped_named_and_the_call_incomplete(workdir, capsys):
    damage(workdir, 20)
    with pytest.raises(StoreError, match=r"incomplete: 1 damaged snapshot.*/20 ") as error:
        collapse_jax.measure(workdir, "norms")
    assert error.value.code == 3
    assert "skipped a snapshot" in capsys.readouterr().err
    assert measured(workdir, "norms").step.values.tolist() == [0, 11, 40]
    shutil.rmtree(workdir / "snapshots" / "20")
    collapse_jax.measure(workdir, "norms")


def damage(workdir, step):
    """Let no checksum of a snapshot agree."""
    path = workdir / "snapshots" / str(step) / "meta" / "metadata"
    sums = json.loads(path.read_text())
    sums["crc32"] = {name: value + 1 for name, value in sums["crc32"].items()}
    path.write_text(json.dumps(sums))


def test_a_full_disk_loses_nothing(workdir, monkeypatch):
    collapse_jax.measure(workdir, "norms", steps=[0])
    before = (workdir / "measures" / "norms.nc").read_bytes()
    write = pathlib.Path.replace

    def full(self, target):
        if pathlib.Path(target).name == "norms.nc":
            raise OSError(28, "No space left on device")
        return write(self, target)

    monkeypatch.setattr(pathlib.Path, "replace", full)
    with pytest.raises(StoreError, match="No space left on device"):
        collapse_jax.measure(workdir, "norms")
    assert (workdir / "measures" / "norms.nc").read_bytes() == before
    assert [path.name for path in (workdir / "measures").iterdir()] == ["norms.nc"]
    monkeypatch.undo()
    assert collapse_jax.measure(workdir, "norms").weight_norm.notnull().any()
    assert measured(workdir, "norms").step.values.tolist() == [0, 11, 20, 40]


def test_damaged_and_foreign_files_of_measures(workdir):
    collapse_jax.measure(workdir, "norms", steps=[0])
    path = workdir / "measures" / "norms.nc"
    dataset = measured(workdir, "norms")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(WorkdirError, match=r"measures/norms.nc is damaged; delete it"):
        collapse_jax.open_results(workdir)
    collapse_jax.measure(workdir, "norms", steps=[0])  # measured anew
    write_dataset(dataset.assign_attrs(fingerprint="other"), path)
    with pytest.raises(WorkdirError, match="belongs to another experiment"):
        collapse_jax.open_results(workdir)


def test_the_name_of_a_measure_is_no_path(workdir, tmp_path):
    text = """
    from collapse_jax.measures import Measure

    OWN = Measure("../../own", lambda snapshot: {"own": snapshot.train.features.mean()}, {}, needs=())
    """
    (tmp_path / "mine.py").write_text(textwrap.dedent(text))
    with pytest.raises(ConfigError, match=r"^measures='\.\./\.\./own': .* no /"):
        collapse_jax.measure(workdir, f"{tmp_path}/mine.py:OWN")


def test_axes_of_equal_name_and_other_length_do_not_clash(workdir):
    three = xr.Dataset({"own": (("step", "layer"), np.ones((1, 3)))}, {"step": [0]})
    three.attrs["fingerprint"] = collapse_jax.open_results(workdir).attrs["fingerprint"]
    (workdir / "measures").mkdir()
    write_dataset(three, workdir / "measures" / "mine.nc")
    joined = collapse_jax.open_results(workdir)
    assert joined.own.dims == ("step", "layer_mine")
    assert joined.sizes["layer"] == 2
