"""The command line as a user meets it: here where a process is the same as a call, else in one of its own."""

import contextlib
import io
import os
import pathlib
import re
import subprocess
import sys

import pytest

from collapse_jax.__main__ import main
from collapse_jax.cli.commands import COMMANDS
from collapse_jax.figures import drawing, registry

ROOT = pathlib.Path(__file__).parents[2]
SMOKE = [
    "--config=configs/quickstart.py:smoke",
    "--config.steps=12",
    "--config.task.test_size=100",
    "--config.snapshots.test_size=50",
    "--config.model.hidden=(8,6)",
]
GRID = ["--config.grid.weight_decay=(0.1,0.01)", "--config.grid.seed=42,43"]


def in_a_process(*arguments):
    command = [sys.executable, "-m", "collapse_jax", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("cli") / "sweep"
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.chdir(ROOT)
        patch.setattr(registry, "FIGURES", {name: registry.FIGURES[name] for name in ("phases", "timeline")})
        assert main(["train", *SMOKE, *GRID, f"--workdir={workdir}"]) == 0
    assert "compiling" in said.getvalue()
    assert "run-steps/s" in said.getvalue()
    return workdir


def test_train_leaves_results_and_figures(workdir):
    names = {path.name for path in workdir.rglob("*") if path.is_file()}
    assert {"experiment.json", "results.nc", "phases.png", "phases.pdf", "timeline.png"} <= names


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_show_prints_a_row_for_each_run(workdir, capsys):
    assert main(["show", f"--workdir={workdir}"]) == 0
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows[0][:2] == ["weight_decay", "seed"]
    assert [row[:2] for row in rows[1:5]] == [["0.1", "42"], ["0.1", "43"], ["0.01", "42"], ["0.01", "43"]]
    assert "tau_fit" in shown.out


def test_show_plot_and_report_read_with_the_thresholds_that_they_are_given(workdir, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(registry, "FIGURES", {})
    for command in ("show", "report"):
        where = [f"--out={tmp_path / 'r.html'}"] if command == "report" else []
        assert main([command, f"--workdir={workdir}", "--thresholds.rnc1=0.5", *where]) == 0
        said = capsys.readouterr().out if command == "show" else (tmp_path / "r.html").read_text()
        assert "RNC1 ≤ 0.5" in said
        assert "test accuracy ≥ 0.8\n" in said or "test accuracy ≥ 0.8<" in said  # that of the config
    seen = []
    monkeypatch.setattr(drawing, "draw", lambda results, thresholds, *_, **__: seen.append(thresholds.rnc1) or [])
    assert main(["plot", f"--workdir={workdir}", "--thresholds.rnc1=0.5"]) == 0
    assert seen == [0.5]


def test_plot_draws_again(workdir, monkeypatch):
    monkeypatch.setattr(registry, "FIGURES", {"phases": registry.FIGURES["phases"]})
    figure = workdir / "figures" / "phases.png"
    before = figure.read_bytes()
    figure.unlink()
    assert main(["plot", f"--workdir={workdir}"]) == 0
    assert figure.read_bytes() == before


def test_plot_draws_the_figures_that_are_named(workdir, capsys, monkeypatch):
    monkeypatch.setattr(registry, "FIGURES", {name: registry.FIGURES[name] for name in ("phases", "timeline")})
    capsys.readouterr()
    assert main(["plot", f"--workdir={workdir}", "--figures=timeline"]) == 0
    assert [pathlib.Path(line).name for line in capsys.readouterr().out.split()] == ["timeline.png", "timeline.pdf"]


def test_help_names_every_command_and_its_flags(capsys):
    assert main(["--help"]) == 0
    helped = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"{name}" in re.split(r"[ |`]", helped.splitlines()[0])
        assert main([name, "--help"]) == 0
        flags = set(re.findall(r"--(?:\[no\])?(\w+)", capsys.readouterr().out))
        assert ("config" in flags) == command.needs_config, name
        assert "workdir" in flags or not command.needs_workdir, name
    assert main([]) == 2
    assert capsys.readouterr().out == helped


BAD = [
    (["trian"], "did you mean 'train'?"),
    (["train"], "--config"),
    (["train", "--config=configs/nope.py"], "--config='configs/nope.py': no file 'configs/nope.py'"),
    (["train", "--config=configs/quickstart.py:fast"], "must be cpu or smoke or nothing"),
    (["train", *SMOKE, "--config.grid.sed=1"], "did you mean 'grid.seed'?"),
    (["train", *SMOKE, "--config.grid.patience=5"], "grid.patience='5': unknown field"),
    (["train", *SMOKE, "--config.grid.seed=()"], "grid.seed=(): an axis needs at least one value"),
    (["train", *SMOKE, "--config.grid.seed=1,1"], "grid.seed=(1, 1): the value [1] stands in it twice"),
    (["train", *SMOKE, "--config.grid.seed=-1"], "grid.seed=-1: must be in 0"),
    (["train", *SMOKE, "--config.grid.seed=0.5"], "grid.seed=0.5: must be a whole number"),
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
    (
        ["train", *SMOKE, "--bogus=1"],
        "--bogus='1': unknown flag; known: config, distributed, extend, figures, shard, track",
    ),
    (["train", *SMOKE, "extra"], "'extra': not understood"),
    (["train", *SMOKE, "--shard=4/4"], "--shard='4/4': must be i/n with 0 <= i < n"),
    (["train", *SMOKE, "--shard=1"], "--shard='1': must be i/n"),
    (["show", "--shard=0/4"], "--shard='0/4': unknown flag"),
    (["plan", *SMOKE, "--target=tpu-v5x:2x2"], "--target='tpu-v5x:2x2': unknown chip; did you mean 'tpu-v5"),
    (["plan", *SMOKE, "--target=tpu-v5e:2by2"], "--target='tpu-v5e:2by2': must be"),
    (["merge"], "no sweep here"),
    (["show", "--thresholds.rnc1=2"], "thresholds.rnc1=2.0: must be in (0, 1]"),
    (["plot", "--thresholds.rnc1=low"], "--thresholds.rnc1='low': must be a number"),
    (
        ["plot", "--figures=violins,phase"],
        "figures='phase': unknown figure; did you mean 'phases'? known: accuracy",
    ),
    (["report", "--thresholds.rnc=0.1"], "--thresholds.rnc='0.1': unknown flag; did you mean 'thresholds.rnc1'"),
    (["show"], "missing"),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD, ids=lambda value: str(value)[-40:])
def test_bad_input_is_one_line_and_exit_code_2(arguments, expected, tmp_path, capsys):
    if arguments[0] != "plan":
        arguments = [*arguments, f"--workdir={tmp_path / 'w'}"]
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("collapse-jax: ")
    assert expected in said.err
    assert said.out == ""
    assert not (tmp_path / "w").exists()


def test_a_process_says_no_more_than_the_line_and_needs_a_cluster_to_be_one_of_many(tmp_path):
    done = in_a_process("train", *SMOKE, "--distributed", f"--workdir={tmp_path / 'w'}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("collapse-jax: --distributed=True: no cluster")
    assert not (tmp_path / "w").exists()


def test_unwritable_workdir(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["train", *SMOKE, f"--workdir={tmp_path / 'file' / 'w'}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_foreign_workdir_names_the_fields(workdir, capsys):
    command = ["train", *SMOKE[:1], *SMOKE[2:], *GRID, "--config.steps=13", f"--workdir={workdir}"]
    assert main(command) == 2
    assert "steps is 12 there, 13 asked" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(workdir):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "collapse_jax", "show", f"--workdir={workdir}"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


def test_a_closed_stderr_does_not_become_a_file_of_the_sweep():
    code = (
        "import os; os.close(2); from collapse_jax.__main__ import main; main(['help']); print(os.fstat(2).st_rdev)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) == os.stat(os.devnull).st_rdev
