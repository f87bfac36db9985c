"""Shards: a grid cut into disjoint parts that any number of machines train on their own.

Runs do not talk to each other, so a shard is a sweep of its own, with its own workdir, checkpoints and packing:

workdir/shards.json            the whole experiment and the number of shards; the same, whoever writes it
workdir/shard-<i>-of-<n>/      workdir of a shard: a zipped grid that lists its runs

Shards may be trained on machines that never meet; `merge` joins them where their folders are put together.
"""

import dataclasses
import json
import re
from typing import Any

from etils import epath

from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import static_axes
from collapse_jax.experiment.grid import grid_runs, number_of_runs
from collapse_jax.experiment.static_axes import open_programs

RECORD = "shards.json"
FOLDER = re.compile(r"shard-(\d+)-of-(\d+)")


@dataclasses.dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, counted from 0: every `count`-th run of the grid, beginning with run `index`.

    A stride, not a block, so that sizes differ by at most one and a sample of shards is a sample of every axis.
    """

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def runs(self, total: int) -> range:
        """Return which runs of a grid of `total` are in this shard; none where there are more shards than runs."""
        return range(self.index, total, self.count)

    def folder(self, workdir: epath.Path) -> epath.Path:
        """Return the workdir of this shard."""
        return workdir / f"shard-{self.index}-of-{self.count}"

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


def shard_experiment(experiment: config.Experiment, shard: Shard) -> config.Experiment | None:
    """Return the experiment of one shard of a validated experiment, None for an empty shard."""
    runs = grid_runs(experiment.grid)
    mine = [runs[i] for i in shard.runs(len(runs))]
    if not mine:
        return None
    columns: dict[str, Any] = {name: tuple(run[name] for run in mine) for name in mine[0]}
    packing = dataclasses.replace(experiment.packing, devices=min(experiment.packing.devices, len(mine)))
    return dataclasses.replace(experiment, grid=config.Grid(**columns, mode="zip"), packing=packing)


def open_sharded(workdir: epath.Path, experiment: config.Experiment, count: int) -> None:
    """Make a workdir for shards, or make sure that an old one holds shards of this very experiment and split.

    Raises:
      WorkdirError: it holds an unsharded sweep, shards of another experiment or another number of shards.
    """
    from collapse_jax import workdir as store

    if (workdir / store.MANIFEST).exists():
        raise WorkdirError(f"workdir={workdir}: holds a sweep that is not sharded; name another directory")
    if not (workdir / RECORD).exists():
        store.write_record(workdir / RECORD, experiment, count=count)
    there, begun = read_sharded(workdir)
    differing = store.differing_fields(there, experiment)
    if differing:
        raise WorkdirError(f"workdir={workdir}: holds shards of another experiment: {'; '.join(differing)}")
    if begun != count:
        raise WorkdirError(f"workdir={workdir}: begun with {begun} shards, now {count}; continue with {begun}")


def read_sharded(workdir: epath.Path) -> tuple[config.Experiment, int]:
    """Return the whole experiment of a workdir of shards, and the number of shards.

    Raises:
      WorkdirError: there is no record, or it is not whole.
    """
    from collapse_jax import workdir as store

    path = workdir / RECORD
    if not path.exists():
        raise WorkdirError(f"workdir={workdir}: no shards here, {RECORD} is missing")
    with store.reading(path):
        record = json.loads(path.read_text())
        return store.read_experiment(record), int(record["count"])


def folders(workdir: epath.Path) -> list[epath.Path]:
    """Return the workdirs of the shards that were begun, by number."""
    found = [(FOLDER.fullmatch(path.name), path) for path in workdir.iterdir()]
    return [path for _, path in sorted((int(match[1]), path) for match, path in found if match)]


def train_shard(experiment: config.Experiment, workdir: epath.Path, shard: Shard) -> None:
    """Train one shard of an experiment, or continue it; a finished or an empty one is left as it is.

    Raises:
      ConfigError, WorkdirError, StoreError: as `sweep.train`.
    """
    from collapse_jax.engine import sweep
    from collapse_jax.engine.validate import validate
    from collapse_jax.system.progress import say

    experiment = validate(experiment)
    if static_axes(experiment.grid):
        for program in open_programs(workdir, experiment):
            say(f"program {program.name}")
            train_shard(program.experiment, program.folder(workdir), shard)
        return
    open_sharded(workdir, experiment, shard.count)
    part = shard_experiment(experiment, shard)
    if part is None:
        say(f"shard {shard}: no runs, the grid has {number_of_runs(experiment.grid)}")
        return
    say(f"shard {shard}: {number_of_runs(part.grid)} of {number_of_runs(experiment.grid)} runs")
    sweep.train(part, shard.folder(workdir))
