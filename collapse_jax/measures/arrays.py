"""Measures for plain arrays, from any framework."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from collapse_jax.measures.array_inputs import read_snapshot
from collapse_jax.measures.base import Measure
from collapse_jax.measures.registry import closest, get_measure


def measure_arrays(
    measures: str | Callable[..., Any] | Sequence[str | Callable[..., Any]],
    *,
    train_features: Any,
    train_labels: Any,
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

    Arrays are what `numpy.asarray` reads: numpy, jax, detached CPU tensors of torch, nested lists. They are
    measured in float32 (float64 under `jax_enable_x64`). nan features give nan values, not an error.

        values = measure_arrays("collapse", train_features=features, train_labels=labels)
        values["rnc1"]

    Args:
      measures: names of measures, such as `["collapse", "fit"]`, or one name; `MEASURES` holds them all. A measure
        of your own is a function of a `Snapshot`, or "FILE.py:FUNCTION".
      train_features: [N, D] penultimate representation of the train examples, one row each.
      train_labels: [N] integer classes, 0 to K-1. K is the number of columns of `head_kernel` when that is
        given, else the largest label of both sets plus one.
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
      ValueError: one line that names the argument, its value and what is allowed.
    """
    names = [measures] if isinstance(measures, str) or callable(measures) else list(measures)
    if not names:
        raise ValueError("measures: empty; name at least one measure")
    chosen = [get_measure(name) for name in names]
    accepted = _check_options(chosen, options)
    snapshot = read_snapshot(
        train_features=train_features,
        train_labels=train_labels,
        test_features=test_features,
        test_labels=test_labels,
        head_kernel=head_kernel,
        head_bias=head_bias,
        inputs=inputs,
        train_layers=train_layers,
        test_layers=test_layers,
        ood_features=ood_features,
    )
    if options.get("codes") == "autoencoder":
        # What trains a network is imported by those who need it.
        from collapse_jax.measures.estimators.input_codes import add_codes

        snapshot = add_codes(snapshot)
    result: dict[str, Any] = {}
    for measure, takes in zip(chosen, accepted, strict=True):
        own = {name: _frozen(value) for name, value in options.items() if name in takes}
        static = [name for name, value in own.items() if _is_hashable(value)]
        values = jax.jit(measure.function, static_argnames=static)(snapshot, **own)
        if not values:
            given = {
                "test_features": test_features,
                "head_kernel": head_kernel,
                "inputs": inputs,
                "train_layers": train_layers,
                "ood_features": ood_features,
            }
            held = ["train_features", *(name for name, value in given.items() if value is not None)]
            raise ValueError(
                f"measures: {measure.name!r} has nothing to measure in {', '.join(held)}; "
                f"its variables: {', '.join(measure.variables)}"
            )
        ordered = [name for name in measure.variables if name in values] or list(values)
        result |= {name: _as_number(values[name]) for name in ordered}
    return result


def _check_options(measures: list[Measure], options: dict[str, Any]) -> list[set[str]]:
    """The options that each measure takes; ValueError for one that none takes, or that one lacks."""
    accepted = []
    for measure in measures:
        parameters = list(inspect.signature(measure.function).parameters.values())[1:]
        accepted.append({parameter.name for parameter in parameters})
        for parameter in parameters:
            if parameter.default is inspect.Parameter.empty and parameter.name not in options:
                raise ValueError(f"{parameter.name}: missing; the measure {measure.name!r} needs this option")
    known = sorted(set().union(*accepted))
    for name in options:
        if name not in known:
            allowed = f"options: {', '.join(known)}" if known else "these measures take no options"
            raise ValueError(f"{name}: no such argument or option{closest(name, known)}; {allowed}")
    return accepted


def _as_number(value: jax.Array) -> Any:
    return float(value) if value.ndim == 0 else np.asarray(value)


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that a list of class pairs is a constant too."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def _is_hashable(value: Any) -> bool:
    """Whether jit may treat an option as a constant; arrays are traced instead."""
    try:
        hash(value)
    except TypeError:
        return False
    return True
