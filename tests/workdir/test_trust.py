"""Looking at a workdir runs no code that it names; measuring runs the user's own, unchanged, or what is trusted."""

import dataclasses
import os
import pathlib

import pytest

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.errors import WorkdirError
from collapse_jax.experiment.config import Model
from collapse_jax.figures import registry
from collapse_jax.workdir.record import read_experiment, read_record, write_record

FILE = """
import pathlib

from collapse_jax.models import MODELS

pathlib.Path({marker!r}).touch()
MODEL = MODELS["mlp"]
"""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Train a model of a file that leaves a mark whenever it runs."""
    from conftest import tiny_experiment

    folder = tmp_path_factory.mktemp("trust")
    marker, file = folder / "ran", folder / "model.py"
    file.write_text(FILE.format(marker=str(marker)))
    experiment = tiny_experiment()
    experiment.model = Model(name=f"{file}:MODEL")
    experiment.snapshots = dataclasses.replace(experiment.snapshots, content=("train", "test"))
    collapse_jax.train(experiment, folder / "sweep")
    assert marker.exists()
    return folder / "sweep", file, marker


@pytest.fixture
def workdir(sweep):
    """Return the workdir, without the mark."""
    sweep[2].unlink(missing_ok=True)
    return sweep[0]


@pytest.mark.parametrize("command", ["show", "plot", "report", "verify"])
def test_looking_runs_nothing(sweep, workdir, command, monkeypatch):
    """Figures of results, and one that would compute features again."""
    few = {name: registry.FIGURES[name] for name in ("phases", "violins")}
    monkeypatch.setattr(registry, "FIGURES", few)
    assert main([command, f"--workdir={workdir}"]) == 0
    collapse_jax.open_results(workdir)
    assert not sweep[2].exists()


def test_measuring_runs_the_users_own(sweep, workdir):
    collapse_jax.measure(workdir, "fit")
    assert sweep[2].exists()


def test_anothers_is_run_with_consent_only(sweep, workdir, monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert main(["measure", f"--workdir={workdir}", "--measures=fit"]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert "is not yours" in error[0]
    assert "--trust" in error[0]
    with pytest.raises(WorkdirError, match="not yours"):
        collapse_jax.open_snapshots(workdir)
    assert main(["verify", f"--workdir={workdir}", "--replay=1"]) == 2
    assert "is not yours" in capsys.readouterr().err
    assert not sweep[2].exists()
    assert main(["measure", f"--workdir={workdir}", "--measures=fit", "--trust"]) == 0
    assert sweep[2].exists()


def test_a_changed_file_is_refused_before_it_runs(sweep, workdir):
    _, file, marker = sweep
    text = file.read_text()
    file.write_text(text + "# another version\n")
    for trust in (False, True):
        with pytest.raises(WorkdirError, match="has changed since it was begun"):
            collapse_jax.open_snapshots(workdir, trust=trust)
    file.write_text(text)
    assert not marker.exists()


def test_a_record_without_the_hash_is_no_way_around(sweep, workdir):
    record = read_record(pathlib.Path(workdir))
    details = {key: value for key, value in record.items() if key not in ("experiment", "fingerprint", "cut")}
    write_record(pathlib.Path(workdir), read_experiment(record), None, details | {"sources": {}})
    with pytest.raises(WorkdirError, match="has changed since it was begun"):
        collapse_jax.open_snapshots(workdir)
    assert not sweep[2].exists()
    write_record(pathlib.Path(workdir), read_experiment(record), None, details)
