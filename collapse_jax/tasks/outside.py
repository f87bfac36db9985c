"""What the task of a user's own file returns, made sure of."""

import dataclasses
from typing import Any, NoReturn

import numpy as np

from collapse_jax.errors import CollapseError, ConfigError
from collapse_jax.experiment import config
from collapse_jax.experiment.extensions import file_of, told
from collapse_jax.tasks.base import Dataset, TaskInfo

LABELS = ("train_labels", "test_labels", "train_true_labels")


def load(task: config.Task, info: TaskInfo) -> Dataset:
    """Load the data of a task, with all arrays as those of numpy.

    Raises:
      ConfigError: the task raised (the line is named), or what it returned is not what `TaskInfo` says and the
        sizes of the task ask for.
    """
    try:
        data = info.load(task)
    except CollapseError:
        raise
    except Exception as error:  # whatever the user's file does
        reason = told(error, file_of("task.dataset", task.dataset))
        raise ConfigError("task.dataset", task.dataset, reason) from None
    if not isinstance(data, Dataset):
        _refuse(task, f"its load returned a {type(data).__name__}; it must return a Dataset")
    if data.num_classes != info.num_classes:
        _refuse(task, f"its load returned num_classes={data.num_classes}, TaskInfo says {info.num_classes}")
    names = ("train_inputs", "test_inputs", *LABELS)
    arrays: dict[str, Any] = {
        name: _array(task, info, name, getattr(data, name)) for name in names if getattr(data, name) is not None
    }
    if data.sample is None:  # else these are not the examples of a run
        _check_sizes(task, info, arrays)
    return dataclasses.replace(data, **arrays)


def _array(task: config.Task, info: TaskInfo, name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except Exception as error:  # of any library's arrays
        _refuse(task, f"{name}: {told(error, None)}")
    if name in LABELS:
        wanted, right = "whole numbers [N]", array.dtype.kind in "iu" and array.ndim == 1
    elif info.kind in ("text", "tokens"):
        wanted, right = "whole numbers [N, T]", array.dtype.kind in "iu" and array.ndim == 2
    else:
        wanted, right = "finite numbers [N, ...]", array.dtype.kind == "f" and array.ndim >= 2
        right = right and bool(np.isfinite(array).all())
    if not right:
        _refuse(task, f"its load returned {name} of type {array.dtype} and shape {array.shape}; must be {wanted}")
    return array if array.dtype.kind == "f" else array.astype(np.int32)


def _check_sizes(task: config.Task, info: TaskInfo, arrays: dict[str, np.ndarray]) -> None:
    sizes = {"train": task.train_size, "test": task.test_size or info.test_size}
    for name, array in arrays.items():
        asked = sizes[name.partition("_")[0]]
        if len(array) != asked:
            _refuse(task, f"its load returned {len(array)} rows of {name}; the task asks for {asked}")
    train, test = arrays["train_inputs"].shape[1:], arrays["test_inputs"].shape[1:]
    if train != test:
        _refuse(task, f"its load returned training inputs of shape {train} and test inputs of shape {test}")


def _refuse(task: config.Task, message: str) -> NoReturn:
    raise ConfigError("task.dataset", task.dataset, message)
