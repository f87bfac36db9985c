"""Checks of the fields of an experiment: what single values may be, and what several fields must be together."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from collapse_jax.errors import Wrong, require, require_one_of

LARGEST = 2**31 - 1  # what int32, in which steps and indices are counted, can hold
MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Check:
    """Which values a field may have, and how to say so."""

    allowed: str
    holds: Callable[[Any], bool]

    def __call__(self, field: str, value: Any) -> None:
        """Raise `ConfigError` for another value."""
        require(self.holds(value), field, value, self.allowed)


def between(low: int, high: int, note: str = "") -> Check:
    """Allow whole numbers from `low` to `high`."""
    return Check(f"must be in {low} ... {high}{note}", lambda value: low <= value <= high)


@dataclasses.dataclass(frozen=True)
class OneOf:
    """Names that a field, or each element of it, may have."""

    names: Iterable[str]

    def __call__(self, field: str, value: str | Sequence[str]) -> None:
        """Raise `ConfigError` for another name, with the closest."""
        for name in (value,) if isinstance(value, str) else value:
            require_one_of(field, name, self.names)


ANY = Check("", lambda value: True)
POSITIVE = Check("must be > 0", lambda value: value > 0)
NOT_NEGATIVE = Check("must be >= 0", lambda value: value >= 0)
COUNT = Check(f"must be >= 1 and <= {LARGEST}", lambda value: 1 <= value <= LARGEST)
NUMBER = Check(f"must be >= 0 and <= {LARGEST}", lambda value: 0 <= value <= LARGEST)
AUTOMATIC = Check(f"must be >= 0 and <= {LARGEST} (0 means automatic)", NUMBER.holds)
SHARE = Check("must be in [0, 1]", lambda value: 0 <= value <= 1)
LEVEL = Check("must be in (0, 1]", lambda value: 0 < value <= 1)
DECAY = Check("must be in [0, 1)", lambda value: 0 <= value < 1)
SEED = between(0, MAX_SEED)

Fields = Mapping[str, Callable[[str, Any], Any]]
# Fields and groups of fields that are read, and what refuses them together.
Relations = Sequence[tuple[tuple[str, ...], Callable[[Any], Any]]]


def value_of(node: Any, field: str) -> Any:
    """Return the field that is named by its dotted path."""
    return functools.reduce(getattr, field.split("."), node)


def run(experiment: Any, fields: Fields, relations: Relations, wrong: Wrong) -> None:
    """Note every wrong field of a typed experiment; None, the default of a choice, is always right.

    Of fields that are wrong already nothing more is said: what depends on them is not looked at.
    """
    for field, check in fields.items():
        value = value_of(experiment, field)
        if value is not None and not wrong.holds((field,)):
            with wrong.noted():
                check(field, value)
    for reads, relation in relations:
        if not wrong.holds(reads):
            with wrong.noted():
                relation(experiment)
