"""docs/howto.md: every row's snippet, run on one small sweep; docs/start.md, likewise."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

import matplotlib.pyplot as plt
import numpy as np
import pytest
from launch_scripts import LAUNCH, fakes, script  # noqa: F401 - a fixture

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.cli import parse as cli
from collapse_jax.engine.validate import validate
from collapse_jax.figures import registry

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "howto.md").read_text()
ROWS = re.findall(r"^\| ([^|`]+) \| `([^`]+)` \| \[", PAGE, re.MULTILINE)
START = (ROOT / "docs" / "start.md").read_text()
EXTENDING = (ROOT / "docs" / "extending.md").read_text()
PREFIX = "python -m collapse_jax "
COMMANDS = [(question, line.removeprefix(PREFIX)) for question, line in ROWS if line.startswith(PREFIX)]
PYTHON = [line for _, line in ROWS if re.match(r"(\w+ = )?(collapse_jax\.|results\W|from )", line)]
LAUNCHED = [line for _, line in ROWS if line.startswith(("launch/", "sbatch "))]
TRAINS = [row for row in COMMANDS if row[1].startswith("train ") and "--help" not in row[1]]
# What takes a moment on a sweep that is there; the others compile programs or draw everything, and are slow.
QUICK = [
    row for row in COMMANDS if re.match(r"show|status|list|verify(?!.*replay)|train --help|plot --figures", row[1])
]
MERGES = [row for row in COMMANDS if row[1].startswith("merge")]
# What makes the runs of the training rows small; their own flags come after these, and win.
SMALL = ["--config.steps=4", "--config.measures=fit", "--config.chunk_seconds=60", "--figures=false"]
QUICKSTART = {
    "model.hidden": "8,8",
    "grid.weight_decay": "0.1",
    "grid.seed": "0",
    "task.train_size": "100",
    "task.test_size": "50",
    "snapshots.test_size": "50",
}
OVERRULED = {"model.name=": "model.hidden", "grid.depth=": "model.hidden", "grid.train_size=": "task.train_size"}


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    """Give all rows one folder with a trained sweep, the configs, and the files of the documents."""
    folder = tmp_path_factory.mktemp("howto")
    for name in ("mine", "other", "quickstart"):
        shutil.copytree(finished[1], folder / "runs" / name)
    for name in ("configs", "docs", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    files = re.findall(r'^```python title="(\S+)"\n(.*?)^```', START + EXTENDING, re.MULTILINE | re.DOTALL)
    own = re.search(r"^```python\n# (own\.py)\n(.*?)^```", EXTENDING, re.MULTILINE | re.DOTALL)
    for name, text in [*files, own.groups()]:
        (folder / name).write_text(text)
    images, labels = np.ones((60, 5, 5, 1), np.uint8), np.arange(60) % 3
    arrays = {"train_inputs": images, "train_labels": labels, "test_inputs": images, "test_labels": labels}
    np.savez(folder / "mine.npz", **arrays)
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    """Go there; what a row begins is gone before the next one."""
    monkeypatch.chdir(folder)
    shutil.rmtree(folder / "runs" / "new", ignore_errors=True)
    return folder


def test_every_row_is_of_a_kind_that_is_run():
    assert len(ROWS) >= 40
    assert len(ROWS) == len(re.findall(r"^\| (?!how do I)", PAGE, re.MULTILINE))
    assert len(COMMANDS) + len(PYTHON) + len(LAUNCHED) == len(ROWS)
    assert len({question for question, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("question", "line"), TRAINS)
def test_a_line_that_trains_is_understood(here, question, line):
    validate(cli.parse(shlex.split(line)).experiment)


def run(line):
    assert main(shlex.split(line)) == 0, line


@pytest.mark.parametrize(("question", "line"), QUICK)
def test_a_line_about_a_sweep_that_is_there(here, question, line, capsys):
    run(line)
    assert capsys.readouterr().out or "plot" in line


def test_the_lines_of_python(here, finished):
    features = np.random.default_rng(0).normal(size=(30, 4))
    names = {
        "collapse_jax": collapse_jax,
        "features": features,
        "labels": np.arange(30) % 3,
        "experiment": finished[0],
    }
    for line in PYTHON:
        exec(line, names)
    assert names["taus"].tau_fit.dims == ("weight_decay", "seed")
    assert pathlib.Path("runs.csv").read_text().startswith("weight_decay,seed,step")
    assert pathlib.Path("by_seed.png").exists()
    assert collapse_jax.open_results("runs/python").step[-1] == 40
    plt.close("all")


@pytest.mark.parametrize("line", LAUNCHED)
def test_a_line_of_a_scheduler(here, fakes, line):  # noqa: F811
    words = shlex.split(line)
    if words[0] != "sbatch":
        assert script(pathlib.Path(words[0]).name, *words[1:]).returncode == 0
        return
    task = {
        "SLURM_JOB_ID": "9",
        "SLURM_ARRAY_TASK_ID": "0",
        "SLURM_ARRAY_TASK_COUNT": "8",
        "SLURM_ARRAY_JOB_ID": "9",
    }
    done = subprocess.run(["bash", LAUNCH / "slurm.sbatch", *words[3:]], env=os.environ | task, check=False)
    assert done.returncode == 0
    assert "--shard=0/8" in fakes()[0]


def small(line):
    """Return the words of a line with small runs: its own flags win, but for steps, which are thousandths."""
    first, *words = [re.sub(r"steps=(\d+)000$", r"steps=\1", word) for word in shlex.split(line)]
    overruled = [field for flag, field in OVERRULED.items() if flag in line]
    fields = [f"--config.{name}={value}" for name, value in QUICKSTART.items() if name not in overruled]
    return [first, *SMALL, *(fields if "quickstart.py" in line else []), *words]


@pytest.mark.slow
@pytest.mark.parametrize(("question", "line"), TRAINS)
def test_a_line_that_trains(here, question, line):
    if "--track" in line:
        pytest.importorskip("tensorboard")
    if "grow" in question or "continue" in question:
        (plain,) = [line for question, line in TRAINS if "continue" in question]
        assert main(small(plain)) == 0
    assert main(small(line)) == 0
    assert pathlib.Path("runs/new").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(("question", "line"), [row for row in COMMANDS if row not in [*TRAINS, *QUICK, *MERGES]])
def test_a_line_that_compiles_or_draws_everything(here, question, line, monkeypatch):
    if line.startswith("report"):  # of all figures it is among the first five minutes, and in tests/reporting
        monkeypatch.setattr(registry, "FIGURES", {"phases": registry.FIGURES["phases"]})
    words = small(line) if line.startswith("bench") else shlex.split(line)
    assert main([word for word in words if word != "--figures=false"]) == 0


@pytest.mark.slow
def test_the_join_of_one_part(here):
    (line,) = [line for question, line in TRAINS if "part of the grid" in question]
    assert main(small(line)) == 0
    ((_, line),) = MERGES
    run(line)
    assert pathlib.Path("runs/new/results.nc").exists()


@pytest.mark.slow
def test_the_first_five_minutes(here):
    """The blocks of docs/start.md, in order; only the first, which trains for minutes, is of a small grid."""
    blocks = re.findall(r"^```(bash|python)\n(.*?)^```", START, re.MULTILINE | re.DOTALL)
    for language, text in blocks:
        if language == "python":
            exec(text, {})
            continue
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[0] == "pip" or "quickstart.py --workdir=runs/quickstart" in line:
                continue
            assert main(small(shlex.join(words[3:])) if words[3] == "train" else words[3:]) == 0, line
    assert collapse_jax.open_results("runs/quickstart").largest_feature.notnull().any()
