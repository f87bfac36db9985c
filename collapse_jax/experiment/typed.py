"""The fields of a config in their declared types, also from text. Does not import jax."""

import ast
import dataclasses
import math
import typing
import warnings
from typing import Any

from collapse_jax.errors import require

BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def typed(node: Any, prefix: str = "") -> Any:
    """Return a config with every field in its declared type.

    Lists of JSON become tuples, whole numbers floats, and the names in a string "a,b", as the command line gives
    them, the elements of a tuple.

    Raises:
      ConfigError: a value is of another type or not finite.
    """
    values = {}
    for name, hint in typing.get_type_hints(type(node)).items():
        kind, value = required(hint), getattr(node, name)
        if _is_config(kind):
            require(isinstance(value, kind), prefix + name, value, f"must be a {kind.__name__}")
            values[name] = typed(value, f"{prefix}{name}.")
        else:
            values[name] = None if value is None and kind is not hint else _value(prefix + name, kind, value)
    return type(node)(**values)


def _is_config(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def required(hint: Any) -> Any:
    """Return T for T and for `T | None`."""
    kinds = typing.get_args(hint)
    return kinds[0] if type(None) in kinds else hint


def field_types(kind: type, prefix: str = "") -> dict[str, Any]:
    """Map the dotted names of the fields of a config to their types."""
    found: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(kind).items():
        found |= field_types(hint, f"{prefix}{name}.") if _is_config(hint) else {prefix + name: hint}
    return found


def from_text(name: str, hint: Any, text: str) -> Any:
    """Read a value of a type from the command line.

    Strings are taken as they are, and names in a tuple of them may go without quotes: `fit,norms`. Whole numbers
    may be written as 1e5. None is what a `T | None` can be besides.

    Raises:
      ConfigError: the text is no such value.
    """
    kind = required(hint)
    if text == "None" and kind is not hint:
        return None
    if kind is str:
        return text
    if kind is bool:
        return _value(name, bool, BOOLEANS.get(text.lower(), text))
    try:
        with warnings.catch_warnings(action="ignore"):  # "1is" is an old way to write "1 is"
            value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    if int in (kind, *typing.get_args(kind)):
        value = tuple(map(_whole, value)) if isinstance(value, tuple | list) else _whole(value)
    return _value(name, kind, value)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(name: str, kind: Any, value: Any) -> Any:
    if typing.get_origin(kind) is not tuple:
        return _scalar(name, kind, value)
    element = typing.get_args(kind)[0]
    elements = value if isinstance(value, tuple | list) else (value,)
    if element is str:
        elements = [word for each in elements for word in _words(each)]
    return tuple(_scalar(name, element, each) for each in elements)


def _scalar(name: str, kind: type, value: Any) -> Any:
    if kind is float and type(value) is int and abs(value) < 2**1023:
        value = float(value)
    require(type(value) is kind, name, value, f"must be of type {kind.__name__}")
    if kind is float:
        require(math.isfinite(value), name, value, "must be finite")
    return value


def _words(element: Any) -> list[Any]:
    return [word.strip() for word in element.split(",")] if isinstance(element, str) else [element]
