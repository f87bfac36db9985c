"""Do threads and devices change who groks? 300 seeds of one small task, trained again and again.

nice python -m benchmarks.threads > benchmarks/results/threads.txt

Modular addition mod 23 in full batches of 320 of the 529 pairs, one hidden layer of 128, AdamW at 0.02 and weight
decay 1, 350 steps: about half of the seeds have grokked by then (test accuracy 0.9), the others would later. Each
arm trains all seeds in a process of its own, without the cache of compiled programs:

devices   host devices of jax
cores     on which the process may run
threads   of XLA's pool, which all matrix products share; "set" ones are forced upon it instead of the engine's rule
busy      how many threads of that pool took CPU time while the sweep ran, as /proc counts it
tile      runs per tile

and each is compared with the first:

grokked   seeds that have grokked
flips     seeds that have grokked in one and not in the other
tau       seeds with another tau_grok, flips among them
bits      seeds whose final parameters differ in any bit
norms     largest relative difference of a weight norm at any log step
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from unittest import mock

import numpy as np

import collapse_jax
from collapse_jax.experiment.config import Experiment, Grid, Model, Packing, Schedule, Snapshots, Task, Thresholds
from collapse_jax.system import runtime
from collapse_jax.workdir.trees import TreeStore

STEPS, EVERY, TRAIN = 350, 10, 320
COLUMNS = ("devices", "cores", "threads", "busy", "tile", "grokked", "flips", "tau", "bits", "norms", "seconds")
POOL = "tf_XLAEigen"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train the seeds; `threads` 0 leaves them to the engine."""

    devices: int = 1
    cores: int = 2
    threads: int = 0
    tile: int = 1


ARMS = (
    Arm(devices=2),
    Arm(devices=1),
    Arm(devices=1, cores=1),
    Arm(threads=1),
    Arm(threads=4),
    Arm(devices=2, tile=10),
)


def experiment(arm: Arm, seeds: int) -> Experiment:
    """Return what an arm trains."""
    return Experiment(
        name="Threads",
        grid=Grid(weight_decay=(1.0,), learning_rate=(2e-2,), init_scale=(1.0,), seed=tuple(range(seeds))),
        steps=STEPS,
        batch_size=TRAIN,
        loss="squared_error_sum",
        task=Task("modular", modulus=23, train_size=TRAIN),
        model=Model(hidden=(128,)),
        measures=("fit", "norms"),
        log=Schedule("explicit", at=tuple(range(0, STEPS, EVERY))),
        snapshots=Snapshots(content=(), test_size=0),
        thresholds=Thresholds(test_accuracy=0.9),
        packing=Packing(arm.devices, arm.tile),
    )


def pool() -> list[float]:
    """CPU seconds of each thread of XLA's pool in this process."""
    found = []
    for thread in pathlib.Path("/proc/self/task").iterdir():
        if (thread / "comm").read_text().strip() == POOL:
            user, system = (thread / "stat").read_text().rpartition(")")[2].split()[11:13]
            found.append((int(user) + int(system)) / TICKS)
    return found


def work(arm: Arm, seeds: int, out: pathlib.Path) -> None:
    """Train one arm in this process; write what came out as arrays, print how it ran as JSON."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arm.cores])
    if arm.threads:
        mock.patch.object(runtime, "threads", return_value=arm.threads).start()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(folder) / "sweep"
        results = collapse_jax.train(experiment(arm, seeds), workdir)
        checkpoints = TreeStore(workdir / "checkpoints")
        state = checkpoints.load(checkpoints.steps()[-1])
    leaves = [leaf.reshape(seeds, -1) for name, leaf in sorted(state.items()) if "params" in name]
    times = collapse_jax.timescales(results)
    np.savez(
        out,
        parameters=np.concatenate(leaves, axis=1),
        grokked=~times["grok_censored"].values.ravel(),
        tau=times["tau_grok"].values.ravel(),
        norm=results["weight_norm"].values.reshape(seeds, -1),
    )
    spent = pool()
    busy = sum(seconds > 0.05 * max(spent) for seconds in spent)
    print(json.dumps({"threads": len(spent), "busy": busy, "seconds": time.monotonic() - began}))


def compare(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[int, int, int, float]:
    """Flips, other times, other bits (seeds each), and the largest relative difference of a norm."""
    flips = one["grokked"] != other["grokked"]
    times = flips | (one["grokked"] & (one["tau"] != other["tau"]))
    bits = (one["parameters"].view(np.int32) != other["parameters"].view(np.int32)).any(axis=1)
    apart = np.abs(other["norm"] / one["norm"] - 1).max()
    return int(flips.sum()), int(times.sum()), int(bits.sum()), float(apart)


def main(seeds: int) -> None:
    """Train every arm and print the table."""
    print(
        f"nice python -m benchmarks.threads: {seeds} seeds\n" + " ".join(f"{name:>10}" for name in COLUMNS),
        flush=True,
    )
    first = None
    for number, arm in enumerate(ARMS):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "arm.npz"
            command = [sys.executable, "-m", "benchmarks.threads", str(seeds), str(number), str(out)]
            environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            with np.load(out) as arrays:
                found = dict(arrays)
        ran = json.loads(done.stdout.splitlines()[-1])
        first = first or found
        flips, times, bits, apart = compare(first, found)
        threads = f"{ran['threads']}{' set' if arm.threads else ''}"
        laid = (arm.devices, arm.cores, threads, ran["busy"], arm.tile)
        cells = (*laid, int(found["grokked"].sum()), flips, times, bits, f"{apart:.1e}", f"{ran['seconds']:.0f}")
        print(" ".join(f"{cell:>10}" for cell in cells), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        work(ARMS[int(sys.argv[2])], int(sys.argv[1]), pathlib.Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
