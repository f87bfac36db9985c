"""Modular arithmetic, on which grokking was found: from a and b predict a o b mod p, o one of six operations.

The p^2 pairs are all there is (division: the p (p - 1) with b > 0). The first `train_size` of a permutation of them
are trained on, the others are the test set, in the same order. Two forms of a pair: one-hot vectors side by side,
[2 p], for an MLP (Gromov 2023, arXiv:2301.02679); or the four tokens a, o, b, "=" of Power et al. 2022
(arXiv:2201.02177).
"""

import dataclasses
import functools
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.errors import ConfigError, require
from collapse_jax.experiment import config
from collapse_jax.experiment.keys import Purpose
from collapse_jax.experiment.options import options
from collapse_jax.experiment.task_choices import MODULAR, OPERATIONS, Modular
from collapse_jax.tasks import subset
from collapse_jax.tasks.assemble import assemble
from collapse_jax.tasks.base import Dataset, InMemory, TaskInfo

NAME = MODULAR
MAX_MODULUS = 256  # 65,536 pairs of 512 numbers: 134 MB
SPLIT_SEED = 0
ONE_HOT, TOKENS, ALL_TOKENS = FORMS = ("one_hot", "tokens", "all_tokens")
FIXED, BY_SEED = SPLITS = ("fixed", "seed")


@dataclasses.dataclass(frozen=True)
class Pairs:
    """All pairs of one operation, numbered by rows: pair i is (a, b) = divmod(i, number of values of b).

    Attributes:
      p: modulus.
      operation: name in `OPERATIONS`.
      form: "one_hot", "tokens", or "all_tokens".
    """

    p: int
    operation: str
    form: str

    @property
    def count(self) -> int:
        """Return how many there are."""
        return OPERATIONS[self.operation](self.p)

    @property
    def classes(self) -> int:
        """Return K: p, or with "all_tokens" the p + 2 tokens, of which the two signs have no example."""
        return self.p + 2 if self.form == ALL_TOKENS else self.p

    @property
    def kind(self) -> str:
        """Return the kind of the inputs."""
        return "vector" if self.form == ONE_HOT else "tokens"

    def examples(self, index: Any, xp: ModuleType = np) -> tuple[Any, Any]:
        """Return inputs, float32 [N, 2 p] or int32 [N, 4], and labels [N] int32 of the pairs `index` [N].

        `xp` is the library of the arrays, numpy or jax.numpy.
        """
        a, b = xp.divmod(index, self.p - 1 if self.operation == "division" else self.p)
        if self.operation == "division":
            b = b + 1
        if self.form == ONE_HOT:
            inputs = xp.concatenate([xp.eye(self.p, dtype=np.float32)[each] for each in (a, b)], axis=1)
        else:
            sign, equals = xp.full_like(a, self.p), xp.full_like(a, self.p + 1)
            inputs = xp.stack([a, sign, b, equals], axis=1).astype(np.int32)
        return inputs, (self._result(a, b, xp) % self.p).astype(np.int32)

    def _result(self, a: Any, b: Any, xp: ModuleType) -> Any:
        if self.operation == "division":
            inverses = [0] + [pow(each, -1, self.p) for each in range(1, self.p)]
            return a * xp.asarray(inverses)[b]
        results = {
            "addition": lambda: a + b,
            "subtraction": lambda: a - b,
            "multiplication": lambda: a * b,
            "x2+y2": lambda: a * a + b * b,
            "x2+xy+y2": lambda: a * a + a * b + b * b,
        }
        return results[self.operation]()


@dataclasses.dataclass(frozen=True)
class BySeed:
    """Draws the split of a run from its own seed; see `Dataset.sample`.

    Attributes:
      pairs: all there are.
      train_size: that are trained on.
      test_size: of the others, that are tested.
    """

    pairs: Pairs
    train_size: int
    test_size: int

    def __call__(self, h: Any, data: Dataset) -> Dataset:
        """Return the examples of one run."""
        order = jax.random.permutation(h.key(Purpose.SPLIT), self.pairs.count)
        train, test = order[: self.train_size], order[self.train_size :][: self.test_size]
        make = functools.partial(self.pairs.examples, xp=jnp)
        (train_inputs, train_labels), (test_inputs, test_labels) = make(train), make(test)
        return dataclasses.replace(
            data,
            train_inputs=train_inputs.astype(data.train_inputs.dtype),
            train_labels=train_labels,
            test_inputs=test_inputs.astype(data.test_inputs.dtype),
            test_labels=test_labels,
            sample=None,
        )


def describe(task: config.Task) -> TaskInfo:
    """Say how many pairs and classes there are.

    Raises:
      ConfigError: no prime modulus for division, `train_size` leaves no pair to test, or another order.
    """
    chosen = options(task, Modular)
    p = chosen.modulus
    prime = all(p % divisor for divisor in range(2, int(p**0.5) + 1))
    require(prime or chosen.operation != "division", "task.modulus", p, "division needs a prime number")
    require(task.order == "official", "task.order", task.order, f"{NAME} has one order, 'official'")
    pairs = pairs_of(task)
    if not task.train_size < pairs.count:
        limit = (
            f"must be in 1 ... {pairs.count - 1}: of the {pairs.count} pairs of task.modulus={p} one at least is"
        )
        raise ConfigError("task.train_size", task.train_size, f"{limit} tested")
    if chosen.split == BY_SEED:
        for name in ("balanced", "random_labels", "label_noise"):
            value = getattr(task, name)
            allowed = "has no effect beside task.split='seed'; wrong labels by seed are grid.flip_rate"
            require(not value, f"task.{name}", value, allowed)
    return TaskInfo(load, pairs.count - 1, pairs.count - task.train_size, pairs.classes, pairs.kind)


def pairs_of(task: config.Task) -> Pairs:
    """Return the pairs of a task."""
    chosen = options(task, Modular)
    return Pairs(chosen.modulus, chosen.operation, chosen.form)


def load(task: config.Task) -> Dataset:
    """Return the pairs of the fixed split, with `split="seed"` the function that draws each run's own.

    With `balanced` the first train_size / K pairs of each class, in the fixed order, are trained on; the test set
    is what is left in either case.
    """
    pairs = pairs_of(task)
    # RandomState, because its numbers are the same in every version of numpy.
    every = InMemory(*pairs.examples(np.random.RandomState(SPLIT_SEED).permutation(pairs.count)))
    rest = np.setdiff1d(np.arange(pairs.count), subset.choose(task, every, pairs.classes))
    test = InMemory(every.inputs(rest), every.labels(rest))
    data = assemble(task, pairs.kind, every, test, pairs.classes)
    if pairs.kind == "tokens":
        data = dataclasses.replace(data, vocabulary_size=pairs.p + 2)
    if options(task, Modular).split == FIXED:
        return data
    return dataclasses.replace(data, sample=BySeed(pairs, task.train_size, len(data.test_labels)))
