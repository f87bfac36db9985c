"""The command line as a user meets it: in a process of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SMOKE = [
    "--config=configs/quickstart.py:smoke",
    "--config.steps=12",
    "--config.task.test_size=100",
    "--config.snapshots.test_size=50",
    "--config.model.hidden=(8,6)",
]
GRID = ["--config.grid.weight_decay=(0.1,0.01)", "--config.grid.seed=42,43"]


def collapse_jax(*arguments):
    command = [sys.executable, "-m", "collapse_jax", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("cli") / "sweep"
    done = collapse_jax("train", *SMOKE, *GRID, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert "compiling" in done.stderr
    assert "run-steps/s" in done.stderr
    return workdir


def test_train_leaves_results_and_figures(workdir):
    names = {path.name for path in workdir.rglob("*") if path.is_file()}
    assert {"experiment.json", "results.nc", "phases.png", "phases.pdf", "timeline.png"} <= names


def test_show_prints_a_row_for_each_run(workdir):
    shown = collapse_jax("show", f"--workdir={workdir}")
    assert shown.returncode == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[0][:2] == ["weight_decay", "seed"]
    assert [row[:2] for row in rows[1:5]] == [["0.1", "42"], ["0.1", "43"], ["0.01", "42"], ["0.01", "43"]]
    assert "tau_fit" in shown.stdout


def test_plot_draws_again(workdir):
    figure = workdir / "figures" / "phases.png"
    before = figure.read_bytes()
    figure.unlink()
    assert collapse_jax("plot", f"--workdir={workdir}").returncode == 0
    assert figure.read_bytes() == before


def test_help_names_the_commands():
    helped = collapse_jax("--help")
    assert helped.returncode == 0
    assert "train" in helped.stdout


BAD = [
    ([], "train|measure|merge|plot|report|show|verify|bench|plan|prepare"),
    (["trian"], "did you mean 'train'?"),
    (["train"], "--config"),
    (["train", "--config=configs/nope.py"], "no such file"),
    (["train", "--config=configs/quickstart.py:fast"], "must be cpu or smoke or nothing"),
    (["train", *SMOKE, "--config.grid.sed=1"], "did you mean 'grid.seed'?"),
    (["train", *SMOKE, "--config.grid.dropout=0.5"], "grid.dropout='0.5': unknown field"),
    (["train", *SMOKE, "--config.grid.seed=()"], "grid.seed=(): an axis needs at least one value"),
    (["train", *SMOKE, "--config.grid.seed=1,1"], "grid.seed=(1, 1): the value [1] stands in it twice"),
    (["train", *SMOKE, "--config.grid.seed=-1"], "grid.seed=-1: must be in 0"),
    (["train", *SMOKE, "--config.grid.seed=0.5"], "grid.seed=0.5: must be of type int"),
    (["train", *SMOKE, "--config.grid.weight_decay=-0.1"], "grid.weight_decay=-0.1: must be >= 0"),
    (["train", *SMOKE, "--config.steps=0"], "steps=0: must be >= 1"),
    (["train", *SMOKE, "--config.steps=many"], "'many'"),
    (["train", *SMOKE, "--config.task.train_size=5000"], "task.train_size=5000: must be in 1 ... 1000"),
    (["train", *SMOKE, "--config.task.train_size=50"], "batch_size=100: must be in 0 ... task.train_size=50"),
    (["train", *SMOKE, "--config.task.dataset=minst"], "did you mean 'mnist'?"),
    (["train", *SMOKE, "--config.model.activation=relu6"], "did you mean 'relu'?"),
    (["train", *SMOKE, "--config.log.at=13"], "log.at=13: must be in 0 ... steps=12"),
    (["train", *SMOKE, "--config.thresholds.rnc1=2.0"], "thresholds.rnc1=2.0: must be in (0, 1]"),
    (["train", *SMOKE, "--config.packing.devices=999"], "packing.devices=999"),
    (["train", *SMOKE, "--bogus=1"], "Unknown command line flag 'bogus'"),
    (["train", *SMOKE, "extra"], "'extra': not understood"),
    (["train", *SMOKE, "--shard=4/4"], "--shard='4/4': must be i/n with 0 <= i < n"),
    (["train", *SMOKE, "--shard=1"], "--shard='1': must be i/n"),
    (["train", *SMOKE, "--distributed"], "--distributed=True: no cluster"),
    (["show", "--shard=0/4"], "Unknown command line flag 'shard'"),
    (["plan", *SMOKE, "--target=tpu-v5x:2x2"], "--target='tpu-v5x:2x2': unknown chip; did you mean 'tpu-v5"),
    (["plan", *SMOKE, "--target=tpu-v5e:2by2"], "--target='tpu-v5e:2by2': must be"),
    (["merge"], "no shards here"),
    (["show"], "missing"),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD, ids=lambda value: str(value)[-40:])
def test_bad_input_is_one_line_and_exit_code_2(arguments, expected, tmp_path):
    if arguments and arguments[0] != "plan":
        arguments = [*arguments, f"--workdir={tmp_path / 'w'}"]
    done = collapse_jax(*arguments)
    assert done.returncode == 2, done.stderr
    if arguments:
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("collapse-jax: ")
    assert expected in done.stderr + done.stdout
    assert not (tmp_path / "w").exists()


def test_unwritable_workdir(tmp_path):
    (tmp_path / "file").write_text("x")
    done = collapse_jax("train", *SMOKE, f"--workdir={tmp_path / 'file' / 'w'}")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_foreign_workdir_names_the_fields(workdir):
    done = collapse_jax("train", *SMOKE[:1], *SMOKE[2:], *GRID, "--config.steps=13", f"--workdir={workdir}")
    assert done.returncode == 2
    assert "steps is 12 there, 13 asked" in done.stderr


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(workdir):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "collapse_jax", "show", f"--workdir={workdir}"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""
