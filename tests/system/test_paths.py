"""Home directories in paths: one rule for every command and every function."""

import functools
import os
import pathlib

import numpy as np
import pytest

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.cli.report import split_workdirs
from collapse_jax.engine import train as engine
from collapse_jax.errors import CollapseError, ConfigError
from collapse_jax.experiment.config import Experiment
from collapse_jax.figures.style import new_figure, save
from collapse_jax.measuring.outside import read_outside
from collapse_jax.system.paths import local_path, path_of
from collapse_jax.workdir.results import merge

READERS = {
    "open_results": collapse_jax.open_results,
    "merge": merge,
    "measure": functools.partial(collapse_jax.measure, measures="fit"),
    "open_snapshots": collapse_jax.open_snapshots,
    "plot": collapse_jax.plot,
    "report": lambda path: collapse_jax.report([path]),
    "train": lambda path: collapse_jax.train(Experiment(), path),
}
COMMANDS = ("measure --measures=fit", "merge", "plot", "report", "show", "verify", "train --config=FILE")
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give each test a home directory and an empty current one."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.mark.parametrize("of", [path_of, local_path])
def test_the_home_directory_stands_for_its_sign(of, home):
    assert os.fspath(of("x", "~/a/b")) == f"{home}/a/b"
    assert os.fspath(of("x", pathlib.Path("~/a"))) == f"{home}/a"
    for name in ("a/~b", "/~", "a b,c"):
        assert os.fspath(of("x", name)) == name
    assert os.fspath(path_of("x", "gs://bucket/~x")) == "gs://bucket/~x"
    # read twice it is the same
    assert os.fspath(of("x", of("x", "./~x"))) == f"{pathlib.Path.cwd()}/~x"


@pytest.mark.parametrize("wrong", ["~nosuchuser/x", "~nosuchuser", None, 3, b"x", "", "a\0b"])
def test_what_is_no_path_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"^workdir=.*: (there is no home directory|must be a path)"):
        path_of("workdir", wrong)


def test_a_user_whose_home_directory_is_missing_is_refused(home):
    os.rmdir(home)
    with pytest.raises(ConfigError, match="there is no home directory '~'"):
        path_of("workdir", "~/x")


@pytest.mark.parametrize("name", READERS)
def test_every_function_reads_and_refuses_home_directories(name, home, monkeypatch):
    monkeypatch.setattr(engine, "train_shard", lambda experiment, path: None)
    with pytest.raises(CollapseError, match=str(home / "nothing")):
        READERS[name]("~/nothing")
    for wrong in ("~nosuchuser/x", 3):
        with pytest.raises(
            ConfigError, match=r"^\S+=.*: (there is no home directory '~nosuchuser'|must be a path)"
        ):
            READERS[name](wrong)
    assert not list(pathlib.Path.cwd().iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_a_home_directory_that_is_not_there(command, capsys):
    words = command.replace("FILE", f"{ROOT}/configs/quickstart.py:smoke").split()
    assert main([*words, "--workdir=~nosuchuser/x"]) == 2
    assert capsys.readouterr().err.startswith("collapse-jax: --workdir='~nosuchuser/x': there is no home directory")
    assert not list(pathlib.Path.cwd().iterdir())


def test_examples_are_read_and_figures_saved_below_the_home_directory(home):
    np.savez(home / "x.npz", inputs=np.ones((2, 3)))
    assert read_outside("~/x.npz", (3,))[0].shape == (2, 3)
    assert [path.name for path in save(new_figure(1, 1), "~/figure")] == ["figure.png", "figure.pdf"]
    assert (home / "figure.png").exists()


def test_a_comma_in_the_name_of_a_workdir_is_part_of_it_where_there_is_such_a_directory():
    assert split_workdirs("runs/a, runs/b") == ["runs/a", "runs/b"]
    pathlib.Path("a,b").mkdir()
    assert split_workdirs("a,b") == ["a,b"]
