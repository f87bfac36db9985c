"""One figure by its name, to look at."""

import os
from collections.abc import Mapping
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from collapse_jax.analysis.events import own_thresholds
from collapse_jax.errors import require, unknown
from collapse_jax.experiment.thresholds import with_levels
from collapse_jax.figures import registry
from collapse_jax.system.paths import path_of
from collapse_jax.workdir.results import open_results


def figure(
    results: xr.Dataset | str | os.PathLike[str],
    name: str,
    thresholds: Mapping[str, float] | None = None,
    **options: Any,
) -> Figure:
    """Draw one figure of a sweep; a notebook shows it, and nothing is written.

    Example:
      >>> collapse_jax.figure("runs/mnist_mlp", "timescales")  # doctest: +SKIP
      >>> results = collapse_jax.open_results("runs/mnist_mlp")  # doctest: +SKIP
      >>> collapse_jax.figure(results.sel(weight_decay=[0.1, 0.01]), "phases")  # doctest: +SKIP
      >>> collapse_jax.figure(results, "accuracy").savefig("accuracy.svg")  # doctest: +SKIP

    Args:
      results: of a sweep, or a part of them; or its workdir, which the figure "violins" needs.
      name: one of `collapse_jax.figures.FIGURES`.
      thresholds: levels of time scales in place of the sweep's own, such as {"rnc1": 0.02}.
      **options: of the figure, such as `colour="learning_rate"` of "accuracy".

    Returns:
      The figure of matplotlib.

    Raises:
      ConfigError: there is no such figure, or a level is not allowed.
      NotDrawableError: the results lack what it needs; the message says what.
      WorkdirError: there are no results, or they are damaged.
    """
    require(name in registry.FIGURES, "figure", name, unknown("figure", name, registry.FIGURES))
    drawing = registry.FIGURES[name]
    if "workdir" in drawing.sources:
        given = isinstance(results, xr.Dataset)
        require(not given, "figure", name, "needs stored snapshots: give the workdir, not its results")
        return drawing(path_of("workdir", results), **options)
    found = results if isinstance(results, xr.Dataset) else open_results(results)
    return drawing(found, with_levels(own_thresholds(found), thresholds or {}), **options)
