"""Options of measures, from the command line: text in the type of the option's default."""

import ast
import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import Any

from collapse_jax.errors import ConfigError

MEMORY = 4e9  # bytes of arrays in use, unless the user says otherwise


def split_options(text: str) -> dict[str, str]:
    """Split "k=3,mode=reference" at the commas that begin a new name.

    Raises:
      ConfigError: a part is not NAME=VALUE, or a name stands there twice.
    """
    options: dict[str, str] = {}
    for part in re.split(r",(?=\s*\w+\s*=)", text) if text else []:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name.isidentifier():
            raise ConfigError("--options", text, "must be NAME=VALUE,NAME=VALUE, such as k=3,mode=reference")
        if name in options:
            raise ConfigError("--options", text, f"{name!r} stands there twice")
        options[name] = value
    return options


def allowed_options(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the options of a measure that are not bound, annotations resolved."""
    bound = getattr(function, "keywords", {})
    plain = getattr(function, "func", function)
    parameters = list(inspect.signature(plain).parameters.values())[1:]
    try:
        hints = typing.get_type_hints(inspect.unwrap(plain))
    except Exception:  # a user's annotations may name what is not there
        hints = {}
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {
        p.name: p.replace(annotation=hints.get(p.name, p.empty))
        for p in parameters
        if p.name not in bound and p.kind in named
    }


def read_option(option: inspect.Parameter, value: Any) -> Any:
    """Convert text to the type of an option; other values pass as they are.

    Raises:
      ConfigError: the text is no value of that type.
    """
    if not isinstance(value, str):
        return value
    kinds = _kinds(option)
    for kind in kinds:
        try:
            return _convert(kind, value)
        except (ValueError, SyntaxError):
            continue
    names = " or ".join("none" if kind is type(None) else kind.__name__ for kind in kinds)
    raise ConfigError(f"options.{option.name}", value, f"must be of type {names}")


def _kinds(option: inspect.Parameter) -> list[type]:
    hint, default = option.annotation, option.default
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    hints = typing.get_args(hint) if union else (hint,)
    kinds = [typing.get_origin(each) or each for each in hints if each is not inspect.Parameter.empty]
    known = [kind for kind in kinds if kind in (bool, int, float, tuple, list, type(None), str)]
    if not known and default not in (None, inspect.Parameter.empty):
        known = [type(default)]
    # Without a hint: the first that fits.
    return sorted(known, key=lambda kind: kind is str) or [int, float, type(None), str]


def _convert(kind: type, text: str) -> Any:
    if kind is bool or kind is type(None):
        words = {"none": None} if kind is not bool else {"true": True, "false": False}
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]
    if kind in (tuple, list):
        value = ast.literal_eval(text)
        return tuple(value) if isinstance(value, tuple | list) else (value,)
    return kind(text)
