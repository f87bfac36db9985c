"""How the variables that a measure returned are labelled: description, axes, coordinates."""

import dataclasses
import inspect
from collections.abc import Mapping

from collapse_jax.errors import require
from collapse_jax.measures.base import Measure, Snapshot, Variable


def described(measure: Measure, shapes: Mapping[str, tuple[int, ...]], snapshot: Snapshot) -> dict[str, Variable]:
    """Describe variables as their measure does, else by the first line of its docstring.

    Args:
      measure: with its options bound.
      shapes: of the variables that it returns.
      snapshot: shapes of what it reads.

    Raises:
      ConfigError: a variable has other axes than the measure says.
    """
    function = getattr(measure.function, "func", measure.function)  # options may be bound
    text = (inspect.getdoc(function) or f"returned by {measure.name}").splitlines()[0]
    coords = measure.coords(snapshot) if measure.coords else {}
    result = {}
    for name, shape in shapes.items():
        axes = tuple(f"{name}_{axis}" for axis in range(len(shape)))
        variable = measure.variables.get(name, Variable(name.replace("_", " "), "1", text, axes))
        own = {axis: tuple(coords[axis]) for axis in variable.dims if axis in coords}
        sizes = dict(zip(variable.dims, shape, strict=False)) | {axis: len(values) for axis, values in own.items()}
        fits = tuple(sizes[axis] for axis in variable.dims if axis in sizes) == shape
        allowed = f"{name} has shape {shape}; its axes {variable.dims} and coordinates say otherwise"
        require(fits, "measures", measure.name, allowed)
        result[name] = dataclasses.replace(variable, coords=own)
    return result
