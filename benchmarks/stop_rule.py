"""What a stop rule saves: runs of the main experiment with it and without, each as a user starts it.

Command: python -m benchmarks.stop_rule; further flags go to both (--config.grid.weight_decay=0.3,0.03,0.001)
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from benchmarks import machine
from collapse_jax.workdir.results import open_results

CONFIG = "configs/mnist_mlp.py"
SEED = "--config.grid.seed=45"
RULE = ("--config.stop.events=fit,grok", "--config.stop.factor=1.1")


def train(workdir: pathlib.Path, *flags: str) -> tuple[dict[str, float], xr.Dataset]:
    """Train in a process of its own: its seconds by the clock and of all cores, its run-steps, its results."""
    command = [sys.executable, "-m", "collapse_jax", "train", f"--config={CONFIG}", "--nofigures", *flags]
    began, before = time.perf_counter(), os.times()
    subprocess.run([*command, f"--workdir={workdir}"], cwd=machine.ROOT, check=True)
    clock, after = time.perf_counter() - began, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])  # of children
    results = open_results(workdir)
    last = int(results["step"][-1])
    steps = results["retired_at"].where(results["retired_at"] >= 0, last) if "retired_at" in results else last
    taken = int((steps + 0 * results["diverged_at"]).sum())
    return {"seconds": round(clock, 1), "cpu_seconds": round(cpu, 1), "run_steps": taken}, results


def other_bits(stopped: xr.Dataset, whole: xr.Dataset) -> list[str]:
    """Name the variables of which a run has another value at a step that it took with the rule."""
    taken = (stopped["retired_at"] < 0) | (stopped["step"] <= stopped["retired_at"])
    return [
        str(name)
        for name, values in stopped.data_vars.items()
        if "step" in values.dims and not np.array_equal(values, whole[name].where(taken), equal_nan=True)
    ]


def measure(flags: Sequence[str]) -> dict[str, Any]:
    """Compare the two."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stopped, few = train(folder / "stopped", *flags, *RULE)
        whole, all_ = train(folder / "whole", *flags)
        ratios = {key: round(whole[key] / stopped[key], 2) for key in whole}
        retired = few["retired_at"].values.ravel().tolist()
        return {
            "with": stopped,
            "without": whole,
            "ratio": ratios,
            "retired_at": retired,
            "other_bits": other_bits(few, all_),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    _, further = parser.parse_known_args()
    print(json.dumps(measure((SEED, *further)), indent=1))
