"""What `measure` can and cannot do with what was stored, a user's own measures, memory, and wrong input."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.cli.measure import split_options
from collapse_jax.errors import ConfigError, StoreError, WorkdirError
from collapse_jax.experiment.config import Grid, Schedule, Snapshots
from collapse_jax.measures import get_measure
from collapse_jax.measuring import batches, requests, run

OWN = '''
"""A user's file."""
import jax.numpy as jnp

def participation_ratio(snapshot):
    """Squared trace over trace of the square of the feature covariance.

    More words.
    """
    centred = snapshot.test.features - snapshot.test.features.mean(0, keepdims=True)
    values = jnp.linalg.svd(centred, compute_uv=False) ** 2
    return values.sum() ** 2 / (values**2).sum()

def several(snapshot, *, top: int = 2, split="x"):
    """Largest weights of the head."""
    return {"largest": jnp.sort(snapshot.head_kernel.ravel())[-top:], "count": len(snapshot.head_bias)}

def wrong(snapshot):
    """Fails."""
    return snapshot.test.featurs

def train_reader(snapshot):
    return snapshot.train.features.mean()

def words(snapshot):
    return "three"

not_a_function = 3
'''


@pytest.fixture(scope="module")
def only_test(tmp_path_factory):
    """Store features of the test set alone, of one run."""
    from conftest import tiny_experiment

    workdir = tmp_path_factory.mktemp("only_test") / "sweep"
    snapshots = Snapshots(Schedule(rule="explicit", at=(0,)), ("test",), 50)
    grid, log = Grid(seed=(1,)), Schedule(rule="explicit")
    experiment = tiny_experiment(steps=11, grid=grid, log=log, measures=("norms",), snapshots=snapshots)
    collapse_jax.train(experiment, workdir)
    return workdir


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def test_stored_parts_suffice_where_parameters_are_not_there(stored, only_test):
    snapshots = collapse_jax.open_snapshots(only_test)
    run = snapshots.snapshot(11)
    assert run.train is None
    assert run.test.features.shape == (50, 12)
    assert run.test.inputs.shape == (50, 28, 28, 1)
    results = collapse_jax.measure(only_test, ["fit", "nhsic"], test_size=40)
    assert results.nhsic_zx.notnull().sum() == 2
    assert "train_accuracy" not in results
    accuracy = np.mean(np.argmax(run.test.logits[:40], 1) == run.test.labels[:40])
    assert results.test_accuracy.sel(step=11).item() == pytest.approx(accuracy)


def test_snapshots_are_complete_where_parameters_are_stored(stored):
    snapshots = collapse_jax.open_snapshots(stored, test_size=0)
    flat = snapshots.load(11)
    run = snapshots.snapshot(11, {"weight_decay": 0.01, "seed": 2})
    assert snapshots.steps == [0, 11, 40]
    assert run.test.features.shape == (10_000, 12)
    np.testing.assert_allclose(run.train.features, flat["train/features"][3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run.test.logits[:50], flat["test/logits"][3], rtol=1e-5, atol=1e-6)
    assert [layer.shape[1] for layer in run.test.layers] == [16, 12]
    with pytest.raises(ConfigError, match="must single out one run, not 2"):
        snapshots.snapshot(11, {"seed": 2})
    with pytest.raises(ConfigError, match="run=4: must be in 0"):
        snapshots.snapshot(11, 4)
    with pytest.raises(StoreError, match="no snapshot; there are 0, 11, 40"):
        snapshots.snapshot(12)
    snapshots.close()


def test_the_whole_test_set_can_be_measured(stored):
    results = collapse_jax.measure(stored, "fit", test_size=0, label="whole")
    run = collapse_jax.open_snapshots(stored, test_size=0).snapshot(11, 0)
    accuracy = np.mean(np.argmax(run.test.logits, 1) == run.test.labels)
    assert results.test_accuracy_whole.sel(step=11)[0, 0].item() == pytest.approx(accuracy)


def test_examples_from_outside(stored, own, tmp_path):
    inputs = np.random.default_rng(0).normal(size=(7, 28, 28)).astype(np.float32)
    np.savez(tmp_path / "ood.npz", inputs=inputs)
    run = collapse_jax.open_snapshots(stored, ood=tmp_path / "ood.npz").snapshot(11)
    again = collapse_jax.open_snapshots(stored).snapshot(11)
    assert again.ood is None
    kernel, bias = run.params["hidden_0"]["kernel"], run.params["hidden_0"]["bias"]
    first = np.maximum(inputs.reshape(7, 784) @ np.asarray(kernel) + np.asarray(bias), 0)
    np.testing.assert_allclose(run.ood.layers[0], first, rtol=1e-3, atol=1e-5)
    for content, message in ((inputs[:, :3], "its inputs have shape"), (inputs * np.nan, "must be finite")):
        np.savez(tmp_path / "bad.npz", inputs=content)
        with pytest.raises(ConfigError, match=message):
            collapse_jax.open_snapshots(stored, ood=tmp_path / "bad.npz")


def test_a_function_of_ones_own(stored, own):
    results = collapse_jax.measure(stored, [f"{own}:participation_ratio", f"{own}:several"], options={"top": "3"})
    ratio = results.participation_ratio
    assert ratio.attrs["definition"] == "Squared trace over trace of the square of the feature covariance."
    run = collapse_jax.open_snapshots(stored).snapshot(11, 2)
    values = np.linalg.eigvalsh(np.cov(np.asarray(run.test.features, np.float64).T))
    expected = values.sum() ** 2 / (values**2).sum()
    assert ratio.sel(step=11).values.ravel()[2] == pytest.approx(expected, rel=1e-4)
    assert results.largest.attrs["definition"] == "Largest weights of the head."
    assert results.largest.dims == ("weight_decay", "seed", "step", "largest_0")
    np.testing.assert_allclose(
        results.largest.sel(step=11).values.reshape(4, 3)[2], np.sort(np.ravel(run.head_kernel))[-3:], rtol=1e-6
    )
    arrays = {"train_features": run.test.features, "train_labels": run.test.labels}
    test = {"test_features": run.test.features, "test_labels": run.test.labels}
    for measure in (f"{own}:participation_ratio", get_measure(f"{own}:participation_ratio").function):
        value = collapse_jax.measure_arrays(measure, **arrays, **test)
        assert value == {"participation_ratio": pytest.approx(expected, rel=1e-4)}


def test_a_changed_file_is_measured_anew(stored, tmp_path):
    path = tmp_path / "mine.py"
    for constant in (1, 2):
        path.write_text(f"def constant(snapshot):\n    return {constant} + 0 * snapshot.head_bias[0]\n")
        assert float(collapse_jax.measure(stored, f"{path}:constant").constant.max()) == constant


def test_a_measure_that_a_batch_would_hang_is_taken_run_by_run(stored):
    snapshots = collapse_jax.open_snapshots(stored, test_size=400)
    (request,) = requests.make_requests(snapshots, ["spectrum"], [], {}, "")
    alone = dataclasses.replace(request, measure=dataclasses.replace(request.measure, one_by_one=True))
    together, by_itself = (batches.compile_batch(each, snapshots, 16, 1, 1e12) for each in (request, alone))
    assert (together.layout.runs, by_itself.layout.runs) == (16, 1)
    parts = snapshots.parts(11)
    values = by_itself.take(parts)
    for name, expected in together.take(parts).items():
        np.testing.assert_allclose(values[name], expected, rtol=1e-4, err_msg=name)


def test_all_steps_of_a_small_grid_are_one_call_of_one_program(stored, monkeypatch):
    """Levels of pruning, for one: however many, the measure of all of them is one batch."""
    compiled, taken = [], []
    compile_batch, take = run.compile_batch, batches.Batch.take
    monkeypatch.setattr(run, "compile_batch", lambda *a: compiled.append(1) or compile_batch(*a))

    def counted(self, parts):
        taken.append((len(jax.tree.leaves(parts)[0]), self.layout.runs))
        return take(self, parts)

    monkeypatch.setattr(batches.Batch, "take", counted)
    shutil.rmtree(stored / "measures", ignore_errors=True)
    results = collapse_jax.measure(stored, "distance")
    steps = int(results["distance_from_initial"].notnull().any(["seed", "weight_decay"]).sum())
    assert steps == 3
    assert compiled == [1]
    assert taken == [(4 * steps, 4 * steps)]


@pytest.mark.slow  # compiles a large measure three times
def test_the_bound_on_memory_holds_where_the_whole_batch_would_not(stored):
    """The compiler's own account of the program, tile by tile, against that of all runs at once."""
    snapshots = collapse_jax.open_snapshots(stored, test_size=400)
    request = requests.make_requests(snapshots, ["noisy_channel"], [], {"samples": None}, "")[0]
    one, whole = (batches.compile_batch(request, snapshots, units, 1, 1e12) for units in (1, 16))
    bound = (one.bytes + whole.bytes) / 2
    tiled = batches.compile_batch(request, snapshots, 16, 1, bound)
    assert whole.layout.runs == 16
    assert 1 <= tiled.layout.runs < 16
    assert tiled.bytes <= bound < whole.bytes
    parts = snapshots.parts(11)
    values = tiled.take(parts)
    for name, expected in whole.take(parts).items():
        np.testing.assert_allclose(values[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)
    with pytest.raises(ConfigError, match=r"memory=1000000.0: one run of noisy_channel takes .* bytes"):
        batches.compile_batch(request, snapshots, 16, 1, 1e6)


def test_devices_share_the_runs(stored):
    snapshots = collapse_jax.open_snapshots(stored)
    request = requests.make_requests(snapshots, ["norms"], [], {}, "")[0]
    one, two = (batches.compile_batch(request, snapshots, 4, devices, 1e12) for devices in (1, 2))
    assert (one.layout.devices, two.layout.devices) == (1, 2)
    parts = jax.tree.map(lambda leaf: leaf[:3], snapshots.parts(11))  # an odd number is padded
    for name, values in two.take(parts).items():
        assert values.shape == (3,)
        np.testing.assert_allclose(values, one.take(parts)[name], rtol=1e-6)


WRONG = [
    (["--measures=nhsik"], "did you mean 'nhsic'?"),
    ([], "name at least one of"),
    (["--measures=nhsic,nhsic"], "stands there twice"),
    (["--measures=nhsic", "--options=mod=reference"], "unknown option; did you mean 'mode'? known: bandwidth"),
    (["--measures=norms", "--options=k=3"], "these measures take no options"),
    (["--measures=nhsic", "--options=mode"], "must be NAME=VALUE"),
    (
        ["--measures=nhsic", "--options=mode=refrence"],
        "unknown mode; did you mean 'reference'? known:",
    ),
    (["--measures=nhsic", "--options=batch_size=ten"], "options.batch_size='ten': must be a whole number"),
    (["--measures=nhsic", "--options=sigma=wide"], "must be a number or none"),
    (["--measures=nhsic", "--splits=valid"], "splits='valid': unknown splits; known: test, train"),
    (["--measures=norms", "--splits=test"], "none of these measures has the option split"),
    (["--measures=nhsic", "--steps=3"], "steps=3: no snapshot of it; there are 0, 11, 40"),
    (["--measures=nhsic", "--steps=last"], "must be whole numbers"),
    (["--measures=nhsic", "--test_size=20000"], "must be in 0 ... 10000"),
    (["--measures=nhsic", "--memory=0"], "must be > 0"),
    (["--measures=nhsic", "--memory=1000"], "one run of nhsic takes"),
    (["--measures=nhsic", "--label=a/b"], "must consist of letters"),
    (["--measures=nhsic", "--ood=nothing.npz"], "cannot be read: No such file"),
    (["--measures=nothing.py:f"], "no file 'nothing.py'"),
    (["--measures=OWN:participation"], "did you mean 'participation_ratio'?"),
    (["--measures=OWN:not_a_function"], "unknown function in"),
    (["--measures=OWN:wrong"], "own.py, line 20: AttributeError"),
    (["--measures=OWN:words"], "it must return real numbers or a dict of real numbers"),
    (["--measures=OWN:participation_ratio", "--options=top=1"], "these measures take no options"),
]


@pytest.mark.parametrize(("flags", "expected"), WRONG, ids=lambda value: str(value)[-40:])
def test_wrong_input_is_one_line_and_exit_code_2(stored, own, capsys, flags, expected):
    flags = [flag.replace("OWN", own) for flag in flags]
    assert main(["measure", f"--workdir={stored}", *flags]) == 2
    error = capsys.readouterr().err.splitlines()
    lines = [line for line in error if "compiling" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("collapse-jax: ")
    assert expected in lines[0]


LACKING = [
    (["--measures=collapse"], "--config.snapshots.content=\"('test', 'train')\""),
    (["--measures=norms"], "needs 'weights', the snapshots hold test"),
    (["--measures=nhsic", "--splits=train"], "needs 'train', the snapshots hold test"),
    (["--measures=nhsic", "--test_size=0"], "the snapshots hold 50 test examples; to have it, train with"),
    (["--measures=nhsic", "--ood=x.npz"], "('test', 'parameters')"),
    (["--measures=OWN:train_reader"], "'NoneType' object has no attribute 'features'; the snapshots hold test"),
]


@pytest.mark.parametrize(("flags", "expected"), LACKING, ids=lambda value: str(value)[-40:])
def test_what_was_not_stored_is_said(only_test, own, capsys, flags, expected):
    flags = [flag.replace("OWN", own) for flag in flags]
    assert main(["measure", f"--workdir={only_test}", *flags]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert expected in error[0]


def test_the_command_writes_prints_and_continues(stored, capsys):
    flags = [
        "measure",
        f"--workdir={stored}",
        "--measures=norms,nhsic",
        "--options=batch_size=50",
        "--label=cli",
    ]
    assert main(flags) == 0
    printed = capsys.readouterr()
    assert [line.rsplit("/", 1)[-1] for line in printed.out.splitlines()] == ["norms_cli.nc", "nhsic_cli.nc"]
    assert "compiled in" in printed.err
    assert main(flags) == 0
    assert "compil" not in capsys.readouterr().err
    assert main(["show", f"--workdir={stored}"]) == 0


def test_a_workdir_without_snapshots(tmp_path, stored):
    with pytest.raises(WorkdirError, match="no sweep here"):
        collapse_jax.measure(tmp_path, "norms")
    shutil.copy(stored / "experiment.json", tmp_path)
    with pytest.raises(WorkdirError, match="no snapshot is stored yet"):
        collapse_jax.measure(tmp_path, "norms")


def test_options_with_commas():
    assert split_options("sigmas=(0.1,0.2),k=3") == {"sigmas": "(0.1,0.2)", "k": "3"}
    with pytest.raises(ConfigError, match="stands there twice"):
        split_options("k=1,k=2")
