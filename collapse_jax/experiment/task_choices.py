"""The data sets that have options of their own, and the options, with their defaults. Imports no jax."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from collapse_jax.experiment.options import names_of, options

MODULAR, TOKEN_SELECTION = "modular", "token_selection"
# The operations of modular arithmetic, and how many pairs each has.
OPERATIONS: Mapping[str, Callable[[int], int]] = {
    **dict.fromkeys(("addition", "subtraction", "multiplication"), lambda p: p**2),
    "division": lambda p: p * (p - 1),
    **dict.fromkeys(("x2+y2", "x2+xy+y2"), lambda p: p**2),
}


@dataclasses.dataclass(frozen=True)
class Modular:
    """Options of modular arithmetic; see `tasks.modular`."""

    modulus: int = 97
    operation: str = "addition"
    form: str = "one_hot"
    split: str = "fixed"


@dataclasses.dataclass(frozen=True)
class TokenSelection:
    """Options of token selection; see `tasks.token_selection`."""

    dimension: int = 2000
    tokens: int = 8
    signal_norm: float = 20.0
    weak_signal: float = 0.1
    test_noise: str = "independent"


TASK_OPTIONS: Mapping[str, type] = {MODULAR: Modular, TOKEN_SELECTION: TokenSelection}


def without_options(task: Any, but_of: Iterable[str]) -> Any:
    """Return a task without the options that only other data sets have than those named."""
    kept = {name for dataset in but_of if dataset in TASK_OPTIONS for name in names_of(TASK_OPTIONS[dataset])}
    every = {name for kind in TASK_OPTIONS.values() for name in names_of(kind)}
    return dataclasses.replace(task, **dict.fromkeys(every - kept))


def counted(task: Any) -> Any:
    """Return a task with the number of training pairs in the place of a share of them, rounded down."""
    share, chosen = task.train_size, options(task, Modular)
    if task.dataset != MODULAR or not isinstance(share, float) or chosen.operation not in OPERATIONS:
        return task
    size = int(share * OPERATIONS[chosen.operation](chosen.modulus))
    return dataclasses.replace(task, train_size=size) if 0 < share < 1 <= size else task
