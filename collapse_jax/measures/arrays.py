"""Measures for plain arrays, from any framework."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from collapse_jax.errors import ConfigError, require
from collapse_jax.measures.array_digits import needs_float64
from collapse_jax.measures.array_inputs import plain, read_snapshot
from collapse_jax.measures.base import Measure, Snapshot
from collapse_jax.measures.needs import held, lacking
from collapse_jax.measures.options import complete, refuse_idle, taken
from collapse_jax.measures.registry import get_measure
from collapse_jax.system import runtime

# What to give for a part that a measure needs.
ARGUMENTS = {
    "test": "test_features and test_labels",
    "head": "head_kernel",
    "weights": "head_kernel",
    "layers": "train_layers",
    "ood": "ood_features",
}


def measure_arrays(
    measures: str | Callable[..., Any] | Sequence[str | Callable[..., Any]],
    *,
    train_features: Any,
    train_labels: Any,
    train_true_labels: Any = None,
    test_features: Any = None,
    test_labels: Any = None,
    head_kernel: Any = None,
    head_bias: Any = None,
    inputs: Any = None,
    train_layers: Any = None,
    test_layers: Any = None,
    ood_features: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """Measures features that were computed elsewhere.

    Arrays are what `numpy.asarray` reads (numpy, jax, nested lists) and tensors of torch, of any type. They are
    measured in float32, and in float64 under `jax_enable_x64`, by measures of that `dtype`, and where float32 would
    lose digits: rounding arrays of float64 would add more than 1e-6 to their variance within classes (a common
    offset of 1e4 and a spread of 1e-3, say). nan features give nan values, not an error.

        values = measure_arrays("collapse", train_features=features, train_labels=labels)
        values["rnc1"]

    Args:
      measures: names of measures, such as `["collapse", "fit"]`, or one name; `MEASURES` holds them all. A measure
        of your own is a function of a `Snapshot`, or "FILE.py:FUNCTION".
      train_features: [N, D] penultimate representation of the train examples, one row each.
      train_labels: [N] integer classes, 0 to K-1. K is the number of columns of `head_kernel` when that is
        given, else the largest label of both sets plus one.
      train_true_labels: [N] the classes without wrong labels, where they are known.
      test_features: [N', D] the same for the test examples.
      test_labels: [N'] their classes.
      head_kernel: [D, K] kernel of the last layer; logits are `features @ head_kernel + head_bias`.
        (torch keeps the transpose: pass `linear.weight.T`.)
      head_bias: [K] bias of the last layer.
      inputs: [N, ...] the train examples themselves, row i belonging to row i of `train_features`; for
        `codes="autoencoder"` images, on which it is trained (minutes, once: see `input_codes`).
      train_layers: outputs of the hidden layers for the train examples, a list of arrays [N, ...], first layer
        first, `train_features` last.
      test_layers: the same for the test examples.
      ood_features: [M, D] features of examples from outside the distribution.
      **options: keyword options of the measures, each passed to those that take it, such as `loss` of "fit".

    Returns:
      Every variable that the arrays allow: floats, and numpy arrays where `Variable.dims` names axes.

    Raises:
      ValueError: one line that names the argument, its value and what is allowed; for measures and their options
        it is a `ConfigError`.
    """
    runtime.start()
    names = [measures] if isinstance(measures, str) or callable(measures) else list(measures)
    require(len(names) > 0, "measures", measures, "name at least one measure")
    chosen = [get_measure(name) for name in names]
    refuse_idle(chosen, options)
    arrays = {
        "train_features": train_features,
        "train_labels": train_labels,
        "train_true_labels": train_true_labels,
        "test_features": test_features,
        "test_labels": test_labels,
        "head_kernel": head_kernel,
        "head_bias": head_bias,
        "inputs": inputs,
        "train_layers": train_layers,
        "test_layers": test_layers,
        "ood_features": ood_features,
    }
    arrays = {
        name: [plain(layer) for layer in value] if isinstance(value, list | tuple) else plain(value)
        for name, value in arrays.items()
    }
    result: dict[str, Any] = {}
    needed = "float64" if needs_float64(arrays) else ""
    for measure in chosen:
        dtype = measure.dtype or needed
        with runtime.floats(dtype) if dtype else contextlib.nullcontext():
            result |= _take(measure, read_snapshot(**arrays), complete(measure, options), arrays)
    return result


def _take(measure: Measure, snapshot: Snapshot, options: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """The values of one measure, in the order in which it describes them."""
    lacks = lacking(measure, held(snapshot), options.get("split"))
    hint = f"give {ARGUMENTS[lacks]}" if lacks in ARGUMENTS else "which arrays do not have; see `measure`"
    needs = f"needs {lacks!r}; {hint}"
    require("parameters" not in measure.needs, "measures", measure.name, needs)
    values = measure_snapshot(measure, snapshot, options)
    if not values:
        given = ", ".join(name for name, value in arrays.items() if value is not None)
        nothing = f"nothing to measure in {given}; its variables: {', '.join(measure.variables)}"
        raise ConfigError("measures", measure.name, needs if lacks else nothing)
    return values


def measure_snapshot(measure: Measure, snapshot: Snapshot, options: Mapping[str, Any]) -> dict[str, Any]:
    """Take one measure, all of its parts, of one snapshot.

    Args:
      measure: which.
      snapshot: what it needs of one run.
      options: the value of each of its options (`complete`).

    Returns:
      The values, in the order in which the measure describes them: floats, and numpy arrays where there are axes.
    """
    if measure.prepare:
        prepared = measure.prepare(snapshot.data_alone(), **taken(measure.prepare, options))
        snapshot = dataclasses.replace(snapshot, prepared=prepared)
    own = taken(measure.function, options)
    static = [name for name, value in own.items() if _is_hashable(value)]
    values: Mapping[str, Any] = jax.jit(measure.function, static_argnames=static)(snapshot, **own)
    if measure.finish and values:
        on_host = {name: np.asarray(value) for name, value in values.items()}
        values = measure.finish(on_host, **taken(measure.finish, options))
    ordered = [name for name in measure.variables if name in values] or list(values)
    return {name: _as_number(values[name]) for name in ordered}


def _as_number(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)


def _is_hashable(value: Any) -> bool:
    """Whether jit may treat an option as a constant; arrays are traced instead."""
    try:
        hash(value)
    except TypeError:
        return False
    return True
