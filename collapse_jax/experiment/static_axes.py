"""Static axes: a grid cut into programs, each of which trains all hyperparameters in a workdir of its own.

What changes shapes or the arithmetic of a step cannot be traced, so each combination of values is compiled:

workdir/programs.json                 the whole experiment
workdir/programs/<i>-<axis>=<value>/  workdir of a program: a sweep like any other

A program continues, is sharded, measured and verified on its own; `open_results` joins all of them. Imports neither
jax nor the store, so that a grid can be cut before jax starts.
"""

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from etils import epath

from collapse_jax.errors import ConfigError, WorkdirError, require
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import STATIC, placed, static_axes

RECORD = "programs.json"
FOLDER = "programs"


@dataclasses.dataclass(frozen=True)
class Program:
    """One combination of values of the static axes.

    Attributes:
      name: of its folder.
      point: axis -> value.
      experiment: what it trains; has no static axes.
    """

    name: str
    point: dict[str, Any]
    experiment: config.Experiment

    def folder(self, workdir: epath.Path) -> epath.Path:
        """Return the workdir of this program."""
        return workdir / FOLDER / self.name


def axes_of(results: Any) -> list[str]:
    """Return the static axes that are dimensions of results."""
    return [name for name in STATIC if name in results.dims]


def points_of(results: Any) -> list[dict[str, Any]]:
    """Return every combination of values of the static axes of results, the last varying fastest; [] without."""
    axes = {name: results[name].values.tolist() for name in axes_of(results)}
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []


def describe_point(point: Mapping[str, Any]) -> str:
    """Name a program for people."""
    return ", ".join(f"{name}={value}" for name, value in point.items())


def file_name(point: Mapping[str, Any]) -> str:
    """Name a program for a file system."""
    return re.sub(r"[^A-Za-z0-9_.=-]+", "_", describe_point(point))


def programs_of(experiment: config.Experiment) -> list[Program]:
    """Cut an experiment into its programs, the last axis varying fastest; [] without static axes."""
    axes = static_axes(experiment.grid)
    if not axes:
        return []
    none: dict[str, Any] = dict.fromkeys(axes, ())
    bare = dataclasses.replace(experiment.grid, **none)
    programs = []
    for index, values in enumerate(itertools.product(*axes.values())):
        point = dict(zip(axes, values, strict=True))
        changed = dataclasses.replace(experiment, grid=bare)
        for name, value in point.items():
            changed = placed(changed, name, value)
        programs.append(Program(f"{index}-{file_name(point)}", point, changed))
    return programs


def check_static_axes(experiment: config.Experiment, check: Callable[[config.Experiment], Any]) -> None:
    """Check every program of an experiment.

    Args:
      experiment: with static axes, and typed.
      check: raises `ConfigError` for an experiment that is not allowed.

    Raises:
      ConfigError: an axis is not allowed, or a program, which is then named.
    """
    grid = experiment.grid
    one_width = not grid.depth or bool(grid.width) or len(set(experiment.model.hidden)) == 1
    require(one_width, "grid.depth", grid.depth, "needs hidden layers of one width in model.hidden")
    for program in programs_of(experiment):
        try:
            check(program.experiment)
        except ConfigError as error:
            point = ", ".join(f"grid.{name}={value}" for name, value in program.point.items())
            raise ConfigError(error.field, error.value, f"{error.allowed} (of the program {point})") from None


def open_programs(workdir: epath.Path, experiment: config.Experiment) -> list[Program]:
    """Describe a grid with static axes in its workdir, or make sure that an old one has this very experiment.

    Returns:
      Its programs.

    Raises:
      WorkdirError: the workdir holds another sweep, or cannot be written.
    """
    from collapse_jax import workdir as store
    from collapse_jax.system.files import remove_left_overs

    if (workdir / store.MANIFEST).exists():
        raise WorkdirError(f"workdir={workdir}: holds a sweep without static axes; name another directory")
    if (workdir / RECORD).exists():
        differing = store.differing_fields(read_programs(workdir), experiment)
        if differing:
            raise WorkdirError(f"workdir={workdir}: belongs to another experiment: {'; '.join(differing)}")
    elif workdir.exists():
        if not workdir.is_dir():
            raise WorkdirError(f"workdir={workdir}: is a file; name a directory")
        remove_left_overs(workdir)
        if any(workdir.iterdir()):
            raise WorkdirError(f"workdir={workdir}: holds files but no {RECORD}; name an empty or new directory")
    store.write_record(workdir / RECORD, experiment)
    return programs_of(experiment)


def has_programs(workdir: epath.Path) -> bool:
    """Whether a workdir is that of a grid with static axes."""
    return (workdir / RECORD).exists()


def read_programs(workdir: epath.Path) -> config.Experiment:
    """Return the whole experiment of a workdir of programs.

    Raises:
      WorkdirError: the record is not whole.
    """
    from collapse_jax import workdir as store

    with store.reading(workdir / RECORD):
        return store.read_experiment(json.loads((workdir / RECORD).read_text()))


def program_folders(workdir: epath.Path) -> list[tuple[Program, epath.Path]]:
    """Return the programs of a workdir that were begun, and their folders; [] where there are none.

    Raises:
      WorkdirError: the record is not whole.
    """
    if not has_programs(workdir):
        return []
    programs = [(program, program.folder(workdir)) for program in programs_of(read_programs(workdir))]
    return [(program, folder) for program, folder in programs if folder.is_dir()]
