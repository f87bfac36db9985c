"""Goodput: which share of its time a sweep that is killed every k minutes spends in steps that count; its bits.

taskset -c 1 python -m benchmarks.goodput --every=120 --seconds=4000 --checkpoint-seconds=10

`train --config=configs/mnist_mlp.py:cpu` (6 runs of the main experiment's network) on one device is started, killed
with SIGKILL after `--every` seconds (give or take half the time between checkpoints, so that kills fall anywhere
there), started again, and so on for `--seconds`; the last life ends with SIGTERM, which saves. Then the same is
trained up to that step and left alone, all of it or some of its runs (`--runs`), whose bits do not depend on the
others, and the bits of results, snapshots and the last state are compared. Other sweeps that nobody disturbed,
in folders beside these, are compared where they have the same steps. A grid of one run is measured in other last
bits than one of several, so that of such a one states and snapshots count alone.

Goodput = 1 - (start-up + restore + lost) / total, over the lives of all processes, see `goodput_accounting`: from
the start of each process to its end, by what it notes, on two clocks. Jobs beside this one stretch the wall clock,
and hardly the processor time, which is what the machine would take alone if it never waited for its disk. What a
kill costs is seconds on either clock; goodput on the processor's is that of kills every so many of its seconds.
Lives that had 95 % of a core are summed up on their own, too.
"saving" is the time inside of calls that save, which is no loss here; the device trains meanwhile.

Checkpoints: losing half an interval t of each time M between kills and C / t of all time for saves of C seconds, t
had best be sqrt(2 C M) (Young 1974, doi:10.1145/361147.361115): with C = 0.5 s 11 s for M = 120 s, 24 s for 600 s.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from benchmarks import machine
from benchmarks.goodput_accounting import Life, account, goodput, life_of, summary
from collapse_jax.experiment.axes import AXES
from collapse_jax.workdir.results import open_results
from collapse_jax.workdir.trees import TreeStore

CLOCKS = ("wall", "processor")
CONFIG = "configs/mnist_mlp.py:cpu"
STEPS = 10_000_000  # never reached
QUIET = 0.95  # share of a core from which a life counts as having had it alone
SAVED = 75  # exit code of a stop by a signal


class Trainer:
    """Trains one workdir in processes that are ended.

    Args:
      workdir: of the sweep; notes, and what the processes say, are files beside it.
      flags: of `train`.
    """

    def __init__(self, workdir: pathlib.Path, flags: Sequence[str]):
        self.workdir, self.flags, self.lives = workdir, flags, 0

    def live(self, seconds: float = float("inf"), ending: signal.Signals = signal.SIGKILL) -> None:
        """Start a process, end it with a signal when it has lived for so many seconds, and note when it ended."""
        notes, said = (self.workdir.with_suffix(f".{what}") for what in (f"{self.lives}.jsonl", "txt"))
        self.lives += 1
        began = time.monotonic()
        command = [sys.executable, "-m", "benchmarks.goodput_life", str(notes), f"--config={CONFIG}"]
        with said.open("a") as output:
            process = subprocess.Popen(
                [*command, *self.flags, f"--workdir={self.workdir}"],
                cwd=machine.ROOT,
                env=os.environ | {"BEGAN": repr(began)},
                stdout=output,
                stderr=output,
            )
        expected, ended = 0, 0
        while not ended:
            if time.monotonic() - began >= seconds:
                process.send_signal(ending)
                expected, seconds = SAVED if ending == signal.SIGTERM else -ending, float("inf")
            time.sleep(0.02)
            ended, code, used = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(code)
        if process.returncode != expected:
            raise RuntimeError(f"ended with {process.returncode}, see {said}")
        last = {"wall": time.monotonic() - began, "processor": used.ru_utime + used.ru_stime}
        with notes.open("a") as file:
            file.write(json.dumps({"name": "ended"} | last) + "\n")


def lives_of(workdir: pathlib.Path) -> tuple[dict[str, list[Life]], float]:
    """Return the lives of a workdir's processes by clock, and the seconds that they spent in saving."""
    files = sorted(workdir.parent.glob(f"{workdir.name}.*.jsonl"), key=lambda file: int(file.name.split(".")[-2]))
    notes = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    saving = sum(note.get("saving", 0.0) for own in notes for note in own)
    return {clock: [life_of(own, clock) for own in notes] for clock in CLOCKS}, saving


def different(killed: pathlib.Path, alone: pathlib.Path) -> dict[str, Any]:
    """Compare the bits of results, snapshots and the last state, of the runs and steps that both sweeps have."""
    whole, part = (open_results(folder) for folder in (killed, alone))
    axes = {axis: part[axis].values for axis in AXES if axis in part.dims}
    sizes = [whole.sizes[axis] for axis in axes]
    numbers = xr.DataArray(np.arange(np.prod(sizes)).reshape(sizes), {axis: whole[axis].values for axis in axes})
    runs = numbers.sel(axes).values.ravel()
    last = TreeStore(killed / "checkpoints").steps()[-1]
    steps = np.intersect1d(whole["step"], part["step"])
    steps = steps[steps <= last]
    first, second = whole.sel(axes | {"step": steps}), part.sel(step=steps)
    names = part.data_vars if len(runs) > 1 else ()
    pairs = {f"results/{name}": (first[name].values, second[name].values) for name in names}
    for kind, only in (("snapshots", ""), ("checkpoints", "states")):
        stores = [TreeStore(folder / kind) for folder in (killed, alone)]
        for step in {*stores[0].steps()} & {*stores[1].steps()}:
            trees = [store.load(step, only) for store in stores]
            for name, leaf in trees[0].items():
                pairs[f"{kind}/{step}/{name}"] = (leaf[runs] if leaf.ndim else leaf, trees[1][name])
    same = [(a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in pairs.values()]
    kinds = collections.Counter(name.split("/")[0] for name in pairs)
    return {
        "runs": len(runs),
        "log_steps": len(steps),
        "arrays": dict(kinds),
        "numbers": sum(a.size for a, _ in pairs.values()),
        "different": [name for name, equal in zip(pairs, same, strict=True) if not equal],
    }


def kill_again_and_again(arguments: argparse.Namespace, workdir: pathlib.Path, flags: Sequence[str]) -> None:
    """Train for the given time, in lives that are killed; the last one saves."""
    trainer = Trainer(workdir, [*flags, f"--config.steps={STEPS}"])
    jitter, began = random.Random(0), time.monotonic()
    while (left := began + arguments.seconds - time.monotonic()) > 1.5 * arguments.every:
        trainer.live(arguments.every + arguments.checkpoint_seconds * (jitter.random() - 0.5))
        share = goodput(account(lives_of(workdir)[0]["wall"]))
        print(f"{time.monotonic() - began:5.0f} s, {trainer.lives} lives: {share:.4f}", flush=True)
    trainer.live(left, signal.SIGTERM)


def train_alone(killed: pathlib.Path, workdir: pathlib.Path, flags: Sequence[str]) -> None:
    """Train the same up to the step that the killed sweep has reached, logging and storing where that did."""
    last = TreeStore(killed / "checkpoints").steps()[-1]
    steps = open_results(killed)["step"].values
    at = {"log": steps[steps <= last], "snapshots.schedule": TreeStore(killed / "snapshots").steps()}
    schedules = [
        f"--config.{name}.{field}"
        for name, own in at.items()
        for field in ("rule=explicit", f"at={','.join(map(str, own))}")
    ]
    Trainer(workdir, [*flags, f"--config.steps={last}", *schedules]).live()


def report(arguments: argparse.Namespace, folder: pathlib.Path) -> dict[str, Any]:
    """Say where the time went and compare the bits."""
    lives, saving = lives_of(folder / "killed")
    rows = {clock: account(own) for clock, own in lives.items()}
    found = {clock: summary(own, own[:-1]) for clock, own in rows.items()}
    both = list(zip(lives["wall"], lives["processor"], rows["wall"], strict=True))[:-1]
    quiet = [row for wall, processor, row in both if processor.ended > QUIET * wall.ended]
    if quiet:
        found["wall_of_lives_with_a_core_of_their_own"] = {"lives": len(quiet)} | summary(quiet, quiet)
    return {
        "options": {"every": arguments.every, "checkpoint_seconds": arguments.checkpoint_seconds},
        "kills": len(rows["wall"]) - 1,
        "steps": lives["wall"][-1].reached[-1][0],
        "found": found,
        "saving_seconds": saving,
        "bits": {
            path.name: different(folder / "killed", path)
            for path in sorted(folder.iterdir())
            if path.is_dir() and path.name not in ("killed", "trial")
        },
        "lives": {c: [{n: round(v, 2) for n, v in row.items()} for row in own] for c, own in rows.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--every", type=float, default=120.0, help="seconds between kills")
    parser.add_argument("--seconds", type=float, default=4000.0, help="for which the sweep is killed")
    parser.add_argument("--checkpoint-seconds", type=float, default=10.0, help="between two checkpoints")
    parser.add_argument("--runs", default="", help="flags of train: the runs that are trained alone; else all")
    parser.add_argument("--folder", help="of both sweeps; what is trained there already is taken as it is")
    arguments = parser.parse_args()
    flags = ["--config.packing.devices=1", f"--config.checkpoint_seconds={arguments.checkpoint_seconds}"]
    flags.append("--nofigures")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(arguments.folder or name).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "killed").exists():
            kill_again_and_again(arguments, folder / "killed", flags)
        if not (folder / "alone").exists():
            train_alone(folder / "killed", folder / "alone", [*flags, *arguments.runs.split()])
        found = report(arguments, folder)
    print(machine.write("goodput", found))
    for name, own in found["found"].items():
        share, projected = own["goodput"], own["goodput_at_a_kill_every_600_s"]
        print(f"{name}: {share:.4f}, at a kill every 600 s {projected:.4f}")
    for name, bits in found["bits"].items():
        print(f"{name}: {bits['numbers']} numbers compared, different: {', '.join(bits['different']) or 'none'}")


if __name__ == "__main__":
    main()
