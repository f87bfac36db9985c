"""How an experiment is cut into parts that are trained on their own: by its static axes, then into shards.

What changes shapes or the arithmetic of a step cannot be traced, so each combination of values of the static axes
is a part. Runs do not talk to each other, so those of a part can be shared out among any number of machines. A part
is an experiment like any other, and may be cut again. Pure: no jax, no disk.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable
from typing import Any

from collapse_jax.errors import ConfigError, ConfigErrors, Wrong, require
from collapse_jax.experiment.axes import placed, static_axes
from collapse_jax.experiment.choices import MLP, filled
from collapse_jax.experiment.config import Experiment, Grid
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.experiment.growth import new_runs
from collapse_jax.experiment.points import describe_point, file_name

AXES, SHARDS, GROWTH = "axes", "shards", "growth"
BEGINNING = ".."  # the part of a grown sweep that it was before: it stays where it is


@dataclasses.dataclass(frozen=True)
class Cut:
    """How a node of a workdir is cut.

    Attributes:
      by: "axes" (the static ones), "shards" or "growth".
      count: number of shards.
      stages: of a sweep that has grown: its grids before, the first being that of its beginning.
    """

    by: str
    count: int = 0
    stages: tuple[Grid, ...] = ()

    def __str__(self) -> str:
        texts = {AXES: "cut by static axes", SHARDS: f"cut into {self.count} shards"}
        return texts.get(self.by, f"extended {len(self.stages)} times")


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of an experiment.

    Attributes:
      name: of its folder.
      text: its name for people.
      point: the values of static axes that it was cut at.
      experiment: what it trains.
    """

    name: str
    text: str
    point: dict[str, Any]
    experiment: Experiment


@dataclasses.dataclass(frozen=True)
class Shard:
    """Shard `index` of `count`, counted from 0: every `count`-th run, beginning with run `index`.

    A stride, not a block, so that sizes differ by at most one and a sample of shards is a sample of every axis.
    """

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def divided(self, index: int, count: int) -> "Shard":
        """Return part `index` of `count` when each of the shards is split again, among processes say."""
        return Shard(self.index * count + index, self.count * count)


WHOLE = Shard(0, 1)


def parse_shard(text: str | None) -> Shard:
    """Read "i/n"; nothing is the whole grid.

    Raises:
      ConfigError: not two whole numbers with 0 <= i < n.
    """
    if not text:
        return WHOLE
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not found or not int(found[1]) < int(found[2]):
        raise ConfigError("--shard", text, "must be i/n with 0 <= i < n, such as 0/4, 1/4, 2/4, 3/4")
    return Shard(int(found[1]), int(found[2]))


def next_cut(experiment: Experiment, shards: int = 1) -> Cut | None:
    """Return how an experiment is to be cut: first by its static axes, then into shards; None for a leaf."""
    if static_axes(experiment.grid):
        return Cut(AXES)
    return Cut(SHARDS, shards) if shards > 1 else None


def parts(experiment: Experiment, cut: Cut) -> list[Part]:
    """Cut an experiment; of static axes the last varies fastest, and shards without a run are left out."""
    if cut.by == GROWTH:
        return _into_stages(experiment, cut.stages)
    return _at_static_axes(experiment) if cut.by == AXES else _into_shards(experiment, cut.count)


def _at_static_axes(experiment: Experiment) -> list[Part]:
    axes, experiment = static_axes(experiment.grid), filled(experiment)
    none: dict[str, Any] = dict.fromkeys(axes, ())
    bare = dataclasses.replace(experiment, grid=dataclasses.replace(experiment.grid, **none))
    found = []
    for index, values in enumerate(itertools.product(*axes.values())):
        point, part = dict(zip(axes, values, strict=True)), bare
        for name, value in point.items():
            part = placed(part, name, value)
        found.append(Part(f"{index}-{file_name(point)}", describe_point(point), point, part))
    return found


def _into_shards(experiment: Experiment, count: int) -> list[Part]:
    """Each shard is a zipped grid that lists its runs."""
    runs = grid_runs(experiment.grid)
    found = []
    for index in range(min(count, len(runs))):
        mine = runs[index::count]
        columns: dict[str, Any] = {name: tuple(run[name] for run in mine) for name in mine[0]}
        part = dataclasses.replace(experiment, grid=Grid(**columns, mode="zip"))
        found.append(Part(f"shard-{index}-of-{count}", f"shard {index}/{count}", {}, part))
    return found


def _into_stages(experiment: Experiment, stages: tuple[Grid, ...]) -> list[Part]:
    """The beginning, and the runs that each stage added, a zipped grid at each point of the static axes."""
    found = [Part(BEGINNING, "the beginning", {}, dataclasses.replace(experiment, grid=stages[0]))]
    for number, (there, grid) in enumerate(itertools.pairwise((*stages, experiment.grid)), 1):
        whole = dataclasses.replace(experiment, grid=grid)
        points = _at_static_axes(whole) if static_axes(grid) else [Part("", "", {}, whole)]
        for part in points:
            if runs := new_runs(there, grid, part.point):
                name, text = (
                    filter(None, (str(number), part.name)),
                    filter(None, (f"extension {number}", part.text)),
                )
                more = dataclasses.replace(part.experiment, grid=runs)
                found.append(Part("-".join(name), ", ".join(text), part.point, more))
    return found


def check_static_axes(experiment: Experiment, check: Callable[[Experiment], Any]) -> None:
    """Check every part of an experiment with static axes.

    Args:
      experiment: typed, its axes checked.
      check: raises `ConfigError` for an experiment that is not allowed.

    Raises:
      ConfigError: parts are not allowed; the first of them is named for each field.
    """
    grid, wrong = experiment.grid, Wrong()
    one_width = not grid.depth or bool(grid.width) or len(set(experiment.model.hidden or MLP.hidden)) == 1
    with wrong.noted():
        require(one_width, "grid.depth", grid.depth, "needs hidden layers of one width in model.hidden")
    for part in parts(experiment, Cut(AXES)):
        point = ", ".join(f"grid.{name}={value}" for name, value in part.point.items())
        with wrong.noted():
            try:
                check(part.experiment)
            except ConfigError as error:
                named = [ConfigError(e.field, e.value, f"{e.allowed} (of the part {point})") for e in error.each]
                raise ConfigErrors(named) from None
    wrong.tell()
