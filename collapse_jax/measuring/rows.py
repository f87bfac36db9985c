"""The runs that live at each snapshot: those that a stop rule has ended before are not measured."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr


def living_at(steps: Iterable[int], runs: int, in_line: xr.Dataset | None) -> dict[int, np.ndarray]:
    """Return which runs live at each step, all of them where the results know of no rule."""
    everything = np.arange(runs)
    retired_at = None if in_line is None else retirement(in_line)
    if retired_at is None:
        return dict.fromkeys(steps, everything)
    return {step: everything[(retired_at < 0) | (retired_at >= step)] for step in steps}


def retirement(results: xr.Dataset) -> np.ndarray | None:
    """[R] last step of each run that retired; None where there is no stop rule."""
    return results["retired_at"].values.reshape(-1) if "retired_at" in results else None


def gathered(parts: Sequence[Any], rows: Sequence[np.ndarray]) -> Any:
    """Stack the rows of the living of several steps: trees [R, ...] -> one tree [U, ...]."""
    return jax.tree.map(
        lambda *leaves: np.concatenate([leaf[own] for leaf, own in zip(leaves, rows, strict=True)]), *parts
    )


def scattered(
    values: Mapping[str, np.ndarray], rows: Sequence[np.ndarray], runs: int
) -> list[dict[str, np.ndarray]]:
    """Invert `gathered`: values [U, ...] -> one {variable: [R, ...]} per step, nan for runs that do not live."""
    ends = np.cumsum([len(own) for own in rows])[:-1]
    columns = {name: np.split(value, ends) for name, value in values.items()}
    return [{name: _of_all(column[i], own, runs) for name, column in columns.items()} for i, own in enumerate(rows)]


def _of_all(values: np.ndarray, rows: np.ndarray, runs: int) -> np.ndarray:
    if len(rows) == runs:
        return values
    whole = np.full((runs, *values.shape[1:]), np.nan, np.result_type(values.dtype, np.float32))
    whole[rows] = values
    return whole
