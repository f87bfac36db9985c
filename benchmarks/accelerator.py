"""What one GPU does: throughput, memory, models, measures, bits, and PyTorch on the same GPU; JSON and a figure.

Command: python -m benchmarks.accelerator            (<= 9 minutes on an H100)
         python -m benchmarks.accelerator --sections tiles     (narrower tiles, beside the rest of the JSON)
         python -m benchmarks.accelerator --tiny     (seconds; what a CPU can check of it)

Every way of doing the same work is called in turn, twice and more. The floor of a run-step is what must pass
through the device's memory: parameters and two moments, read and written, and the batch; at the bandwidth that a
copy reaches in the same process.
"""

import argparse
import dataclasses
import functools
import gc
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.interleave import interleave, layout
from benchmarks.workers import Workers

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch has its turn on the same device


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything is measured.

    Attributes:
      runs: of the main network in one grid.
      compared: runs whose tiles, precision and PyTorch ensembles are measured.
      tiles: runs per tile.
      models: runs of the other models.
      probe: steps that are timed to choose the steps of a call.
      call: seconds that a timed call takes, about.
      repeats: timed calls of each way.
      snapshots: run-snapshots that are measured at once.
      copy: bytes that the copy moves, half read and half written.
    """

    runs: tuple[int, ...] = (1, 8, 30, 128, 1024, 4096)
    compared: tuple[int, ...] = (30, 1024)
    tiles: tuple[int, ...] = (8, 32, 128)
    models: tuple[int, ...] = (1, 32)
    probe: int = 20
    call: float = 0.5
    repeats: int = 3
    snapshots: int = 30
    copy: int = 8 * 2**30


TINY = Size((1, 2), (2,), (1,), (1,), 2, 0.01, 1, 1, 2**26)


def experiment_of(runs: int, model: str = "mlp", *, precision: str = "highest", tile: int = 0) -> Any:
    """Return the main experiment with `runs` seeds, another model or precision; measures that compile at once."""
    from benchmarks import engine
    from collapse_jax.experiment import config

    grid = config.Grid(weight_decay=(0.01,), seed=tuple(range(runs)))
    changes: dict[str, Any] = {"grid": grid, "precision": precision, "packing": config.Packing(runs_per_tile=tile)}
    if model != "mlp":
        changes["model"] = config.Model(model)
    return engine.training_only(engine.main_experiment(**changes))


def rate(experiment: Any, size: Size) -> dict[str, Any]:
    """Train and return run-steps/s with the memory that XLA counts, or why it could not be done."""
    import jax

    from benchmarks import engine

    runs = len(experiment.grid.seed)
    row: dict[str, Any] = {"runs": runs, "tile": experiment.packing.runs_per_tile or runs}
    began = time.perf_counter()
    try:
        ours = engine.Engine(experiment)
        row["compile_seconds"] = time.perf_counter() - began
        ours.train(2)
        steps = steps_per_call(ours.train, size)
        ways = {"train": functools.partial(ours.train, steps)}
        timing = interleave(ways, size.repeats, {"train": steps})["train"]
    except jax.errors.JaxRuntimeError as error:
        return row | {"error": str(error).splitlines()[0]}
    row["us_per_step"] = timing.median * 1e6
    row["run_steps_per_second"] = runs / timing.median
    row["spread"] = max(timing.seconds) / timing.best - 1
    row["memory_bytes"] = ours.programs.memory.total
    row["state_bytes_per_run"] = ours.programs.memory.states / runs
    del ours
    gc.collect()
    return row


def steps_per_call(train: Callable[[int], Any], size: Size) -> int:
    """Choose the steps of a call from a few that are timed."""
    began = time.perf_counter()
    train(size.probe)
    return int(np.clip(size.call / ((time.perf_counter() - began) / size.probe), size.probe, 20_000))


def ceilings(size: Size) -> dict[str, float]:
    """Measure the bandwidth of a copy [bytes/s], and of products in each precision the speed [1/s] and the error.

    The error is the largest one of a product of normal numbers, relative to its largest element.
    """
    import jax
    import jax.numpy as jnp

    from benchmarks import engine
    from collapse_jax.system import runtime

    array = jnp.ones(size.copy // 8, jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    matrix = jax.random.normal(jax.random.key(0), (min(8192, size.copy // 2**17),) * 2)
    found, errors = {"copy": lambda: jax.block_until_ready(copy(array))}, {}
    small = np.asarray(matrix[:1024, :1024], np.float64)
    exact = small @ small
    for precision in ("highest", "high", "default"):
        with runtime.numbers(engine.main_experiment(precision=precision)):
            product = jax.jit(lambda a: a @ a).lower(matrix).compile()
            rounded = jax.jit(lambda a: a @ a)(matrix[:1024, :1024])
        found[precision] = lambda product=product: jax.block_until_ready(product(matrix))
        errors[precision] = float(np.abs(rounded - exact).max() / np.abs(exact).max())
    timings = interleave(
        {name: lambda call=call: (call(), None)[1] for name, call in found.items()}, 3 * size.repeats, warm_up=2
    )
    flops = 2 * len(matrix) ** 3
    return (
        {"copy_bytes_per_second": size.copy / timings["copy"].best}
        | {f"flops_{precision}": flops / timings[precision].best for precision in errors}
        | {f"error_{precision}": error for precision, error in errors.items()}
    )


def floor_bytes() -> int:
    """Bytes that a step of one run of the main network must move: state read and written, batch read."""
    from benchmarks import engine

    experiment = engine.main_experiment()
    parameters = engine.bytes_per_run(experiment) // 4
    return 6 * parameters + 4 * 784 * experiment.batch_size


def families(size: Size) -> dict[str, float]:
    """Seconds per run-snapshot of measures, `snapshots` of 10,000 x 200 test features at once."""
    from benchmarks import measures as ours

    ours.DEVICES, ours.TILE, ours.RUNS = 1, size.snapshots, size.snapshots
    sweep, some = ours.RandomSweep(), slice(0, 10_000 if size.snapshots > 1 else 200)
    settings = {
        "collapse": ("collapse", {}),
        "nhsic": ("nhsic", {"mode": "reference", "batch_size": ours.BATCH}),
        "mutual_information": ("mutual_information", {"samples": 2000 if size.snapshots > 1 else 100}),
    }
    arguments = sweep.test[:, some], sweep.labels[some], sweep.inputs[some]
    programs = {title: ours.ours(name, *arguments, **options) for title, (name, options) in settings.items()}
    ways = {title: lambda program=program: ours.discard(program) for title, program in programs.items()}
    found = interleave(ways, size.repeats, dict.fromkeys(ways, size.snapshots))
    return {title: found[title].median for title in ways}


def bits(runs: int) -> dict[str, Any]:
    """Compare final states, bit for bit: the same again, in two parts, and one run alone (which may differ)."""
    import jax

    from benchmarks import engine

    def states(count: int, parts: tuple[int, ...]) -> list[np.ndarray]:
        ours = engine.Engine(experiment_of(count))
        for part in parts:
            ours.train(part)
        return [np.asarray(leaf)[:1] for leaf in jax.tree.leaves(ours.states.params)]

    whole = states(runs, (300,))

    def equal(other: list[np.ndarray]) -> bool:
        return all(a.tobytes() == b.tobytes() for a, b in zip(whole, other, strict=True))

    alone = states(1, (300,))
    apart = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(whole, alone, strict=True))
    return {
        "runs": runs,
        "again": equal(states(runs, (300,))),
        "resumed": equal(states(runs, (100, 200))),
        "alone": equal(alone),
        "alone_largest_relative_difference": apart,
    }


def opponents(size: Size, on_gpu: bool) -> list[dict[str, Any]]:
    """Run-steps/s of PyTorch in every arrangement; single runs one after the other, ensembles side by side."""
    from benchmarks.pytorch_accelerator import ENSEMBLE, GPU_ONLY, SINGLE

    rows = []
    tried = [(way, 1) for way in SINGLE] + [(way, runs) for runs in size.compared for way in ENSEMBLE]
    for way, runs in tried:
        if way in GPU_ONLY and not on_gpu:
            continue
        row: dict[str, Any] = {"way": way, "runs": runs}
        try:
            with Workers("benchmarks.pytorch_accelerator", [way, f"--runs={runs}"]) as worker:

                def train(steps: int, worker: Workers = worker) -> float:
                    return worker.ask(f"train {steps}")[1][0]["seconds"]

                steps = steps_per_call(train, size)
                timing = interleave({way: lambda: train(steps)}, size.repeats, {way: steps})[way]  # noqa: B023
                row |= {"us_per_step": timing.median * 1e6, "run_steps_per_second": runs / timing.median}
        except (RuntimeError, OSError) as error:
            row["error"] = str(error)
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a size for CPUs: whether everything runs")
    parser.add_argument("--out", default=str(machine.RESULTS), help="folder of the JSON and the figure")
    parser.add_argument("--sections", nargs="+", help="some of them; the rest of the JSON there stays")
    options = parser.parse_args()
    size = TINY if options.tiny else Size()
    from collapse_jax.system import runtime

    runtime.start(devices=1)
    import jax

    from benchmarks import accelerator_figure

    began = time.monotonic()
    device = jax.devices()[0]
    on_gpu, largest = device.platform == "gpu", size.compared[-1]

    def series(experiments: list[Any]) -> list[dict[str, Any]]:
        rows = [rate(experiment, size) for experiment in experiments]
        print(table(rows), flush=True)
        return rows

    sections: dict[str, Callable[[], Any]] = {
        "ceilings": lambda: ceilings(size),
        "runs": lambda: series([experiment_of(runs) for runs in size.runs]),
        "pytorch": lambda: opponents(size, on_gpu),
        "tf32": lambda: series([experiment_of(runs, precision="default") for runs in size.compared]),
        "tf32x3": lambda: series([experiment_of(runs, precision="high") for runs in size.compared]),
        "bits": lambda: bits(size.compared[0]),
        "tiles": lambda: series([experiment_of(largest, tile=tile) for tile in size.tiles]),
        "transformer": lambda: series([experiment_of(runs, "transformer") for runs in size.models]),
        "cnn": lambda: series([experiment_of(runs, "cnn") for runs in size.models]),
        "measures_seconds_per_run_snapshot": lambda: families(size),
    }
    if unknown := sorted(set(options.sections or ()) - sections.keys()):
        parser.error(f"--sections {' '.join(unknown)}: there are {', '.join(sections)}")
    found = accelerator_figure.read(options.out) if options.sections else {}
    found |= {"device": device.device_kind, "floor_bytes": floor_bytes()}
    further = [] if options.tiny else ["tiles"]
    for name in options.sections or [name for name in sections if name not in further]:
        found[name] = sections[name]()
        found["seconds"] = time.monotonic() - began
        print(f"{name}: {found[name]} ({found['seconds']:.0f} s)\n", flush=True)
        accelerator_figure.write(found, options.out)  # whatever comes later


def table(rows: list[dict[str, Any]]) -> str:
    """Show rates as text."""
    shown = [
        (
            f"{row['runs']} / {row['tile']}",
            *([row["error"], "", ""] if "error" in row else _numbers(row)),
        )
        for row in rows
    ]
    return layout(("runs / tile", "run-steps/s", "us per step", "MB"), shown)


def _numbers(row: dict[str, Any]) -> list[str]:
    return [f"{row['run_steps_per_second']:,.0f}", f"{row['us_per_step']:.1f}", f"{row['memory_bytes'] / 1e6:.0f}"]


if __name__ == "__main__":
    main()
