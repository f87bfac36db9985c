"""A user's own measure: a plain function in a file, `my_measures.py:participation_ratio`."""

import functools
import inspect
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax

from collapse_jax.errors import ConfigError, require, unknown
from collapse_jax.experiment.axes import AXES
from collapse_jax.experiment.extensions import file_of, load_file, told
from collapse_jax.measures.base import Measure, Scalars
from collapse_jax.measures.precision import at_least_float32

NAMELESS = "own"  # a lambda
COORDINATES = {"step", "run", "diverged_at", "retired_at", *AXES}


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
        for key in found.variables:
            _name(name, key)
        return found
    if not callable(found):
        defined = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise ConfigError("measures", where, unknown(f"function in {file_of('measures', where)}", name, defined))
    return from_function(found, name)


def from_function(function: Callable[..., Any], name: str = "") -> Measure:
    """Make a measure of a plain function; what it returns is described when it is known (`labels.described`)."""
    name = name or getattr(function, "__name__", type(function).__name__)
    name = name if name.isidentifier() else NAMELESS
    code = getattr(inspect.unwrap(function), "__code__", None)
    file = pathlib.Path(code.co_filename) if code else None

    @functools.wraps(function)
    def measured(*snapshot: Any, **options: Any) -> Scalars:
        try:
            values = function(*snapshot, **options)
        except Exception as error:
            raise ConfigError("measures", name, told(error, file)) from None
        values = values if isinstance(values, Mapping) else {name: values}
        return {_name(name, key): _array(name, key, value) for key, value in values.items()}

    return Measure(name, measured, variables={}, needs=())


def _name(measure: str, key: Any) -> str:
    """Make sure that a variable has a name that a file of results can hold beside its coordinates."""
    allowed = f"returned a variable {key!r}; names are letters, digits and _, and not those of coordinates"
    ok = isinstance(key, str) and re.fullmatch(r"[A-Za-z_]\w*", key) is not None and key not in COORDINATES
    require(ok, "measures", measure, allowed)
    return key


def _array(measure: str, key: str, value: Any) -> jax.Array:
    allowed = f"returned {key}={type(value).__name__}; it must return real numbers or a dict of real numbers"
    try:
        array = at_least_float32(value)
    except (TypeError, ValueError):
        raise ConfigError("measures", measure, allowed) from None
    require(array.dtype.kind == "f", "measures", measure, f"{allowed}, not {array.dtype}")
    return array
