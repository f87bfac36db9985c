"""Permutation nulls in figures: their mean and spread, and which values they explain."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from collapse_jax.analysis.groups import carried
from collapse_jax.analysis.nulls import LEVEL, holm, null_name
from collapse_jax.figures import series as lines
from collapse_jax.figures.series import Series


def null_of(group: Series, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """[T] mean over the runs of a variable's null, and the standard deviation of one permutation of one run.

    The second is nan in results with a null of one permutation; None for those without a null.
    """
    mean_name, spread_name = (null_name(group.runs[name], kind) for kind in ("null", "null_sd"))
    if mean_name not in group.runs:
        return None
    mean, _, _ = lines.mean_and_range(np.atleast_2d(carried(group.runs, mean_name).values), False)
    if spread_name not in group.runs:
        return mean, np.full_like(mean, np.nan)
    variance, _, _ = lines.mean_and_range(np.atleast_2d(carried(group.runs, spread_name).values) ** 2, False)
    return mean, np.sqrt(variance)


def explained_name(name: str) -> str:
    """Name the variable that says which values of another its null explains."""
    return f"{name}_in_null"


def with_verdicts(results: xr.Dataset, names: Sequence[str]) -> tuple[xr.Dataset, int]:
    """Add which values of the variables are in the range of their null, and count the p-values.

    In the range: p-value above 5 % after Holm's correction for all values of all of the variables.
    """
    chances = {name: results[p] for name in names if (p := null_name(results[name], "p")) in results}
    if not chances:
        return results, 0
    flat = np.concatenate([p.values.ravel() for p in chances.values()])
    adjusted = np.split(holm(flat), np.cumsum([p.size for p in chances.values()])[:-1])
    verdicts = {
        explained_name(name): p.copy(data=values.reshape(p.shape) > LEVEL)
        for (name, p), values in zip(chances.items(), adjusted, strict=True)
    }
    return results.assign(verdicts), int(np.isfinite(flat).sum())
