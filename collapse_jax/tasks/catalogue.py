"""From the name of a data set to what it is, and whether the choices of a task fit it."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from collapse_jax.errors import ConfigError, require, require_one_of, unknown
from collapse_jax.experiment import config
from collapse_jax.experiment.extensions import is_extension, load_extension
from collapse_jax.tasks import (
    arrays,
    idx,
    mnist,
    modular,
    outside,
    subset,
    text,
    text_files,
    tfds_source,
    token_selection,
)
from collapse_jax.tasks.assemble import assemble
from collapse_jax.tasks.base import Dataset, TaskInfo

TASKS: dict[str, TaskInfo] = {"mnist": mnist.MNIST}
MADE = (modular.NAME, token_selection.NAME)  # from a description, without files
SUGGESTED = ("mnist", *MADE, "fashion_mnist", "cifar10", "glue/sst2", "trec", "ag_news_subset")
PREPARED = ("official", "tfds")  # orders in which data sets are stored
ORDERS = (*PREPARED, subset.STRATIFIED)


def find_task(task: config.Task) -> TaskInfo:
    """Find a data set: a file, one of `TASKS`, official files in `data_dir`, or what TFDS prepared there.

    Raises:
      ConfigError: there is no such set, or it is not prepared (the command that prepares it is named).
    """
    name = task.dataset
    if is_extension(name):
        return load_extension("task.dataset", name, TaskInfo)
    if arrays.is_archive(name):
        return arrays.describe(task)
    if text_files.is_text(name):
        return text_files.describe(task)
    if name == modular.NAME:
        return modular.describe(task)
    if name == token_selection.NAME:
        return token_selection.describe(task)
    if name in TASKS and (name != "mnist" or mnist.is_enough(task)):
        return TASKS[name]
    if task.order != "tfds" and idx.are_there(name, text.data_dir(task) / name):
        return TaskInfo(_load_idx, idx.TRAIN_SIZE, idx.TEST_SIZE, idx.NUM_CLASSES)
    if tfds_source.find(name, tfds_source.root(text.data_dir(task), task.order)):
        return tfds_source.describe(task)
    require_known(name)
    if name == "mnist" and task.order == subset.STRATIFIED:
        raise ConfigError("task.order", task.order, f"needs all 60000 images: {tfds_source.not_prepared(task)}")
    if name == "mnist" and task.order == "official":
        most = 10 * mnist.SMALLEST_CLASS if task.balanced else mnist.MNIST.train_size
        message = f"must be in 1 ... {most}, what the package holds of 'mnist'; all 60000 images are "
        raise ConfigError("task.train_size", task.train_size, message + tfds_source.not_prepared(task))
    raise ConfigError("task.dataset", name, tfds_source.not_prepared(task))


def load(task: config.Task, dtype: str = "float32") -> Dataset:
    """Load the data of a task as numpy arrays, inputs that are no texts in `dtype`.

    Raises:
      ConfigError: see `find_task`; or the choices of the task do not fit the data, or a label is none.
    """
    info = find_task(task)
    data = outside.load(task, info) if is_extension(task.dataset) else info.load(task)
    _check_labels(task.dataset, data)
    if data.train_inputs.dtype.kind != "f":
        return data
    names = ("train_inputs", "test_inputs")
    inputs: dict[str, Any] = {name: np.asarray(getattr(data, name), dtype) for name in names}
    return dataclasses.replace(data, **inputs)


def _check_labels(name: str, data: Dataset) -> None:
    for part in ("train_labels", "test_labels", "train_true_labels"):
        labels = getattr(data, part)
        for label in () if labels is None or not len(labels) else (np.min(labels), np.max(labels)):
            allowed = f"label {label} in {part}; must be in 0 ... {data.num_classes - 1}, num_classes - 1"
            require(0 <= label < data.num_classes, "task.dataset", name, allowed)


def needs_no_preparation(name: str) -> bool:
    """Whether a data set is a file of the user's own, or made or shipped whole by the package."""
    own = is_extension(name) or arrays.is_archive(name) or text_files.is_text(name)
    return own or name in MADE or (name in TASKS and name != "mnist")


def require_order(order: str) -> None:
    """Raise `ConfigError` unless data sets are prepared in such an order."""
    require_one_of("task.order", order, PREPARED)


def require_known(name: str) -> None:
    """Raise `ConfigError` unless TFDS may have a set of this name, with the closest name."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        _require_close(name, [*SUGGESTED, *TASKS])
        return
    builders = set(tfds.list_builders(with_community_datasets=False))
    builder, _, rest = name.partition("/")
    if builder not in builders:
        _require_close(name, [*SUGGESTED, *TASKS, *builders])
    configs = tfds.builder_cls(builder).builder_configs
    if configs and rest not in configs:
        _require_close(name, [f"{builder}/{config}" for config in configs])


def _require_close(name: str, known: Iterable[str]) -> None:
    known = list(known)
    if name not in known:
        listed = (*SUGGESTED, "other TFDS names", "files ending in .npz, .jsonl, .csv or .label")
        raise ConfigError("task.dataset", name, unknown("data set", name, known, listed))


def _load_idx(task: config.Task) -> Dataset:
    train, test = idx.read_splits(task.dataset, text.data_dir(task) / task.dataset)
    return assemble(task, "image", train, test, idx.NUM_CLASSES)
