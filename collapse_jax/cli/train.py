"""The command `train`."""

from etils import epath

import collapse_jax
from collapse_jax.cli import merge, plot
from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.engine import shards
from collapse_jax.experiment import config
from collapse_jax.system import processes, runtime


def run(options: Options) -> None:
    """Train a grid or a part of it, and draw the figures of the whole."""
    assert options.experiment is not None
    assert options.workdir is not None
    shard, distributed = shards.parse_shard(options.flags.shard), options.flags.distributed
    if shard != shards.WHOLE or distributed:
        _train_part(options.experiment, options.workdir, shard, distributed)
        return
    collapse_jax.train(options.experiment, options.workdir)
    if options.flags.figures:
        plot.run(options)


def _train_part(experiment: config.Experiment, workdir: epath.Path, asked: shards.Shard, distributed: bool) -> None:
    """Train one shard; of several processes the first merges them when all are done."""
    if not distributed:
        shards.train_shard(experiment, workdir, asked)
        return
    runtime.start(experiment.packing.devices)
    shard = processes.start(asked)
    with processes.ending_together():
        shards.train_shard(experiment, workdir, shard)
        if processes.wait_for_all() and asked == shards.WHOLE:
            merge.merge_shards(workdir)


COMMAND = Command(
    run,
    "train a grid as one program, or continue it",
    "--config=configs/quickstart.py --workdir=runs/quickstart",
    needs_config=True,
    flags={
        "figures": Flag("draw the figures when the training is done", True, bool),
        "shard": Flag("only part i/n of the grid, 0 <= i < n"),
        "distributed": Flag("one of several processes of a job", False, bool),
    },
)
