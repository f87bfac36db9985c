"""Levels of train, prune and rewind: the engine against PyTorch loops, one run per process, in every arrangement.

Command: python -m benchmarks.tickets            (a few minutes on 2 quiet cores; needs PyTorch)
         python -m benchmarks.tickets --tiny     (seconds)

The network of configs/lottery_mlp.py. A call is several short levels, so that pruning and rewinding are in it more
often than in an experiment (600 steps a level); ways are called in turn, seconds are per run-step.
"""

import argparse
import dataclasses

from benchmarks import machine
from benchmarks.interleave import interleave
from benchmarks.opponents import running

LEVELS = 3


def main() -> None:
    """Time, print, and write benchmarks/results/tickets.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="few steps")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="of a level")
    arguments = parser.parse_args()
    steps, repeats = (10, 1) if arguments.tiny else (arguments.steps, arguments.repeats)
    from collapse_jax.system import runtime

    runtime.start(training=True)
    import jax

    from benchmarks.engine import Engine, named_experiment, training_only
    from collapse_jax.experiment.training import Levels

    base = training_only(named_experiment("lottery_mlp"))
    seeds = tuple(range(jax.local_device_count()))
    grid = dataclasses.replace(base.grid, learning_rate=(0.01,), seed=seeds)
    training = dataclasses.replace(base.training, levels=Levels(steps), rate=type(base.training.rate)())
    calls = (repeats + 1) * LEVELS * steps + 1
    engine = Engine(dataclasses.replace(base, grid=grid, training=training, steps=calls))
    ours = "collapse_jax"
    ways, work = {ours: lambda: engine.train(LEVELS * steps)}, {ours: LEVELS * steps * len(seeds)}
    with running(("loader", "tensors"), "benchmarks.pytorch_tickets") as opponents:
        for way in opponents:
            name = f"PyTorch {way.name}"
            ways[name] = lambda way=way: way.workers.ask(f"{LEVELS} {steps}")[0]
            work[name] = LEVELS * steps * way.runs
        compared = interleave(ways, repeats, work=work)
    print(compared.table("run-step of levels"))
    if not arguments.tiny:
        print(machine.write("tickets", {"steps": steps, "levels": LEVELS, **compared.record()}))


if __name__ == "__main__":
    main()
