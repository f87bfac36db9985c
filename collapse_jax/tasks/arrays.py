"""A user's own arrays: an .npz file with train_inputs, train_labels, test_inputs and test_labels.

Inputs may be images [N, H, W] or [N, H, W, C], vectors [N, D] (uint8 or floating point; uint8 is scaled, see
`images.normalise`), or texts [N, T] as integer tokens other than uint8, of which 0 is padding. Labels are integers
0 ... K - 1, and K is one more than the largest training label; each class has a training example.
"""

import functools
import pathlib
from typing import Any, NoReturn

import numpy as np

from collapse_jax.errors import ConfigError, first_line
from collapse_jax.experiment import config
from collapse_jax.experiment.classes import without_examples
from collapse_jax.system.paths import local_path, version_of
from collapse_jax.tasks import subset, text
from collapse_jax.tasks.assemble import ARRAYS, assemble
from collapse_jax.tasks.base import Dataset, InMemory, TaskInfo, beyond


def is_archive(dataset: str) -> bool:
    """Whether the name of a data set is that of an .npz file."""
    return dataset.endswith(".npz")


def describe(task: config.Task) -> TaskInfo:
    """Check an archive and say what it holds.

    Raises:
      ConfigError: no .npz file, an array lacking, or one of a wrong type, shape or value.
    """
    arrays, kind = _read(task)
    sizes = len(arrays["train_labels"]), len(arrays["test_labels"])
    return TaskInfo(load, *sizes, num_classes=int(arrays["train_labels"].max()) + 1, kind=kind)


def load(task: config.Task) -> Dataset:
    """Load an archive; tokens are used as they are, their vocabulary ends with the largest of them."""
    arrays, kind = _read(task)
    train, test = (InMemory(arrays[f"{part}_inputs"], arrays[f"{part}_labels"]) for part in ("train", "test"))
    num_classes = int(train.all_labels.max()) + 1
    if kind != "text":
        return assemble(task, kind, train, test, num_classes)
    chosen = subset.choose(task, train, num_classes)
    tested = subset.first(task, test, task.test_size)
    tokens: dict[str, Any] = {
        "train_inputs": train.inputs(chosen).astype(np.int32),
        "train_labels": subset.corrupt(task, train.labels(chosen), num_classes).astype(np.int32),
        "test_inputs": arrays["test_inputs"][tested].astype(np.int32),
        "test_labels": arrays["test_labels"][tested].astype(np.int32),
    }
    largest = int(max(arrays[f"{part}_inputs"].max() for part in ("train", "test")))
    return Dataset(**tokens, num_classes=num_classes, vocabulary_size=largest + 1)


def _read(task: config.Task) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays of an archive and their kind."""
    path = local_path("task.dataset", task.dataset)
    try:
        version = version_of(path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        _refuse(task.dataset, "no such file" if missing else f"not readable: {error.strerror}")
    return _parse(task.dataset, path, version)


@functools.lru_cache(maxsize=2)
def _parse(dataset: str, path: pathlib.Path, _version: tuple[int, ...]) -> tuple[dict[str, np.ndarray], str]:
    """Read and check an archive; kept, because it is read to check the sizes and again when it is loaded."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            arrays = {name: archive[name] for name in ARRAYS if name in names}
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file
        _refuse(dataset, f"not a readable .npz file of plain arrays: {first_line(error)}")
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        _refuse(dataset, f"holds {', '.join(names) or 'nothing'}; {', '.join(missing)} missing")
    for part in ("train", "test"):
        name = f"{part}_inputs"
        if arrays[name].ndim == 3:
            arrays[name] = arrays[name][..., None]
    kind = _check(dataset, arrays)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays, kind


def _check(dataset: str, arrays: dict[str, np.ndarray]) -> str:
    """Refuse what cannot be a data set; return its kind."""
    for part in ("train", "test"):
        inputs, labels = arrays[f"{part}_inputs"], arrays[f"{part}_labels"]
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            _refuse(dataset, f"{part}_labels: {_shown(labels)}; must be a list [N] of integers 0 ... K - 1")
        if not len(labels):
            _refuse(dataset, f"{part}_labels: empty")
        if inputs.shape[:1] != labels.shape:
            _refuse(dataset, f"{part}_inputs: {_shown(inputs)}; must have one row per label, {len(labels)}")
        if inputs.ndim not in (2, 4) or not inputs.size:
            _refuse(dataset, f"{part}_inputs: {_shown(inputs)}; must be [N, D], [N, H, W] or [N, H, W, C]")
        if labels.min() < 0:
            _refuse(dataset, f"{part}_labels: {labels.min()} among them; must be 0 ... K - 1")
    train, test = arrays["train_inputs"], arrays["test_inputs"]
    if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
        _refuse(dataset, f"train_inputs: {_shown(train)}, test_inputs: {_shown(test)}; must be of one kind")
    labels = arrays["train_labels"]
    largest = int(labels.max())
    if labels.min() == largest:
        _refuse(dataset, "train_labels: one class only; must be two or more")
    if largest >= len(labels):
        _refuse(dataset, f"train_labels: {beyond(largest, len(labels))}")
    if none := without_examples(np.bincount(labels)):
        _refuse(dataset, f"train_labels: {none}")
    if arrays["test_labels"].max() > largest:
        _refuse(dataset, f"test_labels: {arrays['test_labels'].max()} among them, train_labels end with {largest}")
    return _kind(dataset, train, test)


def _kind(dataset: str, train: np.ndarray, test: np.ndarray) -> str:
    if train.dtype == np.uint8 or train.dtype.kind == "f":
        if not (np.isfinite(train).all() and np.isfinite(test).all()):
            _refuse(dataset, "inputs: not all finite")
        return "image" if train.ndim == 4 else "vector"
    if train.dtype.kind not in "iu" or train.ndim != 2:
        _refuse(dataset, f"train_inputs: {_shown(train)}; must be uint8, floating point, or integer tokens [N, T]")
    if train.shape[1] > text.MAX_TOKENS:
        _refuse(dataset, f"train_inputs: sequences of {train.shape[1]} tokens, longer than {text.MAX_TOKENS}")
    if min(train.min(), test.min()) < 0:
        _refuse(dataset, "inputs: negative tokens; 0 is padding, others are positive")
    return "text"


def _shown(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"


def _refuse(dataset: str, message: str) -> NoReturn:
    raise ConfigError("task.dataset", dataset, message)
