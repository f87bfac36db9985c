"""CONTRIBUTING.md: its recipes, added to a copy of the package as they are written, and the checks of a commit."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r'^```(python|diff) title="(\S+)"\n(.*?)^```', TEXT, re.MULTILINE | re.DOTALL)
SWEEP = """
import json, pathlib, sys
import jax.numpy as jnp
import numpy as np
import collapse_jax
from collapse_jax import figures, measures, models, tasks
from collapse_jax.errors import ConfigError
from collapse_jax.engine.validate import validate
from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task

data = tasks.load(Task("rings", train_size=300, test_size=100))
radius = np.linalg.norm(data.train_inputs, axis=1)
np.testing.assert_allclose(radius, 1 + data.train_labels, rtol=1e-6)

model = models.make_model(Model("squares", width=3), num_classes=2)
hidden = {"kernel": np.zeros((2, 3)), "bias": np.array([1.0, 2.0, 3.0])}
head = {"kernel": np.eye(3)[:, :2], "bias": np.zeros(2)}
logits, layers = model.apply({"params": {"hidden": hidden, "head": head}}, jnp.ones((1, 2)))
np.testing.assert_allclose(logits, [[1, 4]])
np.testing.assert_allclose(layers[-1], [[1, 4, 9]])

random = np.random.default_rng(0).normal(size=(50, 5))
columns, labels = np.linalg.qr(random - random.mean(0))[0], np.arange(50) % 2  # five equal singular values
train = {"train_features": columns, "train_labels": labels}
found = collapse_jax.measure_arrays("participation", **train, test_features=columns, test_labels=labels)
np.testing.assert_allclose(float(found["participation_ratio"]), 5, rtol=1e-5)

experiment = Experiment(
    steps=30,
    batch_size=50,
    grid=Grid(weight_decay=(0.0,), learning_rate=(1e-2,), init_scale=(1.0,), eps=(1e-8, 1e9), seed=(1,)),
    task=Task("rings", train_size=300, test_size=100),
    model=Model("squares", width=8),
    measures=("fit", "participation"),
    log=Schedule(rule="explicit", at=(0, 10, 20)),
    snapshots=Snapshots(test_size=100),
)
try:
    validate(Experiment(grid=Grid(activation=("rleu",))))
except ConfigError as error:
    refused = str(error)
validate(Experiment(grid=Grid(activation=("relu", "gelu"))))

results = collapse_jax.train(experiment, sys.argv[1])
loss, ratio = results.train_loss.squeeze("seed"), results.participation_ratio
drawn = figures.FIGURES["participation"](results.sel(eps=1e-8)).axes[0].lines[0]
print(json.dumps({
    "dims": list(ratio.dims),
    "loss falls": bool(loss.sel(eps=1e-8).isel(step=-1) < 0.9 * loss.sel(eps=1e-8).isel(step=0)),
    "loss stays": bool(np.allclose(loss.sel(eps=1e9), loss.sel(eps=1e9).isel(step=0), rtol=1e-5)),
    "in range": bool(((ratio >= 1) & (ratio <= 8)).all()),
    "definition": ratio.attrs["definition"],
    "drawn": [float(y) for y in drawn.get_ydata()],
    "measured": ratio.sel(eps=1e-8).squeeze().values.tolist(),
    "refused": refused,
    "files": [path.name for path in figures.draw(results, directory=sys.argv[1])],
}))
"""


def edited(text, diff):
    """Apply lines with + and - at where their neighbours stand in a text."""
    lines, at = text.splitlines(), 0
    for line in diff.splitlines():
        mark, content = line[:1], line[1:]
        if mark == "+":
            lines.insert(at, content)
            at += 1
            continue
        assert content in lines[at:], f"{content!r} is not in the file"
        at = lines.index(content, at)
        if mark == "-":
            del lines[at]
        else:
            at += 1
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the package to which the recipes were added."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "collapse_jax", folder / "collapse_jax", ignore=shutil.ignore_patterns("__pycache__"))
    for kind, name, content in BLOCKS:
        path = folder / name
        assert path.exists() == (kind == "diff"), name
        path.write_text(edited(path.read_text(), content) if kind == "diff" else content)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(folder, *command):
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_recipe_is_there():
    titles = re.findall(r"^## How to add an? (\w+)$", TEXT, re.MULTILINE)
    assert titles == ["axis", "task", "model", "measure", "figure"]


def test_a_sweep_with_all_that_was_added(package, tmp_path):
    found = json.loads(run(package, sys.executable, "-c", SWEEP, str(tmp_path / "w")).splitlines()[-1])
    assert found["dims"] == ["weight_decay", "eps", "seed", "step"]
    assert found["loss falls"]
    assert found["loss stays"]
    assert found["in range"]
    assert found["drawn"] == found["measured"][-len(found["drawn"]) :]
    assert len(found["drawn"]) >= 2
    assert "participation.png" in found["files"]
    assert "did you mean 'relu'?" in found["refused"]
    assert "covariance" in found["definition"]


def test_the_added_files_pass_the_checks_of_the_project(package):
    files = [name for _, name, _ in BLOCKS]
    ruff = shutil.which("ruff", path=f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    run(package, ruff, "check", *files)
    run(package, ruff, "format", "--check", *files)


def test_what_is_checked_before_a_commit_is_what_ci_checks_first():
    yaml = pytest.importorskip("yaml")
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    steps = re.findall(r"^step (.*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert [hook["entry"] for hook in local["hooks"]] == steps[1:5]
    assert {hook["language"] for hook in local["hooks"]} == {"system"}


def test_the_map_names_files_and_tables_that_are_there():
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    rows = re.findall(r"^\|[^|]+\| \[[^]]+\]\(\.\./(\S+)\), `(\w+)` \|", text, re.MULTILINE)
    assert len(rows) >= 12
    for file, name in rows:
        assert re.search(rf"^(class )?{name}\b", (ROOT / file).read_text(), re.MULTILINE), (file, name)
    rooms = re.findall(r"^(\w+)  ", text.split("```")[1], re.MULTILINE)
    there = [path.stem for path in (ROOT / "collapse_jax").iterdir() if (path / "__init__.py").exists()]
    assert sorted(rooms) == sorted([*there, "errors"])
