"""What a tracking library costs: CPU seconds to tell it six runs of the main experiment, beside their training.

Command: python -m benchmarks.tracking, with the extras tensorboard, wandb, mlflow and trackio

The results of a finished sweep are told in the pace of `engine.records`, at a clock that goes on by the time of a
log interval from one log point to the next, and by the true time while something is told; without a network. The
libraries take turns, each time in a process and a folder of their own. CPU seconds are those of all threads and of
the processes that the library starts; importing the library is among them. By the clock, a sweep waits for what is
not told at log points, where the devices work meanwhile.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from etils import epath

from benchmarks import machine
from collapse_jax.tracking import TRACKERS

RESULTS = machine.ROOT / "docs" / "mnist_mlp" / "results.nc"
RUNS = 6
SECONDS = RUNS * 100_000 * 0.67 * 3600 / 3e6  # of their training on two cores: docs/performance.md
CPU_SECONDS = 2 * SECONDS
PARTS = ("import", "begin", "tell", "end")
WAITS = ("import", "begin", "end")  # the devices work while something is told at log points


def now() -> np.ndarray:
    """Return the CPU time of this process and of those that it has waited for, and that of the clock: seconds."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([sum(used.ru_utime + used.ru_stime for used in both), time.perf_counter()])


class Pace:
    """A clock for `engine.records`: stands still but while something is told, and is moved from outside."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        """Return seconds."""
        return time.perf_counter() + self.ahead


def tell(library: str) -> dict[str, list[float]]:
    """Tell a library the whole sweep; return seconds, of the CPU and of the clock, for each of `PARTS`."""
    from collapse_jax import open_results
    from collapse_jax.engine import records
    from collapse_jax.tracking import find_tracker
    from collapse_jax.workdir.record import read_experiment

    results = open_results(RESULTS)
    experiment = read_experiment({"experiment": json.loads(results.attrs["experiment"])})
    runs = records.runs_of(epath.Path(os.getcwd()), experiment, experiment, {})[:RUNS]
    names = [name for name, variable in results.items() if variable.dims[-1:] == ("step",)]
    values = {name: results[name].values.reshape(30, -1)[:RUNS] for name in names}
    variables = dict.fromkeys(names)
    ends = {name: np.full(len(runs), -1) for name in ("diverged", "retired")}
    steps, took, last = results["step"].values, [], now()

    def lap() -> None:
        nonlocal last
        took.append(now() - last)
        last = now()

    make = find_tracker(library)
    lap()
    told = records.Records(make, runs)
    lap()
    records.time = pace = Pace()
    for step, before in zip(steps.tolist(), [0, *steps.tolist()], strict=False):
        pace.ahead += SECONDS * (step - before) / steps[-1]
        told.tell(step, steps, values, variables, ends)
    lap()
    told.close(False, int(steps[-1]), steps, values, variables, ends)
    if library == "wandb":
        import wandb

        wandb.teardown()
    lap()
    assert len(told.trackers) == RUNS, "a record was left alone"
    return {part: list(both) for part, both in zip(PARTS, took, strict=True)}


def measure(library: str) -> dict[str, list[float]]:
    """Do it in a process and a folder of its own."""
    path = os.pathsep.join([str(machine.ROOT), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        local = {"WANDB_MODE": "offline", "WANDB_DIR": folder, "TRACKIO_DIR": f"{folder}/trackio"}
        local |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-m", "benchmarks.tracking", f"--library={library}"]
        environment = os.environ | local | {"PYTHONPATH": path}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library")
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.library:
        print(json.dumps(tell(arguments.library)))
        return
    found: dict[str, list[dict[str, list[float]]]] = {library: [] for library in TRACKERS}
    for _, library in itertools.product(range(arguments.times), TRACKERS):
        found[library].append(measure(library))
    for library, times in found.items():
        for column, (what, whole, shared) in enumerate((("CPU s", CPU_SECONDS, PARTS), ("s", SECONDS, WAITS))):
            parts = {part: [one[part][column] for one in times] for part in PARTS}
            sums = [sum(parts[part][i] for part in shared) for i in range(len(times))]
            text = "  ".join(f"{part} {statistics.median(values):.2f}" for part, values in parts.items())
            share = [f"{sum_ / whole:.2%}" for sum_ in (statistics.median(sums), min(sums), max(sums))]
            print(f"{library:12}{what:>6}  {text}  of the training {share[0]} ({share[1]} to {share[2]})")


if __name__ == "__main__":
    main()
