import dataclasses
import json
import pathlib

import numpy as np
import pytest
import xarray as xr

import collapse_jax
from collapse_jax.engine import sweep
from collapse_jax.engine.validate import validate
from collapse_jax.errors import WorkdirError
from collapse_jax.experiment.config import Grid, Model, Optimizer, Schedule, Snapshots, Task
from collapse_jax.workdir.record import read_experiment, read_record
from collapse_jax.workdir.results import open_results
from collapse_jax.workdir.trees import TreeStore

# A checkpoint after every call of the training program; slow machines make no more calls than fast ones.
EVERYWHERE = {"checkpoint_seconds": 1e-9, "chunk_seconds": 1e9}


def final_state(workdir):
    checkpoints = TreeStore(workdir / "checkpoints")
    return checkpoints.load(checkpoints.steps()[-1])


def assert_same_bits(workdir, other):
    a, b = final_state(workdir), final_state(other)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    xr.testing.assert_identical(
        open_results(workdir).drop_attrs(deep=False), open_results(other).drop_attrs(deep=False)
    )


def test_results_are_labelled_and_documented(finished):
    _experiment, workdir, results = finished
    assert results.test_accuracy.dims == ("weight_decay", "seed", "step")
    assert results.step.values.tolist() == [0, 7, 20, 40]
    assert results.weight_decay.values.tolist() == [0.1, 0.01]
    assert results.learning_rate == 1e-3
    for variable in results.data_vars.values():
        assert {"long_name", "units", "definition"} <= variable.attrs.keys()
        if variable.name != "diverged_at":
            assert variable.dtype == np.float32
            assert variable.notnull().all(), variable.name
    assert results.train_loss.attrs["units"] == "1"  # "nats" for cross-entropy
    assert json.loads(results.attrs["experiment"])["steps"] == 40
    xr.testing.assert_identical(results, collapse_jax.open_results(workdir))


def test_every_promised_variable_is_there(finished):
    names = [
        "train_accuracy",
        "test_accuracy",
        "train_loss",
        "test_loss",
        "weight_norm",
        "weight_norm_sum",
        "last_layer_norm",
        "within_class_variance",
        "between_class_variance",
        "rnc1",
        "rnc1_mean_norm",
        "rnc1_q95",
        "nc1",
        "nc1_pinv",
        "class_mean_rank",
        "nc2_condition",
        "nc2_equinorm",
        "nc2_etf_error",
        "nc3_self_duality",
        "nc4_agreement",
        "within_class_variance_test",
        "rnc1_test",
        "rnc1_mean_norm_test",
        "within_class_variance_test_around_train",
        "rnc1_test_around_train",
        "rnc1_mean_norm_test_around_train",
        "nc1_test",
        "nc2_condition_test",
        "nc4_agreement_test_around_train",
    ]
    assert set(names) <= set(finished[2].data_vars)


def test_the_manifest_tells_what_was_done(finished):
    experiment, workdir, _ = finished
    record = read_record(workdir)
    assert read_experiment(record) == validate(experiment)
    assert record["packing"]["runs_per_tile"] == 1
    assert {"jax", "python", "collapse_jax"} <= record["versions"].keys()


def test_measures_of_the_stored_snapshot_equal_the_in_line_ones(finished):
    experiment, workdir, results = finished
    stored = TreeStore(workdir / "snapshots")
    assert stored.steps() == [0, 11, 40]
    flat = stored.load(40)
    from collapse_jax import tasks

    data = tasks.load(experiment.task)
    for run, (weight_decay, seed) in enumerate([(0.1, 1), (0.1, 2), (0.01, 1), (0.01, 2)]):
        values = collapse_jax.measure_arrays(
            "collapse",
            train_features=flat["train/features"][run],
            train_labels=data.train_labels,
            head_kernel=flat["head/kernel"][run],
            head_bias=flat["head/bias"][run],
        )
        in_line = results.sel(weight_decay=weight_decay, seed=seed).isel(step=-1)
        for name in ("within_class_variance", "rnc1", "nc1", "nc1_pinv", "nc2_condition", "nc4_agreement"):
            assert values[name] == pytest.approx(float(in_line[name]), rel=1e-4), name
    assert flat["test/features"].shape == (4, 50, 12)
    assert flat["parameters/head/kernel"].shape == (4, 12, 10)


def test_measures_snapshots_and_schedule_change_no_bit_of_training(finished, tiny, tmp_path):
    _, workdir, _ = finished
    plain = tiny(log=Schedule(rule="explicit"), measures=("norms",), **EVERYWHERE)
    collapse_jax.train(plain, tmp_path / "plain")
    full, bare = final_state(workdir), final_state(tmp_path / "plain")
    parameters = [name for name in bare if name.startswith("states/")]
    assert len(parameters) > 15
    for name in parameters:
        np.testing.assert_array_equal(full[name], bare[name], err_msg=name)


def test_running_again_on_a_finished_sweep_changes_nothing(finished):
    experiment, workdir, results = finished
    before = (workdir / "results.nc").read_bytes()
    xr.testing.assert_identical(collapse_jax.train(experiment, workdir), results)
    assert (workdir / "results.nc").read_bytes() == before


def test_an_interrupted_sweep_continues_to_the_same_bits(finished, tmp_path, monkeypatch):
    """Stop at every boundary in turn, with a checkpoint at each: each continuation must end equal."""
    experiment, workdir, _ = finished
    experiment = dataclasses.replace(experiment, **EVERYWHERE)
    boundaries = [0, 7, 11, 20]
    stops = iter([*boundaries, None])
    record = sweep.Sweep._record
    store_snapshot = sweep.Sweep._store_snapshot
    stop_at = None

    def interrupted(original):
        def action(self, step, *arguments):
            if stop_at is not None and step > stop_at:
                raise KeyboardInterrupt
            original(self, step, *arguments)

        return action

    monkeypatch.setattr(sweep.Sweep, "_record", interrupted(record))
    monkeypatch.setattr(sweep.Sweep, "_store_snapshot", interrupted(store_snapshot))
    for stop_at in stops:
        if stop_at is None:
            collapse_jax.train(experiment, tmp_path / "cut")
        else:
            with pytest.raises(KeyboardInterrupt):
                collapse_jax.train(experiment, tmp_path / "cut")
    assert_same_bits(tmp_path / "cut", workdir)
    for step in (0, 11, 40):
        a, b = (TreeStore(w / "snapshots").load(step) for w in (tmp_path / "cut", workdir))
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_a_damaged_checkpoint_is_skipped_and_said(finished, tmp_path, capsys):
    experiment, workdir, _ = finished
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    newest = TreeStore(copy / "checkpoints").steps()[-1]
    flip_byte(copy / "checkpoints" / str(newest))
    with pytest.raises(WorkdirError, match="no checkpoint is good"):
        collapse_jax.train(experiment, copy)
    assert "skipped a checkpoint" in capsys.readouterr().err


def flip_byte(directory: pathlib.Path):
    largest = max((p for p in directory.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def test_a_diverged_run_is_masked_and_named(tiny, tmp_path, capsys):
    grid = Grid(weight_decay=(0.1,), learning_rate=(1e-5, 1e3), init_scale=(1.0,), seed=(1,))
    results = collapse_jax.train(tiny(optimizer=Optimizer("sgd"), grid=grid), tmp_path / "w")
    assert results.diverged_at.sel(learning_rate=1e-5).item() == -1
    first_bad = results.diverged_at.sel(learning_rate=1e3).item()
    assert 0 < first_bad < 10
    masked = results.train_loss.sel(learning_rate=1e3).squeeze()
    np.testing.assert_array_equal(np.isnan(masked), results.step >= first_bad)
    assert results.train_loss.sel(learning_rate=1e-5).notnull().all()
    assert capsys.readouterr().err.count("diverged at step") == 1


def test_a_zipped_grid_has_the_dimension_run(tiny, tmp_path):
    grid = Grid(weight_decay=(0.1, 0.2, 0.3), learning_rate=(1e-3, 2e-3, 3e-3), init_scale=(1.0,), mode="zip")
    results = collapse_jax.train(tiny(grid=grid, measures=("norms",)), tmp_path / "w")
    assert results.weight_norm.dims == ("run", "step")
    assert results.weight_decay.dims == ("run",)


def test_another_experiment_is_refused_naming_the_fields(finished):
    experiment, workdir, _ = finished
    other = dataclasses.replace(experiment, steps=50, grid=Grid(seed=(7,)))
    with pytest.raises(WorkdirError, match=r"steps is 40 there, 50 asked") as error:
        collapse_jax.train(other, workdir)
    assert "grid.seed is [1, 2] there, [7] asked" in str(error.value)


def test_another_packing_is_refused(finished):
    experiment, workdir, _ = finished
    other = dataclasses.replace(experiment, packing=dataclasses.replace(experiment.packing, runs_per_tile=2))
    with pytest.raises(WorkdirError, match=r"packing.runs_per_tile=1, now 2"):
        collapse_jax.train(other, workdir)


def test_fields_that_change_no_number_may_change(finished):
    experiment, workdir, results = finished
    other = dataclasses.replace(experiment, checkpoint_seconds=5.0, chunk_seconds=1.0)
    xr.testing.assert_equal(collapse_jax.train(other, workdir), results)


def test_another_name_or_threshold_is_refused_and_not_ignored(finished):
    experiment, workdir, _ = finished
    before = (workdir / "experiment.json").read_bytes(), (workdir / "results.nc").read_bytes()
    with pytest.raises(WorkdirError, match="name is 'tiny' there, 'other' asked") as error:
        collapse_jax.train(dataclasses.replace(experiment, name="other"), workdir)
    assert "--thresholds" not in str(error.value)
    other = dataclasses.replace(experiment, thresholds=dataclasses.replace(experiment.thresholds, rnc1=0.02))
    said = r"thresholds.rnc1 is 0.01 there, 0.02 asked: .* show, plot or report --thresholds.rnc1=0.02$"
    with pytest.raises(WorkdirError, match=said):
        collapse_jax.train(other, workdir)
    assert before == ((workdir / "experiment.json").read_bytes(), (workdir / "results.nc").read_bytes())


@pytest.mark.parametrize("content", ["{", "[]", '{"fingerprint": 1}', "\x00\x01"])
def test_a_corrupt_manifest_is_refused(finished, tmp_path, content):
    (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(WorkdirError, match="damaged"):
        collapse_jax.train(finished[0], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.json"]


def test_a_directory_with_other_files_is_refused(finished, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(WorkdirError, match=r"holds files but no experiment\.json"):
        collapse_jax.train(finished[0], tmp_path)


def test_damaged_and_missing_results_are_said(finished, tmp_path):
    with pytest.raises(WorkdirError, match="missing"):
        collapse_jax.open_results(tmp_path)
    (tmp_path / "results.nc").write_bytes((finished[1] / "results.nc").read_bytes()[:500])
    with pytest.raises(WorkdirError, match="damaged"):
        collapse_jax.open_results(tmp_path)


def test_changed_data_is_refused_by_name(tmp_path):
    from conftest import tiny_experiment

    path, workdir = tmp_path / "mine.npz", tmp_path / "w"
    labels, inputs = np.arange(60) % 3, np.random.default_rng(0).normal(size=(60, 5))

    def save(inputs):
        np.savez(path, train_inputs=inputs, train_labels=labels, test_inputs=inputs, test_labels=labels)

    save(inputs)
    experiment = tiny_experiment(
        task=Task(dataset=str(path), train_size=60),
        steps=2,
        log=Schedule(rule="explicit"),
        snapshots=Snapshots(Schedule(rule="explicit"), ("parameters",), 50),
        model=Model(hidden=(4,)),
        measures=("fit",),
    )
    collapse_jax.train(experiment, workdir)
    assert read_record(workdir)["data"]["train_class_counts"] == [20, 20, 20]
    collapse_jax.train(experiment, workdir)
    save(inputs + 1)
    changed = r"mine.npz' has changed since it was begun: train_inputs, test_inputs with other checksums"
    with pytest.raises(WorkdirError, match=changed):
        collapse_jax.train(experiment, workdir)
    with pytest.raises(WorkdirError, match=r"mine.npz' has changed since it was begun: train_inputs with"):
        collapse_jax.measure(workdir, "norms", test_size=20)
