"""What a task is: arrays on the device, and how much of them there is."""

import dataclasses
from collections.abc import Callable

import jax
from flax import struct

from collapse_jax import config


@struct.dataclass
class Dataset:
    """Training and test examples; shared by all runs, put on the device once.

    Attributes:
      train_inputs: [N, ...] float32.
      train_labels: [N] int32 in 0 ... num_classes - 1.
      test_inputs: [M, ...] float32.
      test_labels: [M] int32.
      num_classes: K, static.
    """

    train_inputs: jax.Array
    train_labels: jax.Array
    test_inputs: jax.Array
    test_labels: jax.Array
    num_classes: int = struct.field(pytree_node=False)


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """A data set by name.

    Attributes:
      load: `load(task) -> Dataset` of numpy arrays.
      train_size: training examples that there are.
      test_size: test examples that there are.
    """

    load: Callable[[config.Task], Dataset]
    train_size: int
    test_size: int
