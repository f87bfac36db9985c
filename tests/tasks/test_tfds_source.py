"""Reading what TFDS prepared, without TensorFlow; `make_prepared.py` made the two small sets."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from collapse_jax import tasks
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Task

pytest.importorskip("tensorflow_datasets", reason="the extra `data` is not installed")

PREPARED = pathlib.Path(__file__).parent / "prepared"


def images(first, count):
    rows = np.arange(first, first + count)[:, None] * 3 + np.arange(4)
    rows[:, 3] = 255
    return rows.reshape(count, 2, 2, 1)


def tiny(**changes):
    fields = {"dataset": "tiny_images", "train_size": 12, "normalisation": "unit", "data_dir": str(PREPARED)}
    return Task(**fields | changes)


def test_official_order_is_that_of_the_set():
    info, data = tasks.check_task(tiny(train_size=5, test_size=4)), tasks.load(tiny(train_size=5, test_size=4))
    assert (info.kind, info.train_size, info.test_size, info.num_classes) == ("image", 12, 6, 3)
    np.testing.assert_allclose(data.train_inputs * 255, images(0, 5), rtol=1e-6)
    np.testing.assert_allclose(data.test_inputs * 255, images(0, 4), rtol=1e-6)
    assert data.train_labels.tolist() == [0, 1, 2, 0, 1]


def test_tfds_order_is_another_order_of_the_same_examples():
    official, shuffled = tasks.load(tiny()), tasks.load(tiny(order="tfds"))
    assert np.any(official.train_labels != shuffled.train_labels)
    place = np.argsort(shuffled.train_inputs[:, 0, 0, 0])
    np.testing.assert_array_equal(shuffled.train_inputs[place], official.train_inputs)
    np.testing.assert_array_equal(shuffled.train_labels[place], official.train_labels)


def test_balanced_and_standardised():
    data = tasks.load(tiny(train_size=6, balanced=True, normalisation="standard"))
    assert data.train_labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert data.train_inputs.mean() == pytest.approx(0, abs=1e-6)
    assert data.train_inputs.std() == pytest.approx(1, abs=1e-6)


def test_no_tensorflow_is_imported():
    code = (
        "import sys; from collapse_jax import tasks; from collapse_jax.experiment.config import Task; "
        f"tasks.load(Task(dataset='tiny_images', train_size=3, data_dir={str(PREPARED)!r})); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_texts_and_missing_labels():
    pytest.importorskip("tokenizers", reason="the extra `data` is not installed")
    task = tiny(dataset="tiny_texts", train_size=4)
    assert tasks.check_task(task).kind == "text"
    split = tasks.tfds_source.PreparedSplit(
        "tiny_texts", PREPARED / "official/tiny_texts/1.0.0", "test", ("sentence",), "label"
    )
    assert split.inputs(np.arange(3)) == ["word 0", "word 1", "word 2"]
    with pytest.raises(ConfigError, match=r"examples of its split 'test' have no label"):
        split.labels(np.arange(3))


def test_a_set_of_glue_without_a_split_called_test(tmp_path):
    """MNLI has test_matched and test_mismatched."""
    folder = tmp_path / "official" / "glue" / "mnli" / "1.0.0"
    shutil.copytree(PREPARED / "official" / "tiny_texts" / "1.0.0", folder)
    path = folder / "dataset_info.json"
    path.write_text(path.read_text().replace('"test"', '"test_matched"'))
    with pytest.raises(ConfigError, match="needs a training and a labelled test split, has train, test_matched"):
        tasks.check_task(tiny(dataset="glue/mnli", data_dir=str(tmp_path)))


def test_what_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"task.train_size=13: must be in 1 ... 12"):
        tasks.check_task(tiny(train_size=13))
    shutil.copytree(PREPARED / "tiny_images", tmp_path / "official" / "tiny_images")
    shuffled = re.escape("shuffled when it was prepared, task.order='official' asked")
    away = f"move {tmp_path}/official/tiny_images/1.0.0 away or use another --data_dir, then run: python"
    with pytest.raises(ConfigError, match=f"{shuffled}; {away}"):
        tasks.check_task(tiny(data_dir=str(tmp_path)))
    path = tmp_path / "tiny_images" / "1.0.0" / "dataset_info.json"
    shutil.copytree(PREPARED / "tiny_images", tmp_path / "tiny_images")
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"fileFormat": "tfrecord"}))
    away = f"move {tmp_path}/tiny_images/1.0.0 away or use another --data_dir, then run: python"
    with pytest.raises(ConfigError, match=f"which needs TensorFlow; {away}"):
        tasks.check_task(tiny(order="tfds", data_dir=str(tmp_path)))
