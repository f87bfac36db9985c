"""Modular addition, the task on which grokking was found: from a and b predict (a + b) mod p.

The p^2 pairs are all there is. A pair is two one-hot vectors side by side, [2 p] of 0 and 1, for an MLP. A fixed
permutation of the pairs decides: the first `train_size` are trained on, the others are the test set, in the same
order. Power et al. 2022 (arXiv:2201.02177) give a transformer tokens; one-hot pairs for an MLP are the choice of
Gromov 2023 (arXiv:2301.02679).
"""

import numpy as np

from collapse_jax.errors import ConfigError
from collapse_jax.experiment import config
from collapse_jax.experiment.choices import MODULAR
from collapse_jax.tasks import subset
from collapse_jax.tasks.assemble import assemble
from collapse_jax.tasks.base import Dataset, InMemory, TaskInfo

NAME, MODULUS = MODULAR, 97
MAX_MODULUS = 256  # 65,536 pairs of 512 numbers: 134 MB
SPLIT_SEED = 0


def modulus(task: config.Task) -> int:
    """Return p."""
    return MODULUS if task.modulus is None else task.modulus


def describe(task: config.Task) -> TaskInfo:
    """Say how many pairs and classes there are.

    Raises:
      ConfigError: `modulus` or `train_size` is out of range, or another order than the fixed one is asked for.
    """
    p = modulus(task)
    if not 2 <= p <= MAX_MODULUS:
        raise ConfigError("task.modulus", p, f"must be in 2 ... {MAX_MODULUS}")
    if task.order != "official":
        raise ConfigError("task.order", task.order, f"{NAME} has one order, 'official'")
    if not task.train_size < p**2:
        limit = f"must be in 1 ... {p**2 - 1}: of the {p**2} pairs of task.modulus={p} one at least is tested"
        raise ConfigError("task.train_size", task.train_size, limit)
    return TaskInfo(load, p**2 - 1, p**2 - task.train_size, num_classes=p, kind="vector")


def load(task: config.Task) -> Dataset:
    """Return the pairs as float32 vectors [N, 2 p] and the sums as labels.

    With `balanced` the first train_size / p pairs of each sum, in the fixed order, are trained on; the test set is
    what is left in either case.
    """
    p = modulus(task)
    # RandomState, because its numbers are the same in every version of numpy.
    order = np.random.RandomState(SPLIT_SEED).permutation(p**2)
    a, b = np.divmod(order, p)
    pairs = np.concatenate([np.eye(p, dtype=np.float32)[a], np.eye(p, dtype=np.float32)[b]], axis=1)
    every = InMemory(pairs, (a + b) % p)
    rest = np.setdiff1d(np.arange(p**2), subset.choose(task, every, p))
    return assemble(task, "vector", every, InMemory(every.inputs(rest), every.labels(rest)), p)
