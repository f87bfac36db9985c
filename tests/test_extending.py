"""The worked example of docs/extending.md, and files of models and tasks that are wrong."""

import os
import pathlib
import re
import sys

import numpy as np
import pytest

import collapse_jax
from collapse_jax import models
from collapse_jax.cli import parse as cli
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment import config
from collapse_jax.experiment.config import Experiment, Model, Task
from collapse_jax.experiment.extensions import load_file
from collapse_jax.workdir.record import read_experiment, read_record

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r'^```python title="(\S+)"\n(.*?)^```', TEXT, re.MULTILINE | re.DOTALL))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write the files of the document into the current directory."""
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        pathlib.Path(name).write_text(content)
    return tmp_path


@pytest.mark.slow
def test_the_example_trains_and_measures(folder, capsys):
    assert set(FILES) == {"sparse_parity.py", "residual_mlp.py", "run.py"}
    exec(compile(FILES["run.py"], "run.py", "exec"), {})
    results = collapse_jax.open_results("runs/parity")
    assert results.train_accuracy.dims == ("weight_decay", "seed", "step")
    assert results.train_accuracy.isel(step=-1).min() > 0.9
    assert results.nhsic_zx.sel(step=300).notnull().all()
    assert read_record(folder / "runs" / "parity")["sources"].keys() == {"model.name", "task.dataset"}

    experiment = read_experiment(read_record(folder / "runs" / "parity"))
    with pathlib.Path("residual_mlp.py").open("a") as file:
        file.write("\n# another version\n")
    for again in (lambda: collapse_jax.train(experiment, "runs/parity"), lambda: measure_again()):
        with pytest.raises(WorkdirError, match=r"the file of model\.name has changed"):
            again()


def measure_again():
    collapse_jax.measure("runs/parity", "norms")


def test_the_command_of_the_document_is_understood(folder):
    command = re.search(r"^python -m collapse_jax (train.*?)\n```", TEXT, re.MULTILINE | re.DOTALL)[1]
    words = command.replace("\\\n", " ").replace("configs/", f"{ROOT}/configs/").split()
    experiment = validate(cli.parse(words).experiment)
    assert experiment.model.name == "residual_mlp.py:MODEL"


def test_the_initial_scale_of_an_own_model_is_its_own(folder):
    info = models.find_model("residual_mlp.py:MODEL")
    rule = models.initial_scale(info, "linear")
    ones = {name: {"kernel": np.ones(2)} for name in ("embed", "hidden_0", "head")}
    scaled = {name: float(tree["kernel"][0]) for name, tree in rule(ones, 8.0).items()}
    assert scaled == {"embed": 1, "hidden_0": 8, "head": 8}
    assert models.initial_scale(info, "default").rule == "all"


WRONG = [
    ({"model": Model("residual_mlp.py:MODLE")}, "model.name", "did you mean 'MODEL'?"),
    ({"model": Model("residual_mlp.py")}, "model.name", "FILE.py:NAME"),
    ({"model": Model("missing.py:MODEL")}, "model.name", "no file 'missing.py'"),
    ({"model": Model("raises.py:MODEL")}, "model.name", "raises.py, line 2: ZeroDivisionError"),
    ({"model": Model("syntax.py:MODEL")}, "model.name", "syntax.py, line 1: SyntaxError"),
    ({"model": Model("residual_mlp.py:MODEL", heads=2)}, "model.heads", "width, depth, activation, init"),
    ({"model": Model("cnn"), "task": Task("sparse_parity.py:TASK")}, "model.name", "takes image data"),
    ({"task": Task("sparse_parity.py:MODEL")}, "task.dataset", "known: TASK"),
    ({"task": Task("sparse_parity.py:TASK", train_size=1001)}, "task.train_size", "1 ... 1000"),
]


@pytest.mark.parametrize(("fields", "field", "message"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_file_is_one_line(folder, fields, field, message):
    pathlib.Path("raises.py").write_text("x = 0\n1 / x\n")
    pathlib.Path("syntax.py").write_text("def :\n")
    with pytest.raises(ConfigError) as error:
        validate(Experiment(**fields))
    assert str(error.value).startswith(f"{field}=")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_batch_norm_is_what_a_model_says_and_no_matter_of_its_name(folder):
    pathlib.Path("resnet_plain.py").write_text(FILES["residual_mlp.py"])
    pathlib.Path("normalised.py").write_text(f"{FILES['residual_mlp.py']}\n{NORMALISED}")
    task = Task("sparse_parity.py:TASK", train_size=101)
    validate(Experiment(task=task, model=Model("resnet_plain.py:MODEL"), batch_size=100))
    with pytest.raises(ConfigError, match=r"batch_size=100: BatchNorm needs 2 examples in every batch"):
        validate(Experiment(task=task, model=Model("normalised.py:MODEL"), batch_size=100))


NORMALISED = "import dataclasses\nMODEL = dataclasses.replace(MODEL, batch_norm=True)"
DATACLASSES = """
from __future__ import annotations
import dataclasses
from flax import linen as nn
from collapse_jax.models import ModelInfo

@dataclasses.dataclass
class Own:
    width: int = {width}

class Network(nn.Module):
    own: Own = dataclasses.field(default_factory=Own)

MODEL = ModelInfo(lambda c, num_classes, vocabulary_size: Network(), inputs=("image",))
"""


def test_a_file_may_postpone_its_annotations_and_share_its_name_with_another(tmp_path):
    networks = []
    for width in (1, 2):
        file = tmp_path / str(width) / "own.py"
        file.parent.mkdir()
        file.write_text(DATACLASSES.format(width=width))
        networks.append(models.make_model(Model(f"{file}:MODEL"), 10))
    assert [network.own.width for network in networks] == [1, 2]
    modules = [sys.modules[type(network).__module__] for network in networks]
    assert [module.Network for module in modules] == [type(network) for network in networks]
    file.write_text("1 / 0")
    with pytest.raises(ConfigError, match=r"own\.py, line 1: ZeroDivisionError"):
        models.find_model(f"{file}:MODEL")
    assert modules[0].__name__ in sys.modules
    assert modules[1].__name__ not in sys.modules


MODELS = [
    ("return nn.Dense(10, name='head')(x)", "(logits [N, K], layers)"),
    ("return 1 / 0", "mine.py, line 7: ZeroDivisionError: division by zero"),
]


@pytest.mark.parametrize(("body", "message"), MODELS, ids=lambda value: value[-30:])
def test_a_wrong_network_is_one_line_and_leaves_no_workdir(tmp_path, monkeypatch, tiny, body, message):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("mine.py").write_text(
        "from flax import linen as nn\nfrom collapse_jax.models import ModelInfo\n"
        "class Net(nn.Module):\n  @nn.compact\n  def __call__(self, x):\n    x = x.reshape(len(x), -1)\n"
        f"    {body}\nMODEL = ModelInfo(make=lambda c, k, v: Net(), inputs=('image',))\n"
    )
    with pytest.raises(ConfigError, match=r"^model\.name='mine.py:MODEL': ") as error:
        collapse_jax.train(tiny(model=Model("mine.py:MODEL")), "w")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not pathlib.Path("w").exists()


def test_a_network_that_does_not_take_the_images_leaves_no_workdir(tmp_path, tiny):
    for patch_size in (1, 32):
        with pytest.raises(ConfigError, match=f"model.patch_size={patch_size}"):
            collapse_jax.train(tiny(model=Model("transformer", patch_size=patch_size)), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_only_files_are_extensions():
    assert config.Model().name in models.MODELS
    assert models.find_model("mlp") is models.MODELS["mlp"]


def test_a_file_is_what_it_says_now_and_nothing_is_left_beside_it(tmp_path, monkeypatch):
    """Python itself would take the bytecode of another content of the same size and second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "own.py"
    for value in (1, 2):
        path.write_text(f"constant = {value}\nfile = __file__")
        os.utime(path, (1, 1))
        module = load_file("config", str(path), "FILE.py")
        assert module.constant == value
        assert module.file == str(path)
    assert list(tmp_path.iterdir()) == [path]
