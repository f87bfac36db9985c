"""Figures: functions `(results, thresholds) -> Figure` in `FIGURES`, `(workdir) -> Figure` in `WORKDIR_FIGURES`."""

import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping

import xarray as xr
from etils import epath
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds
from collapse_jax.errors import CollapseError, ConfigError, StoreError, WorkdirError
from collapse_jax.experiment.points import file_name
from collapse_jax.figures.balancedness import balancedness
from collapse_jax.figures.bounds import bounds
from collapse_jax.figures.collapse_time import collapse_time
from collapse_jax.figures.information import information_plane, superfluous
from collapse_jax.figures.layers import layers
from collapse_jax.figures.phases import phases, programs, variances
from collapse_jax.figures.sandwich import sandwich
from collapse_jax.figures.style import NotDrawableError, save
from collapse_jax.figures.timeline import timeline
from collapse_jax.figures.timescales import timescales
from collapse_jax.figures.violins import violins, workdir_violins
from collapse_jax.system import runtime
from collapse_jax.workdir.join import all_points, select_part
from collapse_jax.workdir.results import open_results, thresholds_of
from collapse_jax.workdir.tree import leaves

__all__ = [
    "FIGURES",
    "WORKDIR_FIGURES",
    "NotDrawableError",
    "draw",
    "figures",
    "plot",
    "save",
    "violins",
    "workdir_violins",
]

FIGURES: Mapping[str, Callable[..., Figure]] = {
    "phases": phases,
    "variances": variances,
    "timescales": timescales,
    "collapse_time": collapse_time,
    "timeline": timeline,
    "bounds": bounds,
    "balancedness": balancedness,
    "superfluous": superfluous,
    "information_plane": information_plane,
    "sandwich": sandwich,
    "layers": layers,
}

# Of static axes: they compare programs; each program then has the other figures in a folder of its own.
PROGRAM_FIGURES: Mapping[str, Callable[..., Figure]] = {"programs": programs}

# What results cannot show, because it needs the stored snapshots.
WORKDIR_FIGURES: Mapping[str, Callable[..., Figure]] = {"violins": workdir_violins}

_log = logging.getLogger(__name__)


def plot(workdir: str | os.PathLike[str]) -> list[epath.Path]:
    """Draw every figure that the results of a sweep allow, as PNG and PDF, into `figures/` of its workdir.

    Example:
      >>> collapse_jax.plot("runs/mnist_mlp")  # doctest: +SKIP

    Args:
      workdir: directory of the sweep, finished or not.

    Returns:
      The files; one line in the log says which figure was left out and why.

    Raises:
      WorkdirError: there are no results, or they are damaged.
      StoreError: a file cannot be written.
    """
    runtime.start()
    folder = epath.Path(workdir)
    results = open_results(folder)
    if folder.is_file():
        raise WorkdirError(f"workdir={workdir}: figures are drawn into a directory, and this is a file")
    return draw(results, thresholds_of(results), folder / "figures", folder)


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
      directory: where the files go; those of each program of static axes into a folder of its name.
      workdir: of the sweep, for the figures that need its snapshots; None leaves them out.

    Returns:
      The files written: `<directory>/<name>.png` and `.pdf`.
    """
    written: list[epath.Path] = []
    for name, figure in figures(results, thresholds, workdir):
        if isinstance(figure, CollapseError):
            _log.warning("figure %s skipped: %s", name, figure)
        else:
            written += save(figure, epath.Path(directory) / name)
    return written


def figures(
    results: xr.Dataset, thresholds: Thresholds | None = None, workdir: str | os.PathLike[str] | None = None
) -> Iterator[tuple[str, Figure | CollapseError]]:
    """Draws figure after figure; the arguments are those of `draw`.

    Yields:
      the name of each, "<program>/<name>" for those of one program of static axes, and the figure or why it cannot
      be drawn.
    """
    points = list(all_points(results))
    drawings: dict[str, Callable[[], Figure]] = {
        name: functools.partial(function, results, thresholds)
        for name, function in (PROGRAM_FIGURES if points else FIGURES).items()
    }
    if workdir is not None and not points:
        drawings |= {name: functools.partial(function, workdir) for name, function in WORKDIR_FIGURES.items()}
    for name, drawing in drawings.items():
        try:
            yield name, drawing()
        except (NotDrawableError, ConfigError, StoreError, WorkdirError) as reason:
            yield name, reason
    # A part that was cut into shards has no snapshots in one place.
    begun = leaves(epath.Path(workdir)) if workdir is not None and points else []
    folders = {file_name(leaf.point): None if leaf.experiment.grid.mode == "zip" else leaf.path for leaf in begun}
    for point in points:
        part, folder = select_part(results, point), file_name(point)
        if len(part.data_vars) > 1:  # it has begun
            for name, figure in figures(part, thresholds, folders.get(folder)):
                yield f"{folder}/{name}", figure
