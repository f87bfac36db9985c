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

from collapse_jax import config, identity
from collapse_jax.errors import ConfigError, WorkdirError

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


def static_axes(grid: config.Grid) -> dict[str, tuple]:
    """Return the static axes that have values."""
    return {name: getattr(grid, name) for name in config.STATIC_AXES if getattr(grid, name)}


def axes_of(results: Any) -> list[str]:
    """Return the static axes that are dimensions of results."""
    return [name for name in config.STATIC_AXES if name in results.dims]


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
            changed = _SET[name](changed, value)
        programs.append(Program(f"{index}-{file_name(point)}", point, changed))
    return programs


def _set_task(field: str) -> Callable[[config.Experiment, Any], config.Experiment]:
    return lambda e, value: dataclasses.replace(e, task=dataclasses.replace(e.task, **{field: value}))


def _set_model(field: str) -> Callable[[config.Experiment, Any], config.Experiment]:
    return lambda e, value: dataclasses.replace(e, model=dataclasses.replace(e.model, **{field: value}))


def _set_width(e: config.Experiment, value: int) -> config.Experiment:
    if e.model.name == "mlp":
        return _set_model("hidden")(e, (value,) * len(e.model.hidden))
    return _set_model("width")(e, value)


def _set_depth(e: config.Experiment, value: int) -> config.Experiment:
    if e.model.name == "mlp":
        return _set_model("hidden")(e, e.model.hidden[-1:] * value)
    return _set_model("depth")(e, value)


def _set_optimizer(e: config.Experiment, value: str) -> config.Experiment:
    batch_size = 0 if value == "gd" else e.batch_size
    return dataclasses.replace(e, batch_size=batch_size, optimizer=dataclasses.replace(e.optimizer, name=value))


# In the order of `config.STATIC_AXES`: width and depth come after the model.
_SET: Mapping[str, Callable[[config.Experiment, Any], config.Experiment]] = {
    "dataset": _set_task("dataset"),
    "train_size": _set_task("train_size"),
    "label_noise": _set_task("label_noise"),
    "model": _set_model("name"),
    "width": _set_width,
    "depth": _set_depth,
    "norm": _set_model("norm"),
    "optimizer": _set_optimizer,
    "loss": lambda e, value: dataclasses.replace(e, loss=value),
}


def check_static_axes(experiment: config.Experiment, check: Callable[[config.Experiment], Any]) -> None:
    """Check every program of an experiment.

    Args:
      experiment: with static axes, and typed.
      check: raises `ConfigError` for an experiment that is not allowed.

    Raises:
      ConfigError: an axis has a value twice, or a program is not allowed; it names both.
    """
    for name, values in static_axes(experiment.grid).items():
        if len(set(values)) < len(values):
            raise ConfigError(f"grid.{name}", values, "a value stands in it twice")
        if name in ("width", "depth") and min(values) < 1:
            raise ConfigError(f"grid.{name}", values, "must be >= 1")
    if experiment.grid.depth and not experiment.grid.width and len(set(experiment.model.hidden)) > 1:
        raise ConfigError("grid.depth", experiment.grid.depth, "needs hidden layers of one width in model.hidden")
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
    from collapse_jax import store
    from collapse_jax.store.files import remove_left_overs

    if (workdir / store.MANIFEST).exists():
        raise WorkdirError(f"workdir={workdir}: holds a sweep without static axes; name another directory")
    if (workdir / RECORD).exists():
        differing = store.differing_fields(read_programs(workdir), experiment)
        if differing:
            raise WorkdirError(f"workdir={workdir}: belongs to another experiment: {'; '.join(differing)}")
    elif workdir.exists():
        remove_left_overs(workdir)
        if any(workdir.iterdir()):
            raise WorkdirError(f"workdir={workdir}: holds files but no {RECORD}; name an empty or new directory")
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        with store.replacing(workdir / RECORD) as path:
            record = {"experiment": store.describe(experiment), "fingerprint": identity.fingerprint(experiment)}
            path.write_text(json.dumps(record, indent=1) + "\n")
    except OSError as error:
        raise WorkdirError(f"workdir={workdir}: cannot be written: {error.strerror or error}") from None
    return programs_of(experiment)


def has_programs(workdir: epath.Path) -> bool:
    """Whether a workdir is that of a grid with static axes."""
    return (workdir / RECORD).exists()


def read_programs(workdir: epath.Path) -> config.Experiment:
    """Return the whole experiment of a workdir of programs.

    Raises:
      WorkdirError: the record is not whole.
    """
    from collapse_jax import store

    try:
        return store.read_experiment(json.loads((workdir / RECORD).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise WorkdirError(f"workdir={workdir}: {RECORD} is damaged") from None


def program_folders(workdir: epath.Path) -> list[tuple[Program, epath.Path]]:
    """Return the programs of a workdir that were begun, and their folders; [] where there are none.

    Raises:
      WorkdirError: the record is not whole.
    """
    if not has_programs(workdir):
        return []
    programs = [(program, program.folder(workdir)) for program in programs_of(read_programs(workdir))]
    return [(program, folder) for program, folder in programs if folder.is_dir()]
