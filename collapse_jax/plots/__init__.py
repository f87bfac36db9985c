"""Figures: functions `(results, thresholds) -> Figure` in `FIGURES`, `(workdir) -> Figure` in `WORKDIR_FIGURES`."""

import functools
import logging
import os
from collections.abc import Callable, Mapping

import xarray as xr
from etils import epath
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds
from collapse_jax.errors import ConfigError, StoreError, WorkdirError
from collapse_jax.plots.balancedness import balancedness
from collapse_jax.plots.bounds import bounds
from collapse_jax.plots.collapse_time import collapse_time
from collapse_jax.plots.information import information_plane, superfluous
from collapse_jax.plots.phases import phases
from collapse_jax.plots.sandwich import sandwich
from collapse_jax.plots.style import NotDrawableError, save
from collapse_jax.plots.timeline import timeline
from collapse_jax.plots.timescales import timescales
from collapse_jax.plots.violins import violins, workdir_violins

__all__ = ["FIGURES", "WORKDIR_FIGURES", "NotDrawableError", "draw", "save", "violins", "workdir_violins"]

FIGURES: Mapping[str, Callable[..., Figure]] = {
    "phases": phases,
    "timescales": timescales,
    "collapse_time": collapse_time,
    "timeline": timeline,
    "bounds": bounds,
    "balancedness": balancedness,
    "superfluous": superfluous,
    "information_plane": information_plane,
    "sandwich": sandwich,
}

# What results cannot show, because it needs the stored snapshots.
WORKDIR_FIGURES: Mapping[str, Callable[..., Figure]] = {"violins": workdir_violins}

_log = logging.getLogger(__name__)


def draw(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    directory: str | os.PathLike[str] = ".",
    workdir: str | os.PathLike[str] | None = None,
) -> list[epath.Path]:
    """Draws every figure that the results allow, as PNG and PDF.

    A figure whose data are missing is skipped; one line in the log says which and why.

    Args:
      results: of the sweep.
      thresholds: what counts as fitted, grokked and collapsed.
      directory: where the files go.
      workdir: of the sweep, for the figures that need its snapshots; None leaves them out.

    Returns:
      The files written: `<directory>/<name>.png` and `.pdf`.
    """
    written: list[epath.Path] = []
    drawings: dict[str, Callable[[], Figure]] = {
        name: functools.partial(function, results, thresholds) for name, function in FIGURES.items()
    }
    if workdir is not None:
        drawings |= {name: functools.partial(function, workdir) for name, function in WORKDIR_FIGURES.items()}
    for name, drawing in drawings.items():
        try:
            figure = drawing()
        except (NotDrawableError, ConfigError, StoreError, WorkdirError) as reason:
            _log.warning("figure %s skipped: %s", name, reason)
            continue
        written += save(figure, epath.Path(directory) / name)
    return written
