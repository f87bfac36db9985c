"""The fields of a config in their declared types. Does not import jax."""

import dataclasses
import math
import typing
from typing import Any

from collapse_jax.errors import require


def typed(node: Any, prefix: str = "") -> Any:
    """Return a config with every field in its declared type.

    Lists of JSON become tuples, whole numbers floats, and the names in a string "a,b", as the command line gives
    them, the elements of a tuple.

    Raises:
      ConfigError: a value is of another type or not finite.
    """
    hints = typing.get_type_hints(type(node))
    values = {}
    for item in dataclasses.fields(node):
        name, hint, value = prefix + item.name, hints[item.name], getattr(node, item.name)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            require(isinstance(value, hint), name, value, f"must be a {hint.__name__}")
            values[item.name] = typed(value, f"{name}.")
        elif typing.get_origin(hint) is tuple:
            kind = typing.get_args(hint)[0]
            elements = value if isinstance(value, tuple | list) else (value,)
            if kind is str:
                elements = [word for element in elements for word in _words(element)]
            values[item.name] = tuple(_scalar(name, kind, element) for element in elements)
        else:
            values[item.name] = _scalar(name, hint, value)
    return type(node)(**values)


def _scalar(name: str, kind: type, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    require(type(value) is kind, name, value, f"must be of type {kind.__name__}")
    if kind is float:
        require(math.isfinite(value), name, value, "must be finite")
    return value


def _words(element: Any) -> list[Any]:
    return [word.strip() for word in element.split(",")] if isinstance(element, str) else [element]
