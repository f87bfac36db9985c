"""Sequences of which one token carries the class, after arXiv:2409.17625 (its code): every run draws its own.

An example is T tokens x_t = noise + signal in R^d, noise N(0, 1) in every direction, mu_0 = |mu| e_1 and
mu_1 = |mu| e_2 the signals of the two classes (the paper's +1 and -1):

    token 1    relevant     + mu_Y*           of the true class Y*
    token 2    weak         + rho mu_Y*
    token 3    opposing     + rho mu_(1 - Y*)
    tokens 4 to T  irrelevant   nothing

Example i is of the class i mod 2. Of the n training examples the first ceil(n eta), half of each class, have the
other label. The test labels are right.

What a token is worth to the classifier nu = (mu_0 - mu_1) / (|mu_0 - mu_1| |mu|), which nothing trains, is its last
number, after the d of x_t: v_t = nu.x_t, so that inputs are [N, T, d + 1].
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.errors import ConfigError, require, require_one_of, together
from collapse_jax.experiment import config
from collapse_jax.experiment.checks import between
from collapse_jax.experiment.keys import Purpose
from collapse_jax.experiment.options import options
from collapse_jax.experiment.task_choices import TOKEN_SELECTION, TokenSelection
from collapse_jax.system import random
from collapse_jax.tasks.base import Dataset, TaskInfo

NAME = TOKEN_SELECTION
CLASSES = 2
TRAIN_EXAMPLES, TEST_EXAMPLES = 10_000, 1000  # at most; the test set of the paper has 1000
RELEVANT, WEAK, OPPOSING = range(3)  # places of the tokens with a signal
INDEPENDENT, TRAINING = TEST_NOISES = ("independent", "training")
# What rounding may add to n eta: 0.07 x 100 is 7.000000000000001.
ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Draws the examples of a run from its seed; see `Dataset.sample`.

    Attributes:
      chosen: options of the task.
      train_size: n.
      test_size: examples of the test set.
      label_noise: eta in a grid without the axis `flip_rate`.
    """

    chosen: TokenSelection
    train_size: int
    test_size: int
    label_noise: float

    def __call__(self, h: Any, data: Dataset) -> Dataset:
        """Return the examples of one run."""
        norm = jnp.asarray(h.get("signal_norm", self.chosen.signal_norm), data.train_inputs.dtype)
        leaking = self.chosen.test_noise == TRAINING
        key, test_key = h.key(Purpose.EXAMPLES), h.key(Purpose.EXAMPLES if leaking else Purpose.TEST_EXAMPLES)
        true = classes(self.train_size)
        wrong = jnp.arange(self.train_size) < flips(self.train_size, h.get("flip_rate", self.label_noise), jnp)
        return dataclasses.replace(
            data,
            train_inputs=self._sequences(key, true, norm),
            train_labels=jnp.where(wrong, 1 - true, true),
            train_true_labels=jnp.asarray(true),
            test_inputs=self._sequences(test_key, classes(self.test_size), norm),
            test_labels=jnp.asarray(classes(self.test_size)),
            sample=None,
        )

    def _sequences(self, key: jax.Array, true: np.ndarray, norm: jax.Array) -> jax.Array:
        """Draw one sequence per class in `true` [N]; that of an example depends on no other."""
        c = self.chosen
        shape = (c.tokens, c.dimension)

        def noise(i: jax.Array) -> jax.Array:
            return random.normal(jax.random.fold_in(key, i), shape)

        x = jax.vmap(noise)(jnp.arange(len(true))).astype(norm.dtype)
        shares = np.zeros((len(true), c.tokens, CLASSES))
        shares[:, RELEVANT] = np.eye(CLASSES)[true]
        shares[:, WEAK] = c.weak_signal * np.eye(CLASSES)[true]
        shares[:, OPPOSING] = c.weak_signal * np.eye(CLASSES)[1 - true]
        x = x.at[..., :CLASSES].add(norm * shares)
        return jnp.concatenate([x, worth(x, norm)[..., None]], axis=-1)


def worth(x: jax.Array, norm: jax.Array) -> jax.Array:
    """Return nu.x of tokens [..., d]: 1 / sqrt 2 for the signal of class 0, and minus that for class 1."""
    return (x[..., 0] - x[..., 1]) / (math.sqrt(2) * norm)


def classes(count: int) -> np.ndarray:
    """Return the true classes of so many examples."""
    return np.arange(count, dtype=np.int32) % CLASSES


def flips(size: int, rate: Any, xp: Any = math) -> Any:
    """Return ceil(n eta), the number of wrong labels; `xp` is the library of `rate`, math or jax.numpy."""
    return xp.ceil(size * rate - ROUNDING)


def describe(task: config.Task) -> TaskInfo:
    """Say how many examples may be drawn.

    Raises:
      ConfigError: an option is not allowed, or one of other data sets is given.
    """
    c = options(task, TokenSelection)
    least, most = between(3, 100_000), between(3, 1000)
    together(
        (
            lambda: least("task.dimension", c.dimension),
            lambda: most("task.tokens", c.tokens),
            lambda: require(c.signal_norm > 0, "task.signal_norm", c.signal_norm, "must be > 0"),
            lambda: require(0 <= c.weak_signal <= 1, "task.weak_signal", c.weak_signal, "must be in [0, 1]"),
            lambda: require_one_of("task.test_noise", c.test_noise, TEST_NOISES),
            lambda: require(task.order == "official", "task.order", task.order, f"{NAME} has only 'official'"),
            lambda: _require_none(task, "balanced"),
            lambda: _require_none(task, "random_labels"),
        )
    )
    return TaskInfo(load, TRAIN_EXAMPLES, TEST_EXAMPLES, CLASSES, "sequence")


def _require_none(task: config.Task, name: str) -> None:
    value = getattr(task, name)
    require(not value, f"task.{name}", value, f"{NAME} has balanced classes and its own wrong labels, label_noise")


def check_labels(task: config.Task, rates: tuple[float, ...]) -> None:
    """Make sure that both classes have as many examples, and as many wrong ones.

    Args:
      task: the choices.
      rates: values of the axis `flip_rate`, which stand for `task.label_noise`.

    Raises:
      ConfigError: n or the number of wrong labels is odd, or a share of them is above 1/2.
    """
    size = task.train_size
    require(size % CLASSES == 0, "task.train_size", size, f"must be even: the classes of {NAME} are of equal size")
    if rates and task.label_noise:
        allowed = f"has no effect beside grid.flip_rate={rates}; give the values of grid.flip_rate instead"
        raise ConfigError("task.label_noise", task.label_noise, allowed)
    for field, rate in [("grid.flip_rate", rate) for rate in rates] or [("task.label_noise", task.label_noise)]:
        require(0 <= rate <= 0.5, field, rate, "must be in [0, 0.5]: at most half of the labels are wrong")
        wrong = flips(size, rate)
        allowed = f"makes {wrong} of task.train_size={size} labels wrong; that must be even, half of each class"
        require(wrong % CLASSES == 0, field, rate, allowed)


def load(task: config.Task) -> Dataset:
    """Return the true labels, no inputs, and the function that draws each run's own examples."""
    c, size = options(task, TokenSelection), task.test_size or TEST_EXAMPLES
    none = np.zeros((0, c.tokens, c.dimension + 1), np.float32)
    arrays: dict[str, Any] = {
        "train_inputs": none,
        "train_labels": classes(task.train_size),
        "test_inputs": none,
        "test_labels": classes(size),
    }
    return Dataset(**arrays, num_classes=CLASSES, sample=Drawn(c, task.train_size, size, task.label_noise))
