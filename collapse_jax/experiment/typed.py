"""The fields of a config in their declared types, also from text. Does not import jax."""

import ast
import dataclasses
import math
import os
import typing
import warnings
from typing import Annotated, Any

from collapse_jax.errors import Wrong, require

# How messages name the types of values.
WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    Annotated[int, float]: "a number",
    tuple: "a tuple",
    list: "a list",
}
BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def typed(node: Any) -> Any:
    """Return a config with every field in its declared type.

    Lists of JSON, ranges and arrays (numpy's, and of any library whose arrays have `tolist`) become tuples of
    Python's numbers, so that it makes no difference for the identity of a sweep how they were given; whole numbers
    floats, and floats that are whole numbers integers; and the names in a string "a,b", as the command line gives
    them, the elements of a tuple.

    Raises:
      ConfigError: values are of another type or not finite; all of them are named.
    """
    wrong = Wrong()
    found = read(node, wrong)
    wrong.tell()
    return found


def read(node: Any, wrong: Wrong, prefix: str = "") -> Any:
    """Return a config as `typed`, with the defaults in the place of wrong values, which are noted."""
    values = {}
    for name, hint in typing.get_type_hints(type(node), include_extras=True).items():
        kind, value = required(hint), getattr(node, name)
        with wrong.noted():
            if _is_config(kind):
                require(isinstance(value, kind), prefix + name, value, f"must be a {kind.__name__}")
                values[name] = read(value, wrong, f"{prefix}{name}.")
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
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        found |= field_types(hint, f"{prefix}{name}.") if _is_config(hint) else {prefix + name: hint}
    return found


def from_text(name: str, hint: Any, text: str) -> Any:
    """Read a value of a type from the command line; see `literal`.

    Raises:
      ConfigError: the text is no such value.
    """
    kind, value = required(hint), literal(hint, text)
    return None if value is None and kind is not hint else _value(name, kind, value)


def literal(hint: Any, text: str) -> Any:
    """Read text as far as it can be read; what is no value of the type is left to `typed`, to be refused.

    Strings are taken as they are, and names in a tuple of them may go without quotes: `fit,norms`. Whole numbers
    may be written as 1e5. None is what a `T | None` can be besides.
    """
    kind = required(hint)
    if text == "None" and kind is not hint:
        return None
    if kind is str:
        return text
    if kind is bool:
        return BOOLEANS.get(text.lower(), text)
    try:
        with warnings.catch_warnings(action="ignore"):  # "1is" is an old way to write "1 is"
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _value(name: str, kind: Any, value: Any) -> Any:
    value = plain(value)
    if typing.get_origin(kind) is not tuple:
        return _scalar(name, kind, value)
    element = typing.get_args(kind)[0]
    if element is str and isinstance(value, str):
        value = [word.strip() for word in value.split(",")]
    elements = value if isinstance(value, tuple | list | range) else (value,)
    flat = not any(isinstance(plain(each), tuple | list | range) for each in elements)
    require(flat, name, value, f"must be {WORDS[element]} or several, in one dimension")
    return tuple(_scalar(name, element, each) for each in elements)


def plain(value: Any) -> Any:
    """Return an array, or a scalar of one, as Python's lists and numbers."""
    return value.tolist() if callable(getattr(value, "tolist", None)) else value


def _kinds(kind: Any) -> tuple[Any, ...]:
    """Return the types that values may have: for a checker of types `Annotated[int, float]` is a whole number."""
    return typing.get_args(kind) or (kind,)


def _scalar(name: str, kind: Any, value: Any) -> Any:
    value = plain(value)
    if kind is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if kind is float and type(value) is int and abs(value) < 2**1023:
        value = float(value)
    if int in _kinds(kind) and type(value) is float and value.is_integer():
        value = int(value)
    require(type(value) in _kinds(kind), name, value, f"must be {WORDS[kind]}")
    if type(value) is float:
        require(math.isfinite(value), name, value, "must be finite")
    return value
