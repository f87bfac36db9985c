"""Data sets that TFDS has prepared, read without TensorFlow; `collapse_jax.prepare` makes them.

Folder: data_dir/<name>/<version> holds a set in the order in which TFDS shuffles it while it prepares it;
data_dir/official/<name>/<version> holds it in the order of its own files, also prepared through TFDS.
"""

import functools
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from collapse_jax.errors import ConfigError
from collapse_jax.experiment import config
from collapse_jax.tasks.assemble import assemble
from collapse_jax.tasks.base import Dataset, TaskInfo
from collapse_jax.tasks.text import data_dir, directory_flag

# Inputs and label of sets for which there is more than one choice. A text of several fields is joined by spaces:
# title and description are what the text of AG News is elsewhere, too.
FIELDS: dict[str, tuple[tuple[str, ...], str]] = {
    "trec": (("text",), "label-coarse"),
    "ag_news_subset": (("title", "description"), "label"),
}
UNLABELLED_TEST = ("glue/",)  # whose test labels are not public: tested on the validation split
METADATA = "dataset_info.json"


def root(base: pathlib.Path, order: str) -> pathlib.Path:
    """Return the folder of the sets in one of the two orders."""
    return base if order == "tfds" else base / "official"


def find(name: str, folder: pathlib.Path) -> pathlib.Path | None:
    """Return the folder of the newest prepared version of a set, or None."""
    versions = [path.parent for path in (folder / name).glob(f"*/{METADATA}")]
    return max(versions, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], default=None)


def describe(task: config.Task) -> TaskInfo:
    """Say what a prepared set holds, from its metadata.

    Raises:
      ConfigError: it is not prepared, or not as this module needs it, or it is no classification of equally large
        images or of texts.
    """
    source = _open(task)
    kind, _, _, splits, num_classes = source
    builder = _builder(_folder(task))
    train_size, test_size = (builder.info.splits[split].num_examples for split in splits)
    return TaskInfo(load, train_size, test_size, num_classes, kind)


def load(task: config.Task) -> Dataset:
    """Load a prepared set; only the examples used are decoded, for texts also the whole training split."""
    kind, fields, label, splits, num_classes = _open(task)
    folder = _folder(task)
    train, test = (PreparedSplit(task.dataset, folder, split, fields, label) for split in splits)
    return assemble(task, kind, train, test, num_classes)


class PreparedSplit:
    """One split of a prepared set, decoded on demand."""

    def __init__(self, dataset: str, folder: pathlib.Path, split: str, fields: Sequence[str], label: str):
        self.dataset, self.folder, self.split, self.fields, self.label = dataset, folder, split, fields, label

    @property
    def size(self) -> int:
        """Return the number of examples."""
        return _builder(self.folder).info.splits[self.split].num_examples

    def labels(self, index: np.ndarray) -> np.ndarray:
        """Return the labels [n] of the examples in `index` [n].

        Raises:
          ConfigError: an example has none.
        """
        labels = np.array([example[self.label] for example in self._read(index, [self.label])], np.int64)
        if len(labels) and labels.min() < 0:
            raise ConfigError("task.dataset", self.dataset, f"examples of its split {self.split!r} have no label")
        return labels

    def inputs(self, index: np.ndarray) -> Any:
        """Return their images [n, H, W, C], or n texts."""
        examples = self._read(index, self.fields)
        first = self.fields[0]
        if isinstance(examples[0][first], np.ndarray):
            return np.stack([example[first] for example in examples])
        return [" ".join(example[field].decode("utf-8") for field in self.fields) for example in examples]

    def _read(self, index: np.ndarray, fields: Sequence[str]) -> Sequence[dict[str, Any]]:
        import tensorflow_datasets as tfds

        builder = _builder(self.folder)
        unused = [name for name, f in builder.info.features.items() if _type(f) == "Image" and name not in fields]
        decoders = {name: tfds.decode.SkipDecoding() for name in unused}
        source = builder.as_data_source(self.split, decoders=decoders)
        return source.__getitems__(index.tolist())


def _folder(task: config.Task) -> pathlib.Path:
    folder = find(task.dataset, root(data_dir(task), task.order))
    if folder is None:
        raise ConfigError("task.dataset", task.dataset, not_prepared(task))
    return folder


def not_prepared(task: config.Task) -> str:
    """Say that a set is not there, and which command gets it."""
    order = " --order=tfds" if task.order == "tfds" else ""
    command = f"python -m collapse_jax prepare --dataset={task.dataset}{order}{directory_flag(task)}"
    return f"not prepared in {data_dir(task)}; run: {command}"


def _open(task: config.Task) -> tuple[str, tuple[str, ...], str, tuple[str, str], int]:
    """Return kind, input fields, label field, the names of both splits and the number of classes."""

    def refuse(message: str) -> NoReturn:
        raise ConfigError("task.dataset", task.dataset, message)

    folder = _folder(task)
    info = _builder(folder).info
    again = f"move {folder} away or use another --data_dir, then {not_prepared(task).partition('; ')[2]}"
    if "array_record" not in {file_format.value for file_format in info.available_file_formats()}:
        refuse(f"prepared as {info.file_format}, which needs TensorFlow; {again}")
    if task.order != "tfds" and not info.disable_shuffling:
        refuse(f"shuffled when it was prepared, task.order={task.order!r} asked; {again}")
    names = ("train", "validation") if task.dataset.startswith(UNLABELLED_TEST) else ("train", "test", "validation")
    splits = [name for name in names if name in info.splits]
    if splits[:1] != ["train"] or len(splits) < 2:
        refuse(f"needs a training and a labelled test split, has {', '.join(info.splits)}")
    fields, label = FIELDS.get(task.dataset) or _guess(info.features, info.supervised_keys, refuse)
    feature = info.features[fields[0]]
    if _type(feature) == "Image" and (None in feature.shape or feature.np_dtype != np.uint8):
        refuse(
            f"images of shape {feature.shape} and type {feature.np_dtype.__name__}; must be equally large, uint8"
        )
    kind = "image" if _type(feature) == "Image" else "text"
    return kind, fields, label, (splits[0], splits[1]), info.features[label].num_classes


def _guess(features: Any, supervised: Any, refuse: Any) -> tuple[tuple[str, ...], str]:
    """Return the fields that TFDS itself calls input and target, or else the only ones that can be."""
    names = list(features.keys())
    if supervised and all(key in names for key in supervised):
        names = list(supervised)
    inputs = [name for name in names if _type(features[name]) in ("Image", "Text")]
    labels = [name for name in names if _type(features[name]) == "ClassLabel"]
    if len(inputs) != 1 or len(labels) != 1:
        kinds = ", ".join(f"{name} ({_type(features[name])})" for name in features)
        refuse(f"needs one image or text and one class label, has {kinds}")
    return (inputs[0],), labels[0]


def _type(feature: Any) -> str:
    return type(feature).__name__


@functools.cache
def _builder(folder: pathlib.Path) -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        message = "reading it needs TFDS (not TensorFlow): pip install 'collapse-jax[data]'"
        raise ConfigError("task.dataset", folder.parent.name, message) from None
    return tfds.builder_from_directory(folder)
