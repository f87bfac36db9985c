"""What a stop rule saves: runs of the main experiment with it and without, each as a user starts it.

Each compiles all of its programs, and another start has read the files that both need from disk.

Commands: python -m benchmarks.stop_rule; further flags go to both (--config.grid.weight_decay=0.3,0.03,0.001)
python -m benchmarks.stop_rule --expected: what rules would leave of the whole experiment, by its stored curves
"""

import argparse
import dataclasses
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
from collapse_jax.experiment.stopping import Stop
from collapse_jax.workdir.record import read_experiment
from collapse_jax.workdir.results import open_results

CONFIG = "configs/mnist_mlp.py"
SEED = "--config.grid.seed=45"
RULE = ("--config.stop.events=fit,grok", "--config.stop.factor=1.1")


def train(workdir: pathlib.Path, *flags: str) -> tuple[dict[str, float], xr.Dataset]:
    """Train in a process of its own: its seconds by the clock and of all cores, its run-steps, its results."""
    command = [sys.executable, "-m", "collapse_jax", "train", f"--config={CONFIG}", "--nofigures", *flags]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": f"{workdir}_compiled"}
    began, before = time.perf_counter(), os.times()
    subprocess.run([*command, f"--workdir={workdir}"], cwd=machine.ROOT, env=environment, check=True)
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
        train(folder / "first", *flags, "--config.steps=1")
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


def expected(events: tuple[str, ...], factor: float) -> dict[str, Any]:
    """Say how many run-steps of the main experiment a rule leaves, by the results in docs/mnist_mlp."""
    from collapse_jax.engine.stopping import Rule

    results = open_results(machine.ROOT / "docs" / "mnist_mlp")
    experiment = read_experiment({"experiment": json.loads(results.attrs["experiment"])})
    experiment = dataclasses.replace(experiment, stop=Stop(events=events, factor=factor))
    names = [name for name in ("train_accuracy", "test_accuracy", "rnc1") if name in results]
    results = results[[*names, "diverged_at"]].dropna("step", how="all", subset=names)
    steps, runs = results["step"].values, results["diverged_at"].size
    curves = {name: results[name].values.reshape(runs, len(steps)) for name in names}
    rule, last = Rule(experiment, steps), np.full(runs, steps[-1])
    for step in steps[::-1].tolist():
        last = np.where(rule.done(step, curves, results["diverged_at"].values.ravel()), step, last)
    return {"events": events, "factor": factor, "run_steps": int(last.sum()), "of": int(steps[-1]) * runs}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expected", action="store_true", help="train nothing")
    arguments, further = parser.parse_known_args()
    if arguments.expected:
        for events in (("fit", "grok"), ("fit", "grok", "collapse")):
            print(json.dumps(expected(events, 1.1)))
    else:
        print(json.dumps(measure((SEED, *further)), indent=1))
