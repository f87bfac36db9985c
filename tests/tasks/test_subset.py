import dataclasses

import numpy as np
import pytest

from collapse_jax import tasks
from collapse_jax.engine import train
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Task
from collapse_jax.tasks import subset
from collapse_jax.tasks.base import InMemory

LABELS = np.array([0, 0, 0, 1, 2, 1, 2, 0, 1, 2, 2, 1])


def test_a_balanced_subset_is_the_first_of_each_class_in_order():
    train = InMemory(np.zeros(12), LABELS)
    assert subset.choose(Task(train_size=6, balanced=True), train, 3).tolist() == [0, 1, 3, 4, 5, 6]
    assert subset.choose(Task(train_size=6), train, 3).tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match="class 0 has only 4; at most 12"):
        subset.choose(Task(train_size=15, balanced=True), train, 3)


def test_label_noise_moves_exactly_its_share_to_other_classes():
    labels = np.arange(9000) % 3
    noisy = subset.corrupt(Task(label_noise=0.2, label_seed=4), labels, 3)
    moved = noisy != labels
    assert moved.sum() == 1800
    # Either other class is equally likely: a binomial count, 5 standard deviations wide.
    assert abs(((noisy - labels)[moved] % 3 == 1).sum() - 900) < 5 * np.sqrt(450)
    np.testing.assert_array_equal(noisy, subset.corrupt(Task(label_noise=0.2, label_seed=4), labels, 3))
    assert np.any(noisy != subset.corrupt(Task(label_noise=0.2, label_seed=5), labels, 3))
    np.testing.assert_array_equal(subset.corrupt(Task(), labels, 3), labels)


def test_random_labels_know_nothing_of_the_true_ones():
    labels = np.arange(9000) % 3
    drawn = subset.corrupt(Task(random_labels=True), labels, 3)
    table = np.histogram2d(labels, drawn, bins=3)[0]
    assert np.all(np.abs(table - 1000) < 5 * np.sqrt(1000))


def test_choices_reach_the_data_and_its_record():
    plain, noisy = tasks.load(Task()), tasks.load(Task(label_noise=0.1))
    assert (plain.train_labels != noisy.train_labels).sum() == 100
    a, b = tasks.record(plain)["sha256"], tasks.record(noisy)["sha256"]
    assert [name for name in a if a[name] != b[name]] == ["train_labels"]
    balanced = tasks.load(Task(train_size=870, balanced=True))
    assert tasks.record(balanced)["train_class_counts"] == [87] * 10


def test_the_beginnings_of_a_stratified_order_have_the_classes_in_their_proportions(rng):
    sizes = np.array([7, 40, 1, 95])
    labels = rng.permutation(np.repeat(np.arange(4), sizes))
    order = subset.stratified(labels)
    np.testing.assert_array_equal(np.sort(order), np.arange(sizes.sum()))
    counts = np.cumsum(labels[order][:, None] == np.arange(4), axis=0)
    expected = np.arange(1, sizes.sum() + 1)[:, None] * sizes / sizes.sum()
    assert np.all(np.abs(counts - expected) <= 1 + 4 * sizes / (2 * sizes.sum()))
    for label in range(4):  # within a class the order given
        assert np.all(np.diff(order[labels[order] == label]) > 0)
    # By hand: places 1/4, 3/4 of class 0; 1/8, 3/8, 5/8, 7/8 of class 1.
    assert subset.stratified(np.array([0, 0, 1, 1, 1, 1])).tolist() == [2, 0, 3, 4, 1, 5]


def sorted_file(folder, labels):
    labels = np.asarray(labels)
    inputs = np.arange(len(labels), dtype=np.float32)[:, None]
    parts = {f"{part}_inputs": inputs for part in ("train", "test")}
    np.savez(folder / "mine.npz", **parts, train_labels=labels, test_labels=labels)
    return str(folder / "mine.npz")


def test_a_stratified_order_holds_of_training_and_test_examples(tmp_path):
    path = sorted_file(tmp_path, [0] * 20 + [1] * 20 + [2] * 20)
    first = tasks.load(Task(path, train_size=12, test_size=9))
    assert tasks.record(first)["train_class_counts"] == [12, 0, 0]
    data = tasks.load(Task(path, train_size=12, test_size=9, order="stratified"))
    assert tasks.record(data)["train_class_counts"] == [4, 4, 4]
    assert tasks.record(data)["test_class_counts"] == [3, 3, 3]
    assert sorted(data.train_inputs.ravel()) == [*range(4), *range(20, 24), *range(40, 44)]
    # fewer test examples are the first of more
    fewer = tasks.load(Task(path, train_size=12, test_size=3, order="stratified"))
    np.testing.assert_array_equal(fewer.test_inputs, data.test_inputs[:3])
    with pytest.raises(ConfigError, match=r"task\.order='stratified': needs all 60000 images: not prepared"):
        tasks.check_task(Task("mnist", order="stratified", data_dir="/nowhere"))


def test_classes_that_are_not_trained_are_told_when_training_starts(tmp_path, tiny, monkeypatch, capsys):
    class Started(Exception):
        pass

    def stop(*_):
        raise Started

    monkeypatch.setattr(train, "check_model", stop)
    path = sorted_file(tmp_path, [0] * 20 + [1] * 20 + [2] * 20)
    for order in ("official", "stratified"):
        task = Task(path, train_size=12, order=order)
        with pytest.raises(Started):
            train.check_leaf(tiny(task=task), tmp_path / "w")
        warned = "WARNING: no training example of 2 of the 3 classes: 1, 2" in capsys.readouterr().err
        assert warned == (order == "official")


@pytest.mark.parametrize(
    ("labels", "empty"), [([1, 2, 3], "1 of the 4 classes: 0"), ([0, 5, 9], "7 of the 10 classes: 1, 2, 3, 4, 6")]
)
def test_a_class_without_any_training_example_is_refused(labels, empty, tmp_path):
    path = sorted_file(tmp_path, labels * 10)
    with pytest.raises(ConfigError, match=rf"^task\.dataset=.*no training example of {empty}"):
        tasks.check_task(Task(path, train_size=10))
    lines = "".join(f'{{"text": "a", "label": {label}}}\n' for label in labels * 10)
    (tmp_path / "mine.jsonl").write_text(lines)
    text = str(tmp_path / "mine.jsonl")
    with pytest.raises(ConfigError, match=rf"^task\.dataset=.*no training example of {empty}"):
        tasks.check_task(Task(text, train_size=10, test_file=text))


WRONG = [
    ({"order": "random"}, "task.order='random': unknown order; known: official, stratified, tfds"),
    ({"normalisation": "unit8"}, "task.normalisation='unit8': unknown normalisation; did you mean 'unit'? known"),
    ({"label_noise": 1.5}, "task.label_noise=1.5: must be in [0, 1]"),
    ({"label_noise": 0.5, "random_labels": True}, "task.label_noise=0.5: must be 0 beside random_labels=True"),
    ({"label_seed": -1}, "task.label_seed=-1: must be in 0"),
    ({"max_tokens": 513}, "task.max_tokens=513: must be in 3 ... 512"),
    ({"max_tokens": 2}, "task.max_tokens=2"),
    ({"test_file": "x.csv"}, "task.test_file='x.csv': only beside a text file"),
    ({"train_size": 0}, "task.train_size=0: must be a whole number >= 1"),
    ({"train_size": 105, "balanced": True}, "task.train_size=105: a balanced set is a multiple of its 10 classes"),
    ({"train_size": 1000, "balanced": True}, "must be in 1 ... 870, what the package holds of 'mnist'"),
    ({"train_size": 60_000}, "python -m collapse_jax prepare --dataset=mnist --data_dir=/nowhere"),
    ({"order": "tfds"}, "prepare --dataset=mnist --order=tfds"),
    ({"dataset": "fashion_mnist"}, "run: python -m collapse_jax prepare --dataset=fashion_mnist"),
    ({"dataset": "fashon_mnist"}, "did you mean 'fashion_mnist'?"),
    ({"dataset": "FashionMNIST"}, "did you mean 'fashion_mnist'?"),
    ({"dataset": "CIFAR10"}, "did you mean 'cifar10'?"),
    ({"dataset": "MNIST"}, "did you mean 'mnist'?"),
    ({"dataset": "glue/sst"}, "did you mean 'glue/sst2'?"),
    ({"dataset": "cifar11.txt"}, "unknown data set"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=lambda value: str(value)[:50])
def test_wrong_choices_are_refused_in_one_line(fields, message):
    with pytest.raises(ConfigError) as error:
        tasks.check_task(dataclasses.replace(Task(data_dir="/nowhere"), **fields))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
