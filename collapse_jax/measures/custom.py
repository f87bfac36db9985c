"""A user's own measure: a plain function in a file, `my_measures.py:participation_ratio`."""

import functools
import inspect
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax

from collapse_jax.errors import ConfigError, unknown
from collapse_jax.experiment.extensions import file_of, load_file, told
from collapse_jax.measures.base import Measure, Scalars
from collapse_jax.measures.precision import at_least_float32


def load_measure(where: str) -> Measure:
    """Read the measure that `where`, "file.py:name", names: a function, or a `Measure`.

    The function is `f(snapshot, **options) -> value or {variable: value}` of one run's `Snapshot`, in jax.numpy; a
    single value is named after the function, and the first line of its docstring is its definition.

    Raises:
      ConfigError: there is no such file or function, or the file raised.
    """
    name = where.rpartition(":")[2]
    module = load_file("measures", where, "FILE.py:FUNCTION")
    found = getattr(module, name, None)
    if isinstance(found, Measure):
        return found
    if not callable(found):
        defined = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise ConfigError("measures", where, unknown(f"function in {file_of('measures', where)}", name, defined))
    return from_function(found, name)


def from_function(function: Callable[..., Any], name: str = "") -> Measure:
    """Make a measure of a plain function; what it returns is described when it is known (`labels.described`)."""
    name = name or getattr(function, "__name__", type(function).__name__)
    code = getattr(inspect.unwrap(function), "__code__", None)
    file = pathlib.Path(code.co_filename) if code else None

    @functools.wraps(function)
    def measured(*snapshot: Any, **options: Any) -> Scalars:
        try:
            values = function(*snapshot, **options)
        except Exception as error:
            raise ConfigError("measures", name, told(error, file)) from None
        values = values if isinstance(values, Mapping) else {name: values}
        return {str(key): _array(name, key, value) for key, value in values.items()}

    return Measure(name, measured, variables={}, needs=())


def _array(measure: str, key: str, value: Any) -> jax.Array:
    try:
        return at_least_float32(value)
    except (TypeError, ValueError):
        allowed = f"returned {key}={type(value).__name__}; it must return numbers or a dict of numbers"
        raise ConfigError("measures", measure, allowed) from None
