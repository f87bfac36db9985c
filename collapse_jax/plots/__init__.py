"""Figures: each is a function `(results, thresholds) -> Figure`, registered in `FIGURES`."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds
from collapse_jax.plots.collapse_time import collapse_time
from collapse_jax.plots.information import information_plane, superfluous
from collapse_jax.plots.phases import phases
from collapse_jax.plots.sandwich import sandwich
from collapse_jax.plots.style import NotDrawableError, save
from collapse_jax.plots.timeline import timeline
from collapse_jax.plots.timescales import timescales

__all__ = ["FIGURES", "NotDrawableError", "draw", "save"]

FIGURES: Mapping[str, Callable[..., Figure]] = {
    "phases": phases,
    "timescales": timescales,
    "collapse_time": collapse_time,
    "timeline": timeline,
    "superfluous": superfluous,
    "information_plane": information_plane,
    "sandwich": sandwich,
}

_log = logging.getLogger(__name__)


def draw(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    directory: str | os.PathLike[str] = ".",
) -> list[Path]:
    """Draws every figure that the results allow, as PNG and PDF.

    A figure whose data are missing is skipped; one line in the log says which and why.

    Returns:
      The files written: `<directory>/<name>.png` and `.pdf`.
    """
    written: list[Path] = []
    for name, function in FIGURES.items():
        try:
            figure = function(results, thresholds)
        except NotDrawableError as reason:
            _log.warning("figure %s skipped: %s", name, reason)
            continue
        written += save(figure, Path(directory) / name)
    return written
