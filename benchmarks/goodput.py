"""Goodput: which share of its time a sweep that is killed every k minutes spends in steps that count; its bits.

taskset -c 1 python -m benchmarks.goodput --every=120 --seconds=3700 --beside=0 \\
    --runs="--config.grid.weight_decay=0.1"

`train --config=configs/mnist_mlp.py:cpu` (6 runs of the main experiment's network) on one device, with as many
steps as fill `--seconds`, is started, killed with SIGKILL after `--every` seconds (give or take half the time
between two checkpoints, so that kills fall anywhere between them), started again, and so on until it is done. Then
the bits of its results, snapshots and last checkpoint are compared with those of a sweep of the same packing that
nobody disturbed: of the same experiment, or of some of its runs (`--runs`), whose bits do not depend on the others.

Goodput = 1 - (start-up + restore + lost) / total, over the lives of all processes, see `goodput_accounting`: from
the start of each process to its end, by what it notes, on two clocks. Jobs beside this one stretch the wall clock,
and hardly the processor time, which is what the machine would take alone if it never waited for its disk. "saving"
is the time inside of calls that save, which is no loss here; the device trains meanwhile, so it bounds what
checkpoints cost from above.

Checkpoints: losing half an interval t of each time M between kills and C / t of all time for saves of C seconds, t
had best be sqrt(2 C M) (Young 1974, doi:10.1145/361147.361115): with C = 0.5 s 11 s for M = 120 s, 24 s for 600 s.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from benchmarks import machine
from benchmarks.goodput_accounting import Life, account, cost, goodput, life_of, projected, seconds

CLOCKS = ("wall", "processor")
CONFIG = "configs/mnist_mlp.py:cpu"
TRIAL_SECONDS, TRIAL_STEPS = 60.0, 10_000_000
KEPT_SHARE = 0.9  # guess, for the number of steps alone


class Trainer:
    """Trains one workdir in processes that may be killed.

    Args:
      workdir: of the sweep; notes, and what the processes say, are files beside it.
      flags: of `train`.
      core: on which the processes run, at low priority; None: as this process.
    """

    def __init__(self, workdir: pathlib.Path, flags: Sequence[str], core: int | None = None):
        self.workdir, self.flags, self.core = workdir, flags, core
        self.lives, self.done = 0, False

    def begin(self) -> None:
        """Start a process."""
        self.notes = self._beside(f"{self.lives}.jsonl")
        self.lives += 1
        self.notes.touch()
        command = [sys.executable, "-m", "benchmarks.goodput_life", str(self.notes), f"--config={CONFIG}"]
        self.began = time.monotonic()
        with self._beside("txt").open("a") as said:
            self.process = subprocess.Popen(
                [*command, *self.flags, f"--workdir={self.workdir}"],
                cwd=machine.ROOT,
                env=os.environ | {"BEGAN": repr(self.began)},
                stdout=said,
                stderr=said,
                preexec_fn=None if self.core is None else self._step_aside,
            )

    def _beside(self, suffix: str) -> pathlib.Path:
        return self.workdir.with_name(f"{self.workdir.name}.{suffix}")

    def _step_aside(self) -> None:
        assert self.core is not None
        os.sched_setaffinity(0, {self.core})
        os.nice(10)

    def end(self, after: float = float("inf")) -> None:
        """Wait for the end of the process, and kill it when it has lived for so many seconds."""
        status = None
        while status is None:
            if time.monotonic() - self.began >= after:
                self.process.kill()
                after = float("inf")
            time.sleep(0.02)
            pid, code, used = os.wait4(self.process.pid, os.WNOHANG)
            status = os.waitstatus_to_exitcode(code) if pid else None
        ended = {"wall": time.monotonic() - self.began, "processor": used.ru_utime + used.ru_stime}
        with self.notes.open("a") as file:
            file.write(json.dumps({"name": "ended"} | ended) + "\n")
        self.process.returncode, self.done = status, status == 0
        if not self.done and after < float("inf"):
            raise RuntimeError(f"ended with {status}, see {self._beside('txt')}")


def lives_of(workdir: pathlib.Path) -> tuple[dict[str, list[Life]], float]:
    """Return the lives of a workdir's processes by clock, and the seconds that they spent in saving."""
    files = sorted(workdir.parent.glob(f"{workdir.name}.*.jsonl"), key=lambda file: int(file.name.split(".")[-2]))
    notes = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    saving = sum(note.get("saving", 0.0) for own in notes for note in own)
    return {clock: [life_of(own, clock) for own in notes] for clock in CLOCKS}, saving


def different(one: pathlib.Path, other: pathlib.Path) -> dict[str, Any]:
    """Compare the bits of results, snapshots and last checkpoint for all runs of the second sweep: which differ."""
    from collapse_jax.experiment.axes import AXES
    from collapse_jax.workdir.results import open_results
    from collapse_jax.workdir.trees import TreeStore

    whole, part = (open_results(folder) for folder in (one, other))
    axes = {axis: part[axis].values for axis in AXES if axis in part.dims}
    sizes = [whole.sizes[axis] for axis in axes]
    numbers = xr.DataArray(np.arange(np.prod(sizes)).reshape(sizes), {axis: whole[axis].values for axis in axes})
    runs = numbers.sel(axes).values.ravel()
    chosen = whole.sel(axes)
    pairs = {f"results/{n}": (chosen[n].values, part[n].values) for n in {*chosen.variables} & {*part.variables}}
    found = sorted({*chosen.variables} ^ {*part.variables})
    for kind, kept in (("snapshots", slice(None)), ("checkpoints", slice(-1, None))):
        stores = [TreeStore(folder / kind) for folder in (one, other)]
        steps = [store.steps()[kept] for store in stores]
        if steps[0] != steps[1] or not steps[0]:
            found.append(f"steps of {kind}")
        for step in sorted({*steps[0]} & {*steps[1]}):
            first, second = (store.load(step) for store in stores)
            pairs |= {f"{kind}/{step}/{name}": (of_runs(first[name], runs), second[name]) for name in first}
    same = [(a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in pairs.values()]
    found += [name for name, equal in zip(pairs, same, strict=True) if not equal]
    return {
        "runs": len(runs),
        "arrays": len(pairs),
        "numbers": sum(a.size for a, _ in pairs.values()),
        "different": found,
    }


def of_runs(leaf: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return the rows of some runs; what has none, such as the step, is of all."""
    return leaf[runs] if leaf.ndim else leaf


def steps_that_fill(seconds: float, flags: Sequence[str], folder: pathlib.Path) -> int:
    """Train for a minute, and return how many steps a sweep that is killed takes in so many seconds."""
    trial = Trainer(folder / "trial", [*flags, f"--config.steps={TRIAL_STEPS}"])
    trial.begin()
    trial.end(after=TRIAL_SECONDS)
    (first, began), *_, (last, ended) = lives_of(trial.workdir)[0]["wall"][0].reached
    return int((last - first) / (ended - began) * seconds * KEPT_SHARE)


def kill_until_done(arguments: argparse.Namespace, folder: pathlib.Path) -> None:
    """Kill a sweep until it is done; train one, of some of its runs or of all, that is left alone."""
    interval = arguments.checkpoint_seconds
    flags = [f"--config.checkpoint_seconds={interval}", "--config.packing.devices=1", "--nofigures"]
    steps = arguments.steps or steps_that_fill(arguments.seconds, flags, folder)
    flags.append(f"--config.steps={steps}")
    killed = Trainer(folder / "killed", flags)
    whole = Trainer(folder / "whole", [*flags, *arguments.runs.split()], arguments.beside)
    if arguments.beside is not None:
        whole.begin()
    jitter, began = random.Random(0), time.monotonic()
    while not killed.done:
        killed.begin()
        killed.end(after=arguments.every + interval * (jitter.random() - 0.5))
        share = goodput(account(lives_of(killed.workdir)[0]["wall"]))
        print(f"{time.monotonic() - began:5.0f} s, {killed.lives} lives: {share:.4f}", flush=True)
    if arguments.beside is None:
        whole.begin()
    whole.end()


def summary(arguments: argparse.Namespace, folder: pathlib.Path) -> dict[str, Any]:
    """Say where the time went and compare the bits."""
    (lives, saving), (alone, _) = (lives_of(folder / name) for name in ("killed", "whole"))
    rows = {clock: account(own) for clock, own in lives.items()}
    return {
        "options": {"every": arguments.every, "checkpoint_seconds": arguments.checkpoint_seconds},
        "kills": len(rows["wall"]) - 1,
        "steps": lives["wall"][-1].reached[-1][0],
        "seconds": {clock: seconds(own) for clock, own in rows.items()},
        "saving_seconds": saving,
        "undisturbed_seconds": {clock: own[0].ended for clock, own in alone.items()},
        "goodput": {clock: goodput(own) for clock, own in rows.items()},
        "seconds_of_a_kill": {clock: cost(own) for clock, own in rows.items()},
        "at_a_kill_every_600_s": {clock: projected(own, 600) for clock, own in rows.items()},
        "bits": different(folder / "killed", folder / "whole"),
        "lives": {c: [{n: round(v, 2) for n, v in row.items()} for row in own] for c, own in rows.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--every", type=float, default=120.0, help="seconds between kills")
    parser.add_argument("--seconds", type=float, default=4000.0, help="that the killed sweep shall last")
    parser.add_argument("--steps", type=int, default=0, help="of each run; 0: as many as fill the seconds")
    parser.add_argument("--checkpoint-seconds", type=float, default=10.0, help="between two checkpoints")
    parser.add_argument("--beside", type=int, help="core of the undisturbed sweep, at the same time; else after it")
    parser.add_argument("--runs", default="", help="flags of train, of runs for the undisturbed sweep; else all")
    parser.add_argument("--folder", help="of both sweeps; trained ones there are compared again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(arguments.folder or name).absolute()
        if not (folder / "killed").exists():
            folder.mkdir(parents=True, exist_ok=True)
            kill_until_done(arguments, folder)
        found = summary(arguments, folder)
    print(machine.write("goodput", found))
    shares, bits = found["goodput"], found["bits"]
    print(f"goodput {shares['wall']:.4f} of the wall clock, {shares['processor']:.4f} of processor time")
    print(f"{bits['numbers']} numbers compared, different: {', '.join(bits['different']) or 'none'}")


if __name__ == "__main__":
    main()
