"""Draws the figures of a sweep, as far as its results allow."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import xarray as xr
from etils import epath
from matplotlib.figure import Figure

from collapse_jax.analysis import Thresholds
from collapse_jax.analysis.events import own_thresholds
from collapse_jax.errors import CollapseError, ConfigError, StoreError, WorkdirError, require, unknown
from collapse_jax.experiment.points import file_name
from collapse_jax.experiment.thresholds import with_levels
from collapse_jax.figures import registry
from collapse_jax.figures.style import NotDrawableError, save
from collapse_jax.system.paths import path_of
from collapse_jax.system.progress import say
from collapse_jax.workdir.join import all_points, select_part
from collapse_jax.workdir.record import RECORD
from collapse_jax.workdir.results import open_results
from collapse_jax.workdir.tree import leaves


def plot(
    workdir: str | os.PathLike[str],
    thresholds: Mapping[str, float] | None = None,
    *,
    names: str | Sequence[str] = (),
    trust: bool = False,
) -> list[epath.Path]:
    """Draw every figure that the results of a sweep allow, as PNG and PDF, into `figures/` of its workdir.

    Example:
      >>> collapse_jax.plot("runs/mnist_mlp")  # doctest: +SKIP
      >>> collapse_jax.plot("runs/mnist_mlp", names=["phases", "timescales"])  # doctest: +SKIP

    Args:
      workdir: directory of the sweep, finished or not.
      thresholds: levels of time scales in place of the sweep's own, such as {"rnc1": 0.02}.
      names: figures of `FIGURES`, one or several; () stands for all of them.
      trust: run the files of a model or task of one's own that the workdir names; a figure of recomputed features
        needs them, all others run nothing.

    Returns:
      The files. Of figures that are named, a line says why one cannot be drawn; of all, one line which cannot.

    Raises:
      ConfigError: a level is not allowed, or there is no such figure.
      WorkdirError: there are no results, or they are damaged.
      StoreError: a file cannot be written.
    """
    names = [names] if isinstance(names, str) else names
    for name in names:
        require(name in registry.FIGURES, "figures", name, unknown("figure", name, registry.FIGURES))
    folder = path_of("workdir", workdir)
    results = open_results(folder)
    levels = with_levels(own_thresholds(results), thresholds or {})
    if folder.is_file():
        raise WorkdirError(f"workdir={workdir}: figures are drawn into a directory, and this is a file")
    return draw(results, levels, folder / "figures", folder, names=names, trust=trust)


def draw(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    directory: str | os.PathLike[str] = ".",
    workdir: str | os.PathLike[str] | None = None,
    *,
    names: Sequence[str] = (),
    trust: bool = False,
) -> list[epath.Path]:
    """Draws every figure that the results allow, as PNG and PDF.

    A figure whose data are missing is left out: of figures that are named, a line says why; of all, one line which.

    Args:
      results: of the sweep.
      thresholds: of the events; None: the results' own.
      directory: where the files go; those of each program of static axes into a folder of its name.
      workdir: of the sweep, for the figures that need its snapshots; None leaves them out.
      names: figures of `FIGURES`; () stands for all of them.
      trust: run the files that the workdir names; see `plot`.

    Returns:
      The files written: `<directory>/<name>.png` and `.pdf`.
    """
    written: list[epath.Path] = []
    missing: dict[str, CollapseError] = {}
    for name, figure in figures(results, thresholds, workdir, names=names, trust=trust):
        if isinstance(figure, CollapseError):
            missing[name] = figure
        else:
            written += save(figure, path_of("directory", directory) / name)
    if names:
        for name, reason in missing.items():
            say(f"figure {name} cannot be drawn: {reason}")
    elif missing:
        kinds = ", ".join(dict.fromkeys(name.rpartition("/")[2] for name in missing))
        say(f"figures for which these results have no data: {kinds}; plot --figures=NAME says what one needs")
    return written


def figures(
    results: xr.Dataset,
    thresholds: Thresholds | None = None,
    workdir: str | os.PathLike[str] | None = None,
    *,
    names: Sequence[str] = (),
    trust: bool = False,
) -> Iterator[tuple[str, Figure | CollapseError]]:
    """Draws figure after figure; the arguments are those of `draw`.

    Yields:
      the name of each, "<program>/<name>" for those of one program of static axes, and the figure or why it cannot
      be drawn.
    """
    points = list(all_points(results))
    drawings: dict[str, Callable[[], Figure]] = {
        name: functools.partial(drawing, results, thresholds)
        for name, drawing in registry.figures_of("programs" if points else "results")
    }
    if workdir is not None and not points:
        own = registry.figures_of("workdir")
        drawings |= {name: functools.partial(drawing, workdir, trust=trust) for name, drawing in own}
    for name, drawing in drawings.items():
        if names and name not in names:
            continue
        try:
            yield name, drawing()
        except (NotDrawableError, ConfigError, StoreError, WorkdirError) as reason:
            yield name, reason
    # A part that was cut into shards has no snapshots in one place, and results alone have none.
    root = path_of("workdir", workdir) if workdir else None
    begun = leaves(root) if root and points and (root / RECORD).exists() else []
    folders = {file_name(leaf.point): None if leaf.experiment.grid.mode == "zip" else leaf.path for leaf in begun}
    for point in points:
        part, folder = select_part(results, point), file_name(point)
        if len(part.data_vars) > 1:  # it has begun
            for name, figure in figures(part, thresholds, folders.get(folder), names=names, trust=trust):
                yield f"{folder}/{name}", figure
