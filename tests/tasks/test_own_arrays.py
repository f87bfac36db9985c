import numpy as np
import pytest

from collapse_jax import tasks
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Experiment, Task
from collapse_jax.tasks import images

RANDOM = np.random.default_rng(0)


def arrays(**changes):
    fields = {
        "train_inputs": RANDOM.integers(0, 256, (12, 4, 5, 3), np.uint8),
        "train_labels": np.arange(12) % 3,
        "test_inputs": RANDOM.integers(0, 256, (6, 4, 5, 3), np.uint8),
        "test_labels": np.arange(6) % 3,
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def saved(folder, **changes):
    path = folder / "mine.npz"
    np.savez(path, **arrays(**changes))
    return str(path)


def test_images_are_normalised_by_the_training_examples_used(tmp_path):
    path = saved(tmp_path)
    task = Task(dataset=path, train_size=8)
    info, data = tasks.check_task(task), tasks.load(task)
    assert (info.kind, info.train_size, info.test_size, info.num_classes) == ("image", 12, 6, 3)
    assert data.train_inputs.shape == (8, 4, 5, 3)
    assert data.test_inputs.shape == (6, 4, 5, 3)
    assert data.train_inputs.dtype == np.float32
    assert data.train_labels.dtype == np.int32
    np.testing.assert_allclose(data.train_inputs.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(data.train_inputs.std((0, 1, 2)), 1, atol=1e-6)
    raw = np.load(path)
    pixels = raw["train_inputs"][:8].astype(float) / 255
    expected = (raw["test_inputs"] / 255 - pixels.mean((0, 1, 2))) / pixels.std((0, 1, 2))
    np.testing.assert_allclose(data.test_inputs, expected, atol=1e-5)
    unit = tasks.load(Task(dataset=path, train_size=8, normalisation="unit"))
    np.testing.assert_allclose(unit.train_inputs, pixels, atol=1e-7)


def test_grey_images_vectors_and_tokens(tmp_path):
    grey = {f"{part}_inputs": np.full((n, 4, 5), 7, np.uint8) for part, n in (("train", 12), ("test", 6))}
    data = tasks.load(Task(dataset=saved(tmp_path, **grey), train_size=12))
    assert data.train_inputs.shape == (12, 4, 5, 1)
    assert np.abs(data.train_inputs).max() < 1e-6  # a constant channel is centred, not divided by zero
    vectors = {f"{part}_inputs": RANDOM.normal(size=(n, 7)) for part, n in (("train", 12), ("test", 6))}
    task = Task(dataset=saved(tmp_path, **vectors), train_size=12)
    assert tasks.check_task(task).kind == "vector"
    np.testing.assert_array_equal(tasks.load(task).train_inputs, vectors["train_inputs"].astype(np.float32))
    tokens = {f"{part}_inputs": np.arange(n * 9).reshape(n, 9) for part, n in (("train", 12), ("test", 6))}
    task = Task(dataset=saved(tmp_path, **tokens), train_size=12)
    data = tasks.load(task)
    assert (tasks.check_task(task).kind, data.vocabulary_size, data.train_inputs.dtype) == ("text", 108, np.int32)


def test_an_archive_is_read_once_and_again_when_it_has_changed(tmp_path, monkeypatch):
    load, opened = np.load, []
    monkeypatch.setattr(np, "load", lambda *given, **named: opened.append(1) or load(*given, **named))
    for classes in (3, 4):
        task = Task(dataset=saved(tmp_path, train_labels=np.arange(12) % classes), train_size=12)
        tasks.check_task(task)
        tasks.load(task)
        assert tasks.load(task).num_classes == classes
    assert len(opened) == 2


def test_the_exact_statistics_equal_numpy_s():
    pixels = RANDOM.integers(0, 256, (50, 6, 6, 2), np.uint8)
    mean, std = images.channel_statistics(pixels)
    np.testing.assert_allclose(mean, (pixels / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, (pixels / 255).std((0, 1, 2)), rtol=1e-12)


WRONG = [
    ({"train_labels": None}, "train_labels missing"),
    ({"train_labels": np.ones(12)}, "train_labels: float64 [12]; must be a list [N] of integers"),
    ({"train_labels": np.eye(12, dtype=int)}, "train_labels: int64 [12, 12]"),
    ({"train_labels": np.arange(11) % 3}, "must have one row per label, 11"),
    ({"train_labels": np.arange(12) - 1}, "train_labels: -1 among them"),
    ({"train_labels": np.zeros(12, int), "test_labels": np.zeros(6, int)}, "one class only"),
    ({"train_labels": np.ones(12, int), "test_labels": np.ones(6, int)}, "one class only"),
    ({"train_labels": np.arange(12) + 17 * 10**8}, "train_labels: label 1700000011 among 12 training examples"),
    ({"test_labels": np.full(6, 3)}, "test_labels: 3 among them, train_labels end with 2"),
    ({"test_inputs": np.zeros((6, 4, 4, 3), np.uint8)}, "must be of one kind"),
    ({"train_inputs": np.zeros(12, np.uint8)}, "must be [N, D], [N, H, W] or [N, H, W, C]"),
    ({"train_inputs": np.full((12, 2), np.nan), "test_inputs": np.zeros((6, 2))}, "not all finite"),
    (
        {"train_inputs": np.ones((12, 600), int), "test_inputs": np.ones((6, 600), int)},
        "600 tokens, longer than 512",
    ),
    ({"train_inputs": np.full((12, 2), -1), "test_inputs": np.ones((6, 2), int)}, "negative tokens"),
    ({"train_inputs": np.full((12, 2), "a"), "test_inputs": np.full((6, 2), "a")}, "must be uint8, floating point"),
    ({"train_inputs": np.array([None] * 12)}, "not a readable .npz file of plain arrays"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=lambda value: str(value)[:50])
def test_wrong_arrays_are_refused(changes, message, tmp_path):
    with pytest.raises(ConfigError) as error:
        tasks.check_task(Task(dataset=saved(tmp_path, **changes), train_size=6))
    assert str(error.value).startswith("task.dataset=")
    assert message in " ".join(str(error.value).split())


def test_no_file_and_no_archive(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.savez_compressed(tmp_path / "damaged.npz", **arrays())
    with (tmp_path / "damaged.npz").open("r+b") as file:
        file.seek(60)
        file.write(b"\xff" * 40)
    wrong = "not a readable .npz file of plain arrays"
    for name, message in (("text.npz", wrong), ("damaged.npz", wrong), ("none.npz", "no such file")):
        with pytest.raises(ConfigError, match=message):
            tasks.check_task(Task(dataset=str(tmp_path / name)))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"dataset": "~nobody_/x.npz"}, "task.dataset"),
        ({"dataset": "~nobody_/x.jsonl", "test_file": "x.csv"}, "task.dataset"),
        ({"dataset": "~nobody_/x.py:TASK"}, "task.dataset"),
        ({"dataset": "cifar10", "data_dir": "~nobody_/x"}, "task.data_dir"),
    ],
)
def test_a_home_directory_that_is_none_is_named(fields, field):
    with pytest.raises(ConfigError, match=f"{field}='~nobody_/x.*': there is no home directory '~nobody_'"):
        tasks.check_task(Task(**fields))


def test_a_network_for_images_refuses_texts(tmp_path):
    tokens = {f"{part}_inputs": np.ones((n, 9), int) for part, n in (("train", 12), ("test", 6))}
    task = Task(dataset=saved(tmp_path, **tokens), train_size=12)
    with pytest.raises(ConfigError, match=r"model.name='mlp': takes image or vector data, .* is text"):
        validate(Experiment(task=task, batch_size=4))
