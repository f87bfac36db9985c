"""The options of a choice: a small dataclass, filled from the fields of a config of the same names."""

import dataclasses
from typing import Any


def names_of(kind: type) -> tuple[str, ...]:
    """Return the names of the options."""
    return tuple(item.name for item in dataclasses.fields(kind))


def options(chosen: Any, kind: type) -> Any:
    """Return the options of a choice, a `kind`, from the fields of its config; others are passed over."""
    given = {name: getattr(chosen, name, None) for name in names_of(kind)}
    return kind(**{name: value for name, value in given.items() if value is not None})
