"""Calibration: how fast this machine trains this network in each packing, and how near that is to its peak.

Settings such as the number of host devices and the threading of matrix products must precede jax's start, so
each candidate is timed in a process of its own.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys

from etils import epath

from collapse_jax.errors import StoreError
from collapse_jax.experiment import config, identity
from collapse_jax.experiment.axes import static_axes
from collapse_jax.experiment.grid import number_of_runs
from collapse_jax.experiment.static_axes import programs_of
from collapse_jax.system import runtime

WIDE_TILE = 4


@dataclasses.dataclass
class Timing:
    """What one candidate reached.

    Attributes:
      devices: devices that shared the runs.
      runs_per_tile: runs vmapped together.
      run_steps_per_second: of all devices together.
      flops_per_run_step: floating-point operations of one step of one run, counted by XLA.
      bytes_per_run_step: bytes that such a step reads and writes by XLA's count, caches ignored.
      peak_flops: of float32 matrix products on the same devices, measured in the same process [1/s].
    """

    devices: int
    runs_per_tile: int
    run_steps_per_second: float
    flops_per_run_step: float
    bytes_per_run_step: float
    peak_flops: float

    @property
    def share_of_peak(self) -> float:
        """Floating-point rate of training as a share of the measured peak."""
        return self.run_steps_per_second * self.flops_per_run_step / self.peak_flops


def calibrate(experiment: config.Experiment) -> list[Timing]:
    """Time every candidate packing of a validated experiment, fastest first, and keep the fastest for `train`."""
    runs = number_of_runs(experiment.grid)
    devices = sorted({1, min(len(os.sched_getaffinity(0)), runs)})
    candidates = [(d, t) for d in devices for t in sorted({1, min(WIDE_TILE, -(-runs // d))})]
    timings = []
    for count, tile in candidates:
        packing = dataclasses.replace(experiment.packing, devices=count, runs_per_tile=tile)
        timings.append(_in_process(dataclasses.replace(experiment, packing=packing)))
    timings.sort(key=lambda timing: -timing.run_steps_per_second)
    path = picked_path(experiment)
    path.parent.mkdir(parents=True, exist_ok=True)
    picked = {"devices": timings[0].devices, "runs_per_tile": timings[0].runs_per_tile}
    path.write_text(json.dumps({"packing": picked}))
    return timings


def picked_path(experiment: config.Experiment) -> pathlib.Path:
    """Return where the fastest packing of this network, batch and optimizer on this machine is kept."""
    fields = identity.binding_fields(experiment)
    relevant = {
        k: v
        for k, v in fields.items()
        if k.split(".")[0] in ("model", "optimizer", "batch_size", "task", "loss", "dtype")
    }
    key = hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]
    return runtime.cache_directory() / "packings" / f"{key}.json"


def settle_packing(experiment: config.Experiment, workdir: epath.Path) -> config.Experiment:
    """Fill the automatic choices of the packing from what is known before jax starts.

    A sweep that was begun continues in its own packing; a new one takes the calibration of this network on this
    machine, if there is one. What stays open (0), `packing.choose_layout` decides. With static axes nothing is
    filled in: every program has its own packing, and is settled when its turn comes.
    """
    if static_axes(experiment.grid):
        return experiment
    packing = experiment.packing
    known: dict[str, int] = {}
    for path in (epath.Path(picked_path(experiment)), workdir / "experiment.json"):
        try:
            record = json.loads(path.read_text())
            known |= {name: int(record["packing"][name]) for name in ("devices", "runs_per_tile")}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not calibrated, not begun, or a damaged manifest, which is refused later
    chosen = {name: getattr(packing, name) or value for name, value in known.items()}
    return dataclasses.replace(experiment, packing=dataclasses.replace(packing, **chosen))


def devices_of(experiment: config.Experiment, workdir: epath.Path) -> int:
    """Return the host devices that a settled experiment needs, the most of any program; 0 is one per core."""
    programs = programs_of(experiment)
    settled = [settle_packing(program.experiment, program.folder(workdir)) for program in programs] or [experiment]
    return max(each.packing.devices for each in settled)


def _in_process(experiment: config.Experiment) -> Timing:
    description = json.dumps(dataclasses.asdict(experiment))
    command = [sys.executable, "-m", "collapse_jax.planning.bench_worker"]
    done = subprocess.run(command, input=description, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StoreError(f"bench: the candidate {experiment.packing} failed: {last}")
    return Timing(**json.loads(done.stdout.splitlines()[-1]))


def report(experiment: config.Experiment, timings: list[Timing]) -> str:
    """Tabulate the candidates and project the time of the whole grid, logs and storage not counted."""
    run_steps = number_of_runs(experiment.grid) * experiment.steps
    lines = ["devices  runs/tile  run-steps/s  ms/run-step  GFLOP/s  of peak  MB/run-step  whole grid"]
    for t in timings:
        rate = t.run_steps_per_second
        lines.append(
            f"{t.devices:7d}  {t.runs_per_tile:9d}  {rate:11.0f}  {1e3 / rate:11.3f}  "
            f"{rate * t.flops_per_run_step / 1e9:7.0f}  {t.share_of_peak:6.0%}  "
            f"{t.bytes_per_run_step / 1e6:11.1f}  {run_steps / rate / 60:6.1f} min"
        )
    best = timings[0]
    return "\n".join([*lines, f"`train` will use {best.devices} device(s), {best.runs_per_tile} run(s) per tile"])
