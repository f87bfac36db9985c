"""Home directories in paths: one rule for every command and every function."""

import functools
import importlib.util
import os
import pathlib

import numpy as np
import pytest

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.cli.parse import parse
from collapse_jax.cli.report import split_workdirs
from collapse_jax.engine import train as engine
from collapse_jax.engine.validate import validate
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
    "status": collapse_jax.status,
    "train": lambda path: collapse_jax.train(Experiment(), path),
}
COMMANDS = ("measure --measures=fit", "merge", "plot", "report", "show", "status", "verify", "train --config=FILE")
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
    # read twice it is the same
    assert os.fspath(of("x", of("x", "./~x"))) == f"{pathlib.Path.cwd()}/~x"


STORES = {"gs": "gcsfs", "s3": "s3fs", "az": "adlfs"}


@pytest.fixture
def installed(monkeypatch):
    """Let only the packages of this list be installed."""
    packages = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True if name in packages else None)
    return packages


@pytest.mark.parametrize("scheme", STORES)
def test_an_object_store_needs_its_package(scheme, installed):
    name = f"{scheme}://bucket/~x"
    for others in ([], [package for package in STORES.values() if package != STORES[scheme]]):
        installed[:] = others
        with pytest.raises(ConfigError, match=rf"^workdir='{name}': .* needs .* {STORES[scheme]}: pip install "):
            path_of("workdir", name)
    installed[:] = [STORES[scheme]]
    assert os.fspath(path_of("workdir", name)) == name


@pytest.mark.parametrize("name", ["http://host/x", "https://host/x", "file:///tmp/x", "GS://b/x", "a+b://x"])
def test_other_schemes_are_refused_with_those_that_are_known(name, installed):
    installed[:] = STORES.values()
    with pytest.raises(ConfigError, match=r"object store: gs://bucket/folder, s3://bucket/folder, az://"):
        path_of("workdir", name)


@pytest.mark.parametrize("name", ["gs://", "s3:///x"])
def test_a_bucket_must_be_named(name, installed):
    installed[:] = STORES.values()
    with pytest.raises(ConfigError, match=r"must be (gs|s3)://bucket/folder$"):
        path_of("workdir", name)


@pytest.mark.parametrize("reader", READERS)
def test_every_function_refuses_a_store_that_it_cannot_reach_before_anything_else(reader, installed):
    for name in ("gs://bucket/x", "ftp://host/x"):
        with pytest.raises(ConfigError, match=r"needs the package gcsfs|must be on a disk"):
            READERS[reader](name)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_does_so_in_one_line_with_2(command, installed, capsys):
    words = command.replace("FILE", f"{ROOT}/configs/quickstart.py:smoke").split()
    assert main([*words, "--workdir=gs://bucket/x"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert 'pip install "collapse-jax[gcs]"' in said


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
    monkeypatch.setattr(engine, "train_shard", lambda experiment, path, **_: None)
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


FILES = {
    "task.dataset": "x.npz",
    "training.mask": "m.npz",
    "model.name": "m.py:M",
    "optimizer.name": "o.py:O",
    "loss": "l.py:L",
}


@pytest.mark.parametrize(("field", "name"), FILES.items())
def test_files_of_a_config_are_found_below_the_home_directory(field, name, home):
    """A file of nonsense there is refused for what it holds, and until then for not being there."""
    experiment = collapse_jax.load_config(f"{ROOT}/configs/quickstart.py:smoke", {field: f"~/{name}"})
    for content, said in ((None, "no (such )?file"), (b"nonsense", "(?!no (such )?file)")):
        if content:
            (home / name.partition(":")[0]).write_bytes(content)
        with pytest.raises(ConfigError, match=rf"^{field}='~/{name}': {said}"):
            validate(experiment)


def test_config_files_are_found_there_too(home):
    (home / "c.py").write_text((ROOT / "configs" / "quickstart.py").read_text())
    expected = collapse_jax.load_config(f"{ROOT}/configs/quickstart.py:smoke")
    assert collapse_jax.load_config("~/c.py:smoke") == expected
    assert parse(["train", "--config=~/c.py:smoke", "--workdir=w"]).experiment == expected


def test_a_comma_in_the_name_of_a_workdir_is_part_of_it_where_there_is_such_a_directory():
    assert split_workdirs("runs/a, runs/b") == ["runs/a", "runs/b"]
    pathlib.Path("a,b").mkdir()
    assert split_workdirs("a,b") == ["a,b"]
