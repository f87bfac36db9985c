"""One sweep through `collapse_jax.train` in a process of its own: seconds of its parts and peak memory as JSON.

Command: python -m benchmarks.whole_sweep --runs=30 --steps=2000 --logs=4 --snapshots=1 --checkpoints=1
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks import machine
from benchmarks.workers import Workers
from collapse_jax.experiment import config
from collapse_jax.system import runtime

RARELY, AT_EVERY_BOUNDARY = 1e9, 1e-9


def measure(**options: int) -> dict[str, Any]:
    """Run this module with some options in a fresh process and return what it reports."""
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with Workers("benchmarks.whole_sweep", arguments) as worker:
        return worker.ready[0]


def experiment_of(runs: int, steps: int, logs: int, snapshots: int, checkpoints: int) -> config.Experiment:
    """Return the main experiment, shortened, with so many evenly spread events besides those of the last step.

    A checkpoint is written at every boundary (`checkpoints=1`) or at the last step alone.
    """
    from benchmarks import engine

    experiment = engine.main_experiment(steps=steps)
    decays, seeds = experiment.grid.weight_decay, -(-runs // len(experiment.grid.weight_decay))
    if runs % len(decays):
        decays, seeds = decays[:1], runs
    experiment.grid = config.Grid(weight_decay=decays, seed=tuple(range(42, 42 + seeds)))
    experiment.log = spread(logs, steps)
    experiment.snapshots.schedule = spread(snapshots - 1, steps)
    if not snapshots:
        experiment.snapshots.content = ()
    experiment.checkpoint_seconds = AT_EVERY_BOUNDARY if checkpoints else RARELY
    return experiment


def spread(events: int, steps: int) -> config.Schedule:
    """Return a schedule of evenly spread steps."""
    return config.Schedule("explicit", at=tuple(steps * (i + 1) // (events + 1) for i in range(max(events, 0))))


def train_alone(experiment: config.Experiment, parts: dict[str, float]) -> None:
    """Call the programs of initial states and of training, and nothing else."""
    from benchmarks import engine

    programs = timed(parts, "compile", engine.Engine)(engine.training_only(experiment))
    timed(parts, "run", programs.train)(experiment.steps)


def timed(parts: dict[str, float], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the seconds of each call of `function` to a part."""

    def wrapper(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            parts[name] = parts.get(name, 0.0) + time.perf_counter() - began

    return wrapper


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--logs", type=int, default=4, help="log points before the last step")
    parser.add_argument("--snapshots", type=int, default=1, help="snapshots, the last step's included; 0: none")
    parser.add_argument("--checkpoints", type=int, default=0, help="1: at every boundary; 0: at the last step")
    parser.add_argument("--alone", type=int, default=0, help="1: train without measures, stores and results")
    options = vars(parser.parse_args())
    alone = options.pop("alone")
    parts: dict[str, float] = {}
    runtime.start()
    from collapse_jax.engine import sweep, train

    train.compile_programs = timed(parts, "compile", train.compile_programs)
    for name in ("run", "close"):
        setattr(sweep.Sweep, name, timed(parts, name, getattr(sweep.Sweep, name)))
    experiment = experiment_of(**options)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        if alone:
            train_alone(experiment, parts)
        else:
            timed(parts, "whole", train.train)(experiment, f"{folder}/sweep")
    boundaries = len({*experiment.log.at, *experiment.snapshots.schedule.at, experiment.steps})
    report = {"seconds": parts, "peak_bytes": machine.peak_memory(), "options": options, "boundaries": boundaries}
    print(json.dumps(report), file=sys.stdout, flush=True)


if __name__ == "__main__":
    main()
