"""What it costs to let a sweep grow: CPU seconds of `--extend`, against what the new run-steps take in one go.

Command: python -m benchmarks.growth            (minutes on 2 cores)
         python -m benchmarks.growth --tiny     (seconds)

The main network, 4 runs. Grown are the steps (twice as many) and the runs (twice as many). What the new run-steps
take in one go is the time of the whole sweep less that of the small one: start and compilation cancel there, and
count where the sweep grows. All log and store at equal distances: schedules that depend on the length would
measure the same steps more often in a small sweep than in a whole one.
"""

import argparse
import dataclasses
import itertools
import pathlib
import shutil
import tempfile
import time

from benchmarks import machine
from benchmarks.interleave import interleave

SEEDS = (42, 43, 44, 45)
MORE = (46, 47, 48, 49)
LOG, SNAPSHOT = 400, 2000  # steps from one to the next


def main() -> None:
    """Measure, print, and write benchmarks/results/growth.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a few steps, one round")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warm_up", type=int, default=1, help="rounds that do not count")
    parser.add_argument("--steps", type=int, default=8000, help="of the sweep that grows")
    arguments = parser.parse_args()
    steps, repeats = (20, 1) if arguments.tiny else (arguments.steps, arguments.repeats)
    from collapse_jax.system import runtime

    runtime.start(training=True)
    import collapse_jax
    from benchmarks.engine import main_experiment
    from collapse_jax.experiment import config

    def experiment(steps, seeds):
        base = main_experiment(steps=steps, checkpoint_seconds=1e6)
        every, rarely = (
            config.Schedule("explicit", at=tuple(range(0, steps, distance))) for distance in (LOG, SNAPSHOT)
        )
        grid = dataclasses.replace(base.grid, weight_decay=(0.1,), seed=seeds)
        snapshots = dataclasses.replace(base.snapshots, schedule=rarely)
        return dataclasses.replace(base, grid=grid, log=every, snapshots=snapshots)

    small, longer, wider = experiment(steps, SEEDS), experiment(2 * steps, SEEDS), experiment(steps, SEEDS + MORE)
    with tempfile.TemporaryDirectory() as folder:
        names = (pathlib.Path(folder) / str(number) for number in itertools.count())

        def train(what, begun=None):
            workdir = next(names)
            if begun:
                shutil.copytree(begun, workdir)
            began = time.process_time()
            collapse_jax.train(what, workdir, extend=bool(begun))
            return time.process_time() - began

        begun = next(names)
        collapse_jax.train(small, begun)
        ways = {
            "small": lambda: train(small),
            "twice the steps": lambda: train(longer),
            "twice the steps, --extend": lambda: train(longer, begun),
            "twice the runs": lambda: train(wider),
            "twice the runs, --extend": lambda: train(wider, begun),
        }
        compared = interleave(ways, repeats, warm_up=arguments.warm_up)
    print(compared.table("CPU time of a sweep", unit="s", scale=1))
    costs = {}
    for way in ("twice the steps", "twice the runs"):
        new, grown = compared[way].median - compared["small"].median, compared[f"{way}, --extend"].median
        costs[way] = {"in_one_go": new, "extend": grown, "ratio": grown / new, "beyond": grown - new}
        print(f"{way}: {grown:.1f} s instead of {new:.1f} s, {grown / new:.3f} times, {grown - new:.1f} s more")
    if not arguments.tiny:
        print(machine.write("growth", {"steps": steps, "costs": costs, **compared.record()}))


if __name__ == "__main__":
    main()
