"""Preparing for real, through TFDS; needs the extra `prepare` and the raw files, so it is skipped without them."""

import subprocess
import sys

import numpy as np
import pytest
import shared_data

from collapse_jax import tasks
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Task
from collapse_jax.tasks import idx, prepare


@pytest.fixture
def needs_tensorflow():
    pytest.importorskip("tensorflow", reason="the extra `prepare` is not installed")


def run(*arguments):
    command = [sys.executable, "-m", "collapse_jax", "prepare", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@shared_data.needs("mnist", "fashion_mnist")
@pytest.mark.usefixtures("needs_tensorflow")
def test_prepared_sets_equal_their_official_files(tmp_path):
    """Both sets in one folder: their files have the same names, and must not be mixed up."""
    for dataset in ("mnist", "fashion_mnist"):
        manual = f"--manual_dir={shared_data.FOLDER / dataset}"
        done = run(f"--dataset={dataset}", manual, f"--data_dir={tmp_path}")
        assert done.returncode == 0, done.stderr
        task = Task(dataset=dataset, train_size=1200, test_size=300, data_dir=str(tmp_path))
        train, test = idx.read_splits(dataset, shared_data.FOLDER / dataset)
        data = tasks.load(task)
        np.testing.assert_array_equal(data.train_labels, train.all_labels[:1200])
        np.testing.assert_array_equal(data.test_labels, test.all_labels[:300])
        official = tasks.load(Task(**{**vars(task), "data_dir": str(shared_data.FOLDER)}))
        np.testing.assert_array_equal(data.train_inputs, official.train_inputs)


@shared_data.needs("tokenizer")
def test_the_vocabulary_from_a_file_at_hand(tmp_path):
    task = Task(dataset="vocabulary", data_dir=str(tmp_path / "data"))
    path = prepare.prepare(task, shared_data.FOLDER / "tokenizer")
    assert path.read_bytes() == shared_data.VOCABULARY.read_bytes()
    assert prepare.prepare(task) == path


def test_bad_input_is_one_line(tmp_path):
    done = run()
    assert done.returncode == 2
    assert done.stderr == "collapse-jax: --dataset='': name a data set of TFDS, or vocabulary\n"
    with pytest.raises(ConfigError, match="no such folder"):
        prepare.prepare(Task(dataset="mnist"), tmp_path / "none")
    with pytest.raises(ConfigError, match=r"task.order='shuffled': unknown order; known: official, tfds"):
        prepare.prepare(Task(dataset="mnist", order="shuffled"))
    (tmp_path / "file").write_text("x")
    for data_dir in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=r"--data_dir='.*': cannot be made a folder"):
            prepare.prepare(Task(dataset="vocabulary", data_dir=str(data_dir)))
    for name in ("modular", "mine.npz", "mine.jsonl.gz", "mine.py:TASK"):
        with pytest.raises(ConfigError, match=f"--dataset='{name}': needs no preparation"):
            prepare.prepare(Task(dataset=name))


class Builder:
    """As much of a TFDS builder as `recognise_files` reads."""

    name = "toy"

    def __init__(self, **infos):
        self.url_infos = infos


def test_files_are_recognised_by_checksum_not_by_name(tmp_path):
    info = pytest.importorskip("tensorflow_datasets").download.checksums.UrlInfo
    (tmp_path / "renamed.bin").write_bytes(b"content")
    known = info(size=7, checksum=prepare.sha256_of(tmp_path / "renamed.bin"), filename="data.bin")
    builder = Builder(url=known)
    prepare.recognise_files(builder, tmp_path)
    assert builder.url_infos["url"].filename == "renamed.bin"
    (tmp_path / "renamed.bin").rename(tmp_path / "data.bin")
    (tmp_path / "data.bin").write_bytes(b"changed")
    with pytest.raises(ConfigError, match=r"data.bin'?: sha256 .* is not .*, the checksum that TFDS knows for url"):
        prepare.recognise_files(Builder(url=known), tmp_path)
    (tmp_path / "data.bin").unlink()
    with pytest.raises(ConfigError, match=r"holds none of the files of toy: data.bin"):
        prepare.recognise_files(Builder(url=known), tmp_path)
