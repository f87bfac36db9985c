"""What it costs to let a sweep grow: CPU seconds per new run-step, against the sweep done in one go.

Command: python -m benchmarks.growth            (minutes on 2 cores)
         python -m benchmarks.growth --tiny     (seconds)

The main network, 4 runs. Grown are the steps (twice as many) and the runs (twice as many), each against the whole
from the beginning, in turn. Starting and compiling are counted, once for each call.
"""

import argparse
import dataclasses
import pathlib
import tempfile
import time

from benchmarks import machine
from benchmarks.interleave import interleave

SEEDS = (42, 43, 44, 45)
MORE = (46, 47, 48, 49)


def main() -> None:
    """Measure, print, and write benchmarks/results/growth.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a few steps, one round")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warm_up", type=int, default=1, help="rounds that do not count")
    parser.add_argument("--steps", type=int, default=4000, help="of the sweep that grows")
    arguments = parser.parse_args()
    steps, repeats = (20, 1) if arguments.tiny else (arguments.steps, arguments.repeats)
    from collapse_jax.system import runtime

    runtime.start(training=True)
    import collapse_jax
    from benchmarks.engine import main_experiment

    base = main_experiment(steps=steps, checkpoint_seconds=1e6)
    grid = dataclasses.replace(base.grid, weight_decay=(0.1,), seed=SEEDS)
    small = dataclasses.replace(base, grid=grid)
    longer = dataclasses.replace(small, steps=2 * steps)
    wider = dataclasses.replace(small, grid=dataclasses.replace(grid, seed=SEEDS + MORE))
    with tempfile.TemporaryDirectory() as folder:
        count = iter(range(10_000))

        def train(whole, begun=None):
            workdir = pathlib.Path(folder) / str(next(count))
            if begun:
                collapse_jax.train(begun, workdir)
            began = time.process_time()
            collapse_jax.train(whole, workdir, extend=bool(begun))
            return time.process_time() - began

        ways = {
            "in one go": lambda: train(longer),
            "twice the steps, --extend": lambda: train(longer, small),
            "twice the runs, --extend": lambda: train(wider, small),
        }
        new = {"in one go": 2 * steps * len(SEEDS)} | dict.fromkeys([*ways][1:], steps * len(SEEDS))
        compared = interleave(ways, repeats, new, warm_up=arguments.warm_up)
    print(compared.table("CPU time of a new run-step"))
    if not arguments.tiny:
        print(machine.write("growth", {"steps": steps, **compared.record()}))


if __name__ == "__main__":
    main()
