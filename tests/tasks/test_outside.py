"""Tasks of a user's own that are wrong: one line that names the file, before anything is compiled or written."""

import pytest

from collapse_jax import tasks
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Task

FILE = """
import numpy as np
from collapse_jax.tasks import Dataset, TaskInfo

def data(n=60, m=40, classes=3, labels=int, test_width=5, value=0.0):
    x, y = np.full((n, 5), value, np.float32), (np.arange(n) % 3).astype(labels)
    return Dataset(x, y, np.zeros((m, test_width), np.float32), np.arange(m) % 3, num_classes=classes)

def info(load):
    return TaskInfo(load=load, train_size=60, test_size=40, num_classes=3, kind="vector")

def fails(task):
    raise ValueError("two\\nlines")

RAISES = info(fails)
NOTHING = info(lambda task: None)
FEW = info(lambda task: data(n=10))
FEW_TEST = info(lambda task: data(m=10))
CLASSES = info(lambda task: data(classes=4))
NOT_FINITE = info(lambda task: data(value=np.nan))
FLOAT_LABELS = info(lambda task: data(labels=float))
OTHER_INPUTS = info(lambda task: data(test_width=4))
RIGHT = info(lambda task: data())
"""
WRONG = {
    "RAISES": r"own\.py, line 13: ValueError: two$",
    "NOTHING": "its load returned a NoneType; it must return a Dataset",
    "FEW": "its load returned 10 rows of train_inputs; the task asks for 60",
    "FEW_TEST": "its load returned 10 rows of test_inputs; the task asks for 40",
    "CLASSES": "its load returned num_classes=4, TaskInfo says 3",
    "NOT_FINITE": "train_inputs of type float32 and shape .*; must be finite numbers",
    "FLOAT_LABELS": r"train_labels of type float64 and shape \(60,\); must be whole numbers",
    "OTHER_INPUTS": r"training inputs of shape \(5,\) and test inputs of shape \(4,\)",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_task_is_one_line(name, tmp_path):
    (tmp_path / "own.py").write_text(FILE)
    with pytest.raises(ConfigError, match=rf"^task\.dataset='.*{name}': .*{WRONG[name]}") as error:
        tasks.load(Task(f"{tmp_path}/own.py:{name}", train_size=60))
    assert "\n" not in str(error.value)
    assert len(tasks.load(Task(f"{tmp_path}/own.py:RIGHT", train_size=60)).train_labels) == 60


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("TaskInfo(3, 1, 1, 2)", "TaskInfo.load=3: must be a function"),
        ("TaskInfo(len, -1, 1, 2)", "TaskInfo.train_size=-1: must be >= 1"),
        ("TaskInfo(len, 1, 1, 1)", "TaskInfo.num_classes=1: must be >= 2"),
        ("TaskInfo(len, 1, 1, 2, kind='vectors')", "TaskInfo.kind='vectors': unknown kind; did you mean 'vector'"),
        ("ModelInfo(len, inputs='vectors')", "ModelInfo.inputs='vectors': must be a tuple of any of image, vector"),
        ("ModelInfo(len, inputs=('vectors',))", r"ModelInfo.inputs=\('vectors',\): must be a tuple of any of"),
        ("ModelInfo(len, inputs=())", r"ModelInfo.inputs=\(\): must be a tuple"),
        ("ModelInfo(3, inputs=('text',))", "ModelInfo.make=3: must be a function"),
        ("ModelInfo(len, inputs=('text',), init='al')", "ModelInfo.init='al': unknown init; did you mean 'all'"),
        ("ModelInfo(len, inputs=('text',), linear='(')", r"ModelInfo.linear='\(': must be a regular expression"),
        ("ModelInfo(len, inputs=('text',), options=3)", "ModelInfo.options=3: must be a dataclass"),
    ],
)
def test_a_wrong_description_is_told_with_its_line(made, said, tmp_path):
    imports = "from collapse_jax.models import ModelInfo\nfrom collapse_jax.tasks import TaskInfo\n"
    (tmp_path / "own.py").write_text(f"{imports}THIS = {made}\n")
    with pytest.raises(ConfigError, match=rf"^task\.dataset=.*: own\.py, line 3: ConfigError: {said}"):
        tasks.check_task(Task(f"{tmp_path}/own.py:THIS", train_size=1))
