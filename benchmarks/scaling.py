"""Throughput against runs, width, training examples and devices; memory against runs; one figure.

Command: python -m benchmarks.scaling
"""

import argparse
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import machine, whole_sweep
from benchmarks.interleave import Comparison, interleave, layout

RUNS = (1, 2, 4, 8, 16, 32, 64)
WIDTHS = (50, 100, 200, 400, 800, 1600)
TRAIN_SIZES = (100, 200, 500, 1000)
DEVICES = (1, 2)
MEMORY_RUNS = (2, 16, 32, 64)
MEMORY_SWEEPS = {"training": {"alone": 1}, "whole_sweep": {"logs": 2, "snapshots": 3, "checkpoints": 1}}
DEFAULT_RUNS = 8
CALL_SECONDS = 0.7


def variants(axis: str) -> dict[int, Any]:
    """Return the experiments of one axis by its values, everything else as in the main experiment."""
    from benchmarks import engine
    from collapse_jax.experiment import config

    base = engine.main_experiment()

    def changed(value: int) -> config.Experiment:
        runs = value if axis == "runs" else 2 if axis == "width" else DEFAULT_RUNS
        e = dataclasses.replace(base, grid=config.Grid(weight_decay=(0.01,), seed=tuple(range(runs))))
        if axis == "width":
            e.model = dataclasses.replace(e.model, hidden=(value,) * 3)
        if axis == "train_size":
            e.task = dataclasses.replace(e.task, train_size=value)
        if axis == "devices":
            e.packing = config.Packing(devices=value)
        return engine.training_only(e)

    values = {"runs": RUNS, "width": WIDTHS, "train_size": TRAIN_SIZES, "devices": DEVICES}[axis]
    return {value: changed(value) for value in values if axis != "devices" or value <= len(_devices())}


def _devices() -> list:
    import jax

    return jax.local_devices()


def throughput(axis: str, repeats: int) -> list[dict[str, float]]:
    """Measure run-steps/s of every value of an axis, interleaved with the matrix products of their peak."""
    from benchmarks import engine

    experiments = variants(axis)
    engines = {str(value): engine.Engine(e) for value, e in experiments.items()}
    steps = {name: steps_per_call(e) for name, e in engines.items()}
    peak = engine.MatmulPeak(len(_devices()))
    ways = {name: (lambda e=e, n=steps[name]: e.train(n)) for name, e in engines.items()} | {"peak": peak}
    work = {name: e.runs * steps[name] for name, e in engines.items()} | {"peak": peak.flops}
    found: Comparison = interleave(ways, repeats, work)
    rows = []
    for value, experiment in experiments.items():
        timing, flops = found[str(value)], engine.flops_per_run_step(experiment)
        rows.append(
            {
                axis: value,
                "run_steps_per_second": 1 / timing.median,
                "slowest": 1 / max(timing.seconds),
                "fastest": 1 / timing.best,
                "ms_per_run_step": timing.median * 1e3,
                "gflops": flops / timing.median / 1e9,
                "share_of_peak": flops * found["peak"].median / timing.median,
                "busy_elsewhere": max(found.busy_elsewhere),
            }
        )
    return rows


def steps_per_call(engine: Any) -> int:
    """Choose the steps of a call from a few that are timed."""
    engine.train(2)
    began = time.perf_counter()
    engine.train(4)
    return int(np.clip(CALL_SECONDS / ((time.perf_counter() - began) / 4), 4, 5000))


def memory(runs: Sequence[int]) -> dict[str, Any]:
    """Measure the peak memory of training alone and of whole sweeps, in processes of their own; fit lines."""
    from benchmarks import engine

    rows = []
    for number in runs:
        row = {"runs": number}
        for name, options in MEMORY_SWEEPS.items():
            # The second of two does not compile, which takes memory too.
            row[name] = min(whole_sweep.measure(runs=number, steps=20, **options)["peak_bytes"] for _ in range(2))
        rows.append(row)
    slopes = {name: np.polyfit(runs, [row[name] for row in rows], 1)[0] for name in MEMORY_SWEEPS}
    predicted = engine.bytes_per_run(engine.main_experiment())
    return {"rows": rows, "bytes_per_run": slopes, "predicted_bytes_per_run": predicted}


def report(axis: str, rows: list[dict[str, float]]) -> str:
    """Show one axis as text."""
    shown = [
        (
            f"{row[axis]}",
            f"{row['run_steps_per_second']:.0f}",
            f"{row['ms_per_run_step']:.3f}",
            f"{row['share_of_peak']:.0%}",
            f"{row['busy_elsewhere']:.0%}",
        )
        for row in rows
    ]
    return layout((axis, "run-steps/s", "ms per run-step", "of peak", "busy elsewhere"), shown)


def flatness(rows: list[dict[str, float]]) -> float:
    """Return how far the slowest and fastest of 2 to 64 runs lie apart, relative to their middle."""
    rates = [row["run_steps_per_second"] for row in rows if row["runs"] >= 2]
    return (max(rates) - min(rates)) / (max(rates) + min(rates))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    began = time.monotonic()
    from collapse_jax.system import runtime

    runtime.start()
    from benchmarks import scaling_figure

    found: dict[str, Any] = {}
    for axis in ("runs", "width", "train_size", "devices"):
        found[axis] = throughput(axis, options.repeats)
        print(report(axis, found[axis]), end="\n\n")
    found["memory"] = memory(MEMORY_RUNS)
    found["flatness_2_to_64_runs"] = flatness(found["runs"])
    print(f"2 to 64 runs: within +-{found['flatness_2_to_64_runs']:.1%}")
    for name, slope in found["memory"]["bytes_per_run"].items():
        predicted = found["memory"]["predicted_bytes_per_run"]
        print(f"memory per run, {name.replace('_', ' ')}: {slope / 1e6:.2f} MB, predicted {predicted / 1e6:.2f} MB")
    found["seconds"] = time.monotonic() - began
    print(machine.write("scaling", found).relative_to(machine.ROOT))
    path = machine.RESULTS / "scaling.png"
    scaling_figure.draw(found, machine.describe()).savefig(path, dpi=150)
    print(f"{path.relative_to(machine.ROOT)}, {found['seconds']:.0f} s in all")


if __name__ == "__main__":
    main()
