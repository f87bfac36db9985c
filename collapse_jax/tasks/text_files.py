"""A user's own texts, one example a line, beside a file of test examples (`task.test_file`); packed (.gz) or not.

.jsonl   objects with "text" and "label"
.csv     a header that names "text" and "label"; or no header and rows of class 1 ... K, title, description, as
         AG News and its relatives are published: all cells after the class, joined by spaces, are the text
.label   lines "COARSE:fine text", as the TREC questions are published: the coarse class is the label

Labels are integers 0 ... K - 1 or names; names are numbered in alphabetical order. In a .csv file a label that
reads as an integer is one, and one that reads as another number (1.0) is refused.
"""

import contextlib
import csv
import functools
import gzip
import io
import json
import pathlib
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from collapse_jax.errors import ConfigError
from collapse_jax.experiment import config
from collapse_jax.experiment.classes import without_examples
from collapse_jax.system.paths import local_path, version_of
from collapse_jax.tasks.assemble import assemble
from collapse_jax.tasks.base import Dataset, InMemory, TaskInfo, beyond

Rows = list[tuple[str, int | str]]
Parsed = tuple[int, Any, Any]  # line, text, label
Refuse = Callable[[int, str], NoReturn]
SURROGATE = re.compile("[\ud800-\udfff]")
SUFFIXES = (".jsonl", ".csv", ".label")


def is_text(dataset: str) -> bool:
    """Whether the name of a data set is that of a text file."""
    return dataset.removesuffix(".gz").endswith(SUFFIXES)


def describe(task: config.Task) -> TaskInfo:
    """Read and check the files and say what they hold.

    Raises:
      ConfigError: a file is missing, is not UTF-8, or has a line that is no example; or a test label is unknown.
    """
    train, test = read_splits(task)
    return TaskInfo(load, train.size, test.size, num_classes=int(train.all_labels.max()) + 1, kind="text")


def load(task: config.Task) -> Dataset:
    """Load the texts as tokens; see `text.encode`."""
    train, test = read_splits(task)
    return assemble(task, "text", train, test, int(train.all_labels.max()) + 1)


def read_splits(task: config.Task) -> tuple[InMemory, InMemory]:
    """Read the training and test split: texts and integer labels."""
    if not task.test_file:
        raise ConfigError("task.test_file", task.test_file, f"name the file of test examples beside {task.dataset}")
    train, test = (_read("task.dataset", task.dataset), _read("task.test_file", task.test_file))
    classes = _classes(task, [label for _, label in train])
    unknown = next((label for _, label in test if label not in classes), None)
    if unknown is not None:
        raise ConfigError("task.test_file", task.test_file, f"label {unknown!r} is none of the training labels")

    def split(rows: Rows) -> InMemory:
        return InMemory([text for text, _ in rows], np.array([classes[label] for _, label in rows], np.int32))

    return split(train), split(test)


def _classes(task: config.Task, labels: list[int | str]) -> dict[int | str, int]:
    numbers = [label for label in labels if isinstance(label, int)]
    names = sorted({label for label in labels if isinstance(label, str)})
    if numbers and names:
        raise ConfigError("task.dataset", task.dataset, "labels are partly numbers and partly names")
    if numbers and min(numbers) < 0:
        raise ConfigError("task.dataset", task.dataset, f"label {min(numbers)}: must be 0 ... K - 1")
    if len(set(labels)) < 2:
        raise ConfigError("task.dataset", task.dataset, "one class only; must be two or more")
    if not numbers:
        return {name: number for number, name in enumerate(names)}
    if max(numbers) >= len(numbers):
        raise ConfigError("task.dataset", task.dataset, beyond(max(numbers), len(numbers)))
    if none := without_examples(np.bincount(numbers)):
        raise ConfigError("task.dataset", task.dataset, none)
    return {label: label for label in range(max(numbers) + 1)}


def _read(field: str, name: str) -> Rows:
    path = local_path(field, name)
    if not is_text(name):
        raise ConfigError(field, name, f"must end in {', '.join(SUFFIXES)}, or one of these and .gz")
    try:
        version = version_of(path)
    except OSError as error:
        raise ConfigError(field, name, f"not readable: {error.strerror}") from None
    return _parse(field, name, path, version)


@functools.lru_cache(maxsize=2)
def _parse(field: str, name: str, path: pathlib.Path, _version: tuple[int, ...]) -> Rows:
    """Parse a file; kept, because it is read when the sizes are checked and again when the data is loaded."""

    def refuse(line: int, message: str) -> NoReturn:
        raise ConfigError(field, name, f"line {line}: {message}")

    try:
        packed = path.read_bytes()
        raw = gzip.decompress(packed) if name.endswith(".gz") else packed
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(field, name, f"not readable: {error}") from None
    kind = pathlib.Path(name.removesuffix(".gz")).suffix
    if kind == ".label":
        # The one byte of the TREC questions that is not ASCII; where it begins a character of UTF-8, it is that.
        raw = re.sub(rb"\xf0(?![\x90-\xbf])", b" ", raw)
    try:
        content = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(raw[: error.start].count(b"\n") + 1, "not UTF-8 text")
    rows: Rows = []
    for line, text, label in PARSERS[kind](content, refuse):
        if not isinstance(text, str):
            refuse(line, f"text {text!r}: must be a string")
        if not text.isascii() and SURROGATE.search(text):
            refuse(line, "the text holds half of a surrogate pair, which is no character")
        if isinstance(label, bool) or not isinstance(label, int | str):
            refuse(line, f"label {label!r}: must be an integer or a name")
        rows.append((text, label))
    if not rows:
        raise ConfigError(field, name, "holds no examples")
    return rows


def _parse_jsonl(content: str, refuse: Refuse) -> Iterator[Parsed]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            example = json.loads(line)
            yield number, example["text"], example["label"]
        except (ValueError, KeyError, TypeError):
            refuse(number, 'must be an object with "text" and "label"')


def _parse_csv(content: str, refuse: Refuse) -> Iterator[Parsed]:
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    columns: tuple[int, int] | None = None
    try:
        for number, row in enumerate(reader, 1):
            line = reader.line_num
            if number == 1 and {"text", "label"} <= set(row):
                columns = row.index("text"), row.index("label")
            elif not row:
                continue
            elif columns is None:
                if len(row) < 2 or not row[0].isdecimal() or row[0] == "0":
                    refuse(line, 'needs a header with "text" and "label", or rows of class 1 ... K and text')
                yield line, " ".join(row[1:]), int(row[0]) - 1
            elif len(row) <= max(columns):
                refuse(line, f"{len(row)} cells, the header has more")
            else:
                text, label = (row[column] for column in columns)
                yield line, text, _csv_label(label)
    except csv.Error as error:
        refuse(reader.line_num, str(error))


def _csv_label(cell: str) -> int | float | str:
    label = cell.strip()
    if "_" not in label:  # Python would read "10_20" as a number
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return kind(label)
    return label


def _parse_label(content: str, refuse: Refuse) -> Iterator[Parsed]:
    for number, line in enumerate(content.split("\n"), 1):
        label, space, text = line.strip().partition(" ")
        if not line.strip():
            continue
        if not space or ":" not in label:
            refuse(number, 'must be "COARSE:fine text"')
        yield number, text, label.partition(":")[0]


PARSERS = {".jsonl": _parse_jsonl, ".csv": _parse_csv, ".label": _parse_label}
