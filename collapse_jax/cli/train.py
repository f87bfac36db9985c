"""The command `train`."""

from typing import Any

from collapse_jax.cli import plot
from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.experiment.cuts import WHOLE, Shard, parse_shard


def run(options: Options) -> None:
    """Train a grid or a shard of it, and draw the figures of the whole."""
    assert options.experiment is not None
    assert options.workdir is not None
    shard = parse_shard(options.flags.shard)
    how = {"extend": options.flags.extend, "track": options.flags.track or None}
    if options.flags.distributed:
        _train_in_job(options, shard, how)
        return
    from collapse_jax.engine.train import train_shard  # imports jax

    train_shard(options.experiment, options.workdir, shard, **how)
    if options.flags.figures and shard == WHOLE:
        plot.draw(options.workdir, {}, trust=True)


def _train_in_job(options: Options, asked: Shard, how: dict[str, Any]) -> None:
    """Train the share of this process; the first merges all shares when they are done."""
    assert options.experiment is not None
    assert options.workdir is not None
    # These import jax.
    from collapse_jax.engine.train import begin, train_shard
    from collapse_jax.system import processes
    from collapse_jax.workdir.results import merge

    begin(options.experiment, options.workdir, extend=how["extend"])
    shard = asked.divided(*processes.start())
    with processes.ending_together() as stop:
        train_shard(options.experiment, options.workdir, shard, **how)
        if processes.wait_for_all(stop) and asked == WHOLE:
            print(merge(options.workdir))


COMMAND = Command(
    run,
    "train a grid as one program, or continue it",
    "--config=configs/quickstart.py --workdir=runs/quickstart",
    needs_config=True,
    flags={
        "figures": Flag("draw the figures when the training is done", True, bool),
        "shard": Flag("only part i/n of the grid, 0 <= i < n"),
        "extend": Flag("let the sweep in the workdir grow into this experiment", False, bool),
        "track": Flag("tensorboard, wandb, mlflow or trackio: a record of each run; none"),
        "distributed": Flag("one of several processes of a job", False, bool),
    },
)
