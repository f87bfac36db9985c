"""What a task is: arrays on the device, and how much of them there is."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from collapse_jax.errors import require, require_one_of
from collapse_jax.experiment import config
from collapse_jax.experiment.keys import Purpose

KINDS = ("image", "vector", "text", "tokens", "sequence")


@struct.dataclass
class Dataset:
    """Training and test examples, put on the device once: those of all runs, or what each draws its own from.

    Attributes:
      train_inputs: [N, ...]: images [N, H, W, C] or vectors [N, D] in float32; texts [N, T] as int32 tokens, of
        which 0 is padding (so `inputs != 0` is the key mask); sequences [N, T] of int32 tokens, all of one
        length, without padding; or sequences [N, T, d + 1] of vectors in float32, see `tasks.token_selection`.
      train_labels: [N] int32 in 0 ... num_classes - 1.
      test_inputs: [M, ...] of the same kind and shape.
      test_labels: [M] int32.
      num_classes: K, static.
      vocabulary_size: of texts, padding included, and sequences: tokens lie in 0 ... vocabulary_size - 1; static. 0
        for others.
      train_true_labels: [N] int32 the training labels without noise; None where `train_labels` are.
      sample: `sample(h, data) -> Dataset` draws the examples of one run from its hyperparameters, static and pure;
        None where all runs have these. Its keys come from `h.key`, and what it returns is not sampled again.
        Where it returns `train_true_labels` it has made labels wrong itself, as the axis `flip_rate` asks.
    """

    train_inputs: jax.Array
    train_labels: jax.Array
    test_inputs: jax.Array
    test_labels: jax.Array
    num_classes: int = struct.field(pytree_node=False)
    vocabulary_size: int = struct.field(pytree_node=False, default=0)
    train_true_labels: jax.Array | None = None
    sample: Callable[[Any, "Dataset"], "Dataset"] | None = struct.field(pytree_node=False, default=None)

    def of(self, h: Any) -> "Dataset":
        """Return the examples of one run, a function of its hyperparameters that every program computes again.

        Where the grid has the axis `flip_rate`, each training label is replaced by another class, see `flipped`.
        """
        data = self if self.sample is None else self.sample(h, self)
        drawn = self.sample is not None and data.train_true_labels is not None
        if "flip_rate" not in h or drawn:
            return data
        true = data.train_labels if data.train_true_labels is None else data.train_true_labels
        labels = flipped(h.key(Purpose.LABELS), data.train_labels, h.flip_rate, data.num_classes)
        return dataclasses.replace(data, train_labels=labels, train_true_labels=true)


def flipped(key: jax.Array, labels: jax.Array, rate: jax.Array, num_classes: int) -> jax.Array:
    """Replace each label, with probability `rate`, by one of the K - 1 other classes, each equally likely.

    The same numbers are drawn for all rates: what is wrong at a low one is wrong, in the same way, at a higher one.

    Args:
      key: of the draw.
      labels: [N] int32.
      rate: in [0, 1].
      num_classes: K.
    """
    whether, which = jax.random.split(key)
    wrong = jax.random.uniform(whether, labels.shape, jnp.float32) < rate
    shift = jax.random.randint(which, labels.shape, 1, num_classes, jnp.int32)
    return jnp.where(wrong, (labels + shift) % num_classes, labels)


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """A data set, described; of its examples only a user's own arrays and texts are read for that.

    Attributes:
      load: `load(task) -> Dataset` of numpy arrays.
      train_size: training examples that there are.
      test_size: test examples that there are.
      num_classes: K.
      kind: "image" (inputs [H, W, C]), "vector" ([D]), "text" (tokens [T], 0 is padding), "tokens" ([T]) or
        "sequence" ([T, d + 1]): which models can take it.
    """

    load: Callable[[config.Task], Dataset]
    train_size: int
    test_size: int
    num_classes: int
    kind: str = "image"

    def __post_init__(self) -> None:
        """Refuse what is no description; of a user's own file the line is told."""
        require(callable(self.load), "TaskInfo.load", self.load, "must be a function of a config.Task")
        for name, least in (("train_size", 1), ("test_size", 1), ("num_classes", 2)):
            value = getattr(self, name)
            require(isinstance(value, int) and value >= least, f"TaskInfo.{name}", value, f"must be >= {least}")
        require_one_of("TaskInfo.kind", self.kind, KINDS)


def beyond(largest: int, train_size: int) -> str:
    """Say that the largest training label is so large that most classes would have no example."""
    return f"label {largest} among {train_size} training examples; must be 0 ... K - 1, K at most their number"


class Split(Protocol):
    """Half of a data set, whose examples are read on demand."""

    @property
    def size(self) -> int:
        """Return the number of examples."""

    def labels(self, index: np.ndarray) -> np.ndarray:
        """Return the labels [n] of the examples in `index` [n]."""

    def inputs(self, index: np.ndarray) -> Any:
        """Return their inputs: an array [n, ...], or n texts."""


@dataclasses.dataclass(frozen=True)
class InMemory:
    """A split that has been read already.

    Attributes:
      all_inputs: array [N, ...] or N texts.
      all_labels: [N] integers.
    """

    all_inputs: np.ndarray | Sequence[str]
    all_labels: np.ndarray

    @property
    def size(self) -> int:
        """Return the number of examples."""
        return len(self.all_labels)

    def labels(self, index: np.ndarray) -> np.ndarray:
        """Return the labels [n] of the examples in `index` [n]."""
        return self.all_labels[index]

    def inputs(self, index: np.ndarray) -> Any:
        """Return their inputs: an array [n, ...], or n texts."""
        if isinstance(self.all_inputs, np.ndarray):
            return self.all_inputs[index]
        return [self.all_inputs[i] for i in index]
