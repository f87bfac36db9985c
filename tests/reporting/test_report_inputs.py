"""What a report refuses, and the config file that it prints."""

from pathlib import Path

import pytest
from etils import epath
from report_pages import experiment_of, one_figure, write

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment import config
from collapse_jax.reporting.configuration import _defaults, _texts, config_file
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.results import open_results

__all__ = ["one_figure"]


@pytest.mark.parametrize(
    "experiment",
    [
        config.Experiment(),
        experiment_of(name="quotes ' \" and \\", log=config.Schedule(points=7, at=(3,))),
        # The default of the field differs from that of its class.
        experiment_of(snapshots=config.Snapshots(schedule=config.Schedule(), content=())),
        experiment_of(grid=config.Grid(optimizer=("sgd",), seed=(3,)), thresholds=config.Thresholds(rnc1=1e-3)),
    ],
)
def test_the_config_file_repeats_the_experiment(experiment):
    names: dict = {}
    exec(config_file(experiment), names)
    assert names["get_config"]() == experiment


def test_a_field_that_an_axis_overrules_is_not_told_as_if_it_had_been_trained():
    experiment = experiment_of(loss="cross_entropy", grid=config.Grid(loss=("squared_error_sum", "cross_entropy")))
    assert _texts(experiment)["loss"] == _defaults(experiment)["loss"] == "see grid.loss"
    assert _texts(experiment)["steps"] == repr(experiment.steps)


def damaged(workdir: Path, name: str) -> str:
    write(workdir)
    (workdir / name).write_bytes(b"damaged")
    return f"--workdir={workdir}"


def foreign(workdir: Path) -> str:
    write(workdir)
    results = open_results(workdir).assign_attrs(fingerprint="another")
    write_dataset(results, epath.Path(workdir / "results.nc"))
    return f"--workdir={workdir}"


def blocked(tmp: Path) -> str:
    (tmp / "file").touch()
    return f"--out={tmp / 'file' / 'r.html'}"


BAD = [
    (lambda tmp: ["--workdir="], 2, "--workdir"),
    (lambda tmp: ["--workdir=,"], 2, "--workdir"),
    (lambda tmp: [f"--workdir={tmp / 'nowhere'}"], 2, "nowhere: no results here, nowhere is missing"),
    (lambda tmp: [f"--workdir={tmp}"], 2, "no results here"),
    (lambda tmp: [damaged(tmp / "d", "results.nc")], 2, "results.nc is damaged"),
    (lambda tmp: [damaged(tmp / "d", "experiment.json")], 2, "experiment.json is damaged"),
    (lambda tmp: [foreign(tmp / "f")], 2, "another experiment"),
    (lambda tmp: [f"--workdir={write(tmp / 'w')},{tmp}/./w"], 2, "is named twice"),
    (lambda tmp: [f"--workdir={write(tmp / 'w')}", f"--out={tmp}"], 2, "is a directory"),
    (lambda tmp: [f"--workdir={write(tmp / 'w')}", f"--out={tmp / 'w' / 'results.nc'}"], 2, "must end in .html"),
    (lambda tmp: [f"--workdir={write(tmp / 'w')}", blocked(tmp)], 3, "cannot be written"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), BAD)
def test_bad_input_is_one_line(arguments, code, said, tmp_path, capsys):
    words = arguments(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["report", *words]) == code
    line = capsys.readouterr().err
    assert line.startswith("collapse-jax: ")
    assert line.count("\n") == 1
    assert said in line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.drop_attrs(),
        lambda r: r.drop_vars("diverged_at"),
        lambda r: r.assign_attrs(experiment="[1]"),
        lambda r: r.assign_attrs(experiment='{"thresholds": {"loss": 1}}'),
    ],
    ids=["no_experiment", "no_diverged_at", "no_thresholds", "unknown_threshold"],
)
@pytest.mark.parametrize("command", ["show", "plot"])
def test_a_dataset_that_a_user_saved_is_refused_in_one_line(command, change, tmp_path, capsys):
    file = tmp_path / "saved.nc"
    write_dataset(change(open_results(write(tmp_path / "w"))), epath.Path(file))
    assert main([command, f"--workdir={file}"]) == 2
    said = "need diverged_at and attrs['experiment'], the config with its thresholds"
    assert capsys.readouterr().err == f"collapse-jax: results {file}: {said}\n"


def test_plot_needs_a_directory(tmp_path, capsys):
    file = write(tmp_path / "w") / "results.nc"
    assert main(["plot", f"--workdir={file}"]) == 2
    assert "figures are drawn into a directory" in capsys.readouterr().err


def test_errors_in_python(tmp_path):
    with pytest.raises(ConfigError):
        collapse_jax.report([])
    with pytest.raises(WorkdirError):
        collapse_jax.report(tmp_path / "nowhere")
