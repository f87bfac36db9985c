"""Points of a grid, axis -> value, in words."""

import pathlib
import re
from collections.abc import Mapping
from typing import Any

from collapse_jax.experiment.axes import symbol


def value_text(value: Any) -> str:
    """Show a hyperparameter: floats by their significant digits, files of arrays by their names, else as it is."""
    if isinstance(value, str):
        return (pathlib.PurePath(value).stem if value.endswith(".npz") else value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def axis_text(name: str) -> str:
    """Show the name of an axis in a sentence: "weight decay"."""
    return name.replace("_", " ")


def point_text(point: Mapping[str, Any]) -> str:
    """Name a run or a setting in a sentence: "weight decay 0.1, seed 42"."""
    return ", ".join(f"{axis_text(name)} {value_text(value)}" for name, value in point.items())


def symbols_text(point: Mapping[str, Any]) -> str:
    """Name it in a legend: "λ = 0.1, η = 0.001"."""
    return ", ".join(f"{symbol(name)} = {value_text(value)}" for name, value in point.items())


def describe_point(point: Mapping[str, Any]) -> str:
    """Name it as a config does: "width=64, optimizer=adamw"."""
    return ", ".join(f"{name}={value}" for name, value in point.items())


def file_name(point: Mapping[str, Any]) -> str:
    """Name it for a file system: "width=64_optimizer=adamw"."""
    return re.sub(r"[^A-Za-z0-9_.=-]+", "_", describe_point(point))
