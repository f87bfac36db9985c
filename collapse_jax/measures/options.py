"""Options of measures: which a measure takes, their values, and text in the type of the option's default."""

import ast
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from collapse_jax.errors import ConfigError, require, unknown
from collapse_jax.experiment.typed import WORDS
from collapse_jax.measures.base import Measure
from collapse_jax.models.losses import find_loss

# The functions of a measure; each gets those options that it names.
PARTS = ("function", "prepare", "finish", "coords")
LOSS = "loss"


def options_of(measure: Measure) -> dict[str, inspect.Parameter]:
    """Return the options of all functions of a measure that are not bound, annotations resolved."""
    return {
        name: option for part in reversed(PARTS) for name, option in _options_of(getattr(measure, part)).items()
    }


def _options_of(function: Callable[..., Any] | None) -> dict[str, inspect.Parameter]:
    if function is None:
        return {}
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


def refuse_idle(measures: Iterable[Measure], names: Iterable[str]) -> None:
    """Raise `ConfigError` for the first option that none of the measures takes."""
    known = {option for measure in measures for option in options_of(measure)}
    for name in names:
        what = unknown("option", name, known) if known else "these measures take no options"
        require(name in known, "options", name, what)


def complete(measure: Measure, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every option of a measure, of those given (text in the option's type) or by default.

    A function is given as it is, and a loss also by its name.

    Raises:
      ConfigError: an option without a default is not given, or text is no value of its type.
    """
    values, given = {}, dict(given)
    for name, option in options_of(measure).items():
        if name in given and _is_function(option):
            if name == LOSS and isinstance(given[name], str):
                given[name] = find_loss(given[name]).per_example
            allowed = "must be a function" + (", not its name" if isinstance(given[name], str) else "")
            require(callable(given[name]), f"options.{name}", given[name], allowed)
        values[name] = _read(option, given[name]) if name in given else option.default
        missing = f"missing; the measure {measure.name!r} needs a value"
        if values[name] is inspect.Parameter.empty:
            raise ConfigError(f"options.{name}", None, missing)
    return values


def taken(function: Callable[..., Any] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options that a function of a measure names."""
    return {name: value for name, value in options.items() if name in _options_of(function)}


def bind(measure: Measure, options: Mapping[str, Any]) -> Measure:
    """Return the measure with options fixed, in all of its functions that name them."""
    bound: dict[str, Any] = {}
    for part in PARTS:
        function = getattr(measure, part)
        own = taken(function, options)
        bound[part] = functools.partial(function, **own) if own else function
    return dataclasses.replace(measure, **bound)


def require_at_least(name: str, value: int, least: int) -> None:
    """Raise `ConfigError` unless the option `name` is an integer of at least `least`."""
    ok = isinstance(value, int) and value >= least
    require(ok, name, value, f"must be an integer of at least {least}")


def _read(option: inspect.Parameter, value: Any) -> Any:
    """Convert text to the type of an option, lists to tuples; other values pass as they are."""
    if not isinstance(value, str):
        return _frozen(value)
    kinds = _kinds(option)
    for kind in kinds:
        try:
            return _convert(kind, value)
        except (ValueError, SyntaxError):
            continue
    names = " or ".join("none" if kind is type(None) else WORDS[kind] for kind in kinds)
    raise ConfigError(f"options.{option.name}", value, f"must be {names}")


def _is_function(option: inspect.Parameter) -> bool:
    return typing.get_origin(option.annotation) is Callable or callable(option.default)


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that a list of class pairs is a constant of a compiled function too."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def _kinds(option: inspect.Parameter) -> list[type]:
    hint, default = option.annotation, option.default
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    hints = typing.get_args(hint) if union else (hint,)
    kinds = [typing.get_origin(each) or each for each in hints if each is not inspect.Parameter.empty]
    kinds = [tuple if kind is Sequence else kind for kind in kinds]
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
