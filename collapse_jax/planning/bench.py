"""How fast this machine trains this network in each packing, and how near that is to its peak.

Settings such as the number of host devices and the threading of matrix products must precede jax's start, so
each candidate is timed in a process of its own.
"""

import dataclasses
import json
import subprocess
import sys

from collapse_jax.errors import StoreError
from collapse_jax.experiment import config
from collapse_jax.experiment.grid import number_of_runs
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
    """Time every candidate packing of a validated experiment, fastest first."""
    runs = number_of_runs(experiment.grid)
    devices = sorted({1, min(runtime.cores(), runs)})
    candidates = [(d, t) for d in devices for t in sorted({1, min(WIDE_TILE, -(-runs // d))})]
    timings = []
    for count, tile in candidates:
        packing = dataclasses.replace(experiment.packing, devices=count, runs_per_tile=tile)
        timings.append(_in_process(dataclasses.replace(experiment, packing=packing)))
    return sorted(timings, key=lambda timing: -timing.run_steps_per_second)


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
    flags = f"--config.packing.devices={best.devices} --config.packing.runs_per_tile={best.runs_per_tile}"
    return "\n".join([*lines, f"fastest: {flags}"])
