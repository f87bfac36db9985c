"""A training step of every network but the MLP, ours and in PyTorch in its best arrangement, in one series each.

Command: python -m benchmarks.networks             (minutes on 2 cores)
         python -m benchmarks.networks --tiny      (a step each)

Ours with one run per core; PyTorch as one process with all cores and as one one-thread process per core, each in
both memory formats where there are convolutions, and the transformer also with a last layer that computes the CLS
token alone, as ours does. Batch 100, AdamW, squared error; `sweep_speed` has the MLP.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.interleave import Comparison, interleave
from benchmarks.opponents import ARRANGEMENTS
from benchmarks.workers import Workers

# Network -> (config, fields of its model, steps of a timed call).
NETWORKS: dict[str, tuple[str, dict[str, Any], int]] = {
    "cnn": ("cnn_mnist", {}, 40),
    "resnet18_width_8": ("resnet18_cifar10", {"width": 8}, 12),
    "resnet18_width_16": ("resnet18_cifar10", {"width": 16}, 6),
    "transformer": ("transformer_mnist", {}, 40),
}
OURS = "collapse_jax, one run per core"
EXAMPLES = 1000


def main() -> None:
    """Time, print, and write benchmarks/results/networks.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="one step, one round")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    from collapse_jax.system import runtime

    runtime.start(training=True)
    found = {}
    for name in arguments.networks:
        steps = 1 if arguments.tiny else NETWORKS[name][2]
        compared = compare(name, steps, 1 if arguments.tiny else arguments.repeats)
        opponents = {way: t for way, t in compared.timings.items() if way != OURS}
        best = min(opponents, key=lambda way: opponents[way].median)
        print(compared.table(f"run-step, {name}"))
        print(f"{name}: {compared.ratio(best):.2f} x {best}\n", flush=True)
        found[name] = compared.record() | {"best": best, "times_faster": compared.ratio(best)}
    if not arguments.tiny:
        print(machine.write("networks", {"networks": found}))


def compare(name: str, steps: int, repeats: int) -> Comparison:
    """Time one network in every way."""
    engine, runs = _ours(name)
    ways, work = {OURS: lambda: engine.train(steps)}, {OURS: steps * runs}
    with _theirs(name) as opponents:
        for way, workers, processes in opponents:
            ways[way] = lambda workers=workers: workers.ask(f"train {steps}")[0]
            work[way] = steps * processes
        return interleave(ways, repeats, work)


def _ours(name: str) -> tuple[Any, int]:
    """Return the engine of as many runs as there are cores, and their number."""
    import jax

    from benchmarks.engine import Engine, named_experiment, training_only

    config, fields, _ = NETWORKS[name]
    base = training_only(named_experiment(config))
    seeds = tuple(range(jax.local_device_count()))
    grid = dataclasses.replace(base.grid, weight_decay=base.grid.weight_decay[:1], seed=seeds)
    model = dataclasses.replace(base.model, **fields)
    with tempfile.TemporaryDirectory() as folder:
        task = dataclasses.replace(base.task, train_size=EXAMPLES)
        if config == "resnet18_cifar10":
            task = dataclasses.replace(task, dataset=str(_images(pathlib.Path(folder))))
        return Engine(dataclasses.replace(base, grid=grid, model=model, task=task)), len(seeds)


def _images(folder: pathlib.Path) -> pathlib.Path:
    """Write random images of the shape of CIFAR-10."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", EXAMPLES), ("test", 10)):
        arrays[f"{part}_inputs"] = rng.integers(256, size=(count, 32, 32, 3), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(count, dtype=np.uint8) % 10
    np.savez(folder / "images.npz", **arrays)
    return folder / "images.npz"


@contextlib.contextmanager
def _theirs(name: str) -> Iterator[list[tuple[str, Workers, int]]]:
    """Start PyTorch in every arrangement; yields (name, workers, processes)."""
    variants = {(name,): "", (name, "--channels_last"): ", channels last"}
    if name == "transformer":
        variants = {(name,): "", ("transformer_cls_alone",): ", CLS alone"}
    with contextlib.ExitStack() as stack:
        ways = []
        for arrangement, (processes, threads) in ARRANGEMENTS.items():
            for variant, title in variants.items():
                options = [*variant, f"--threads={threads}"]
                workers = stack.enter_context(Workers("benchmarks.pytorch_networks", options, processes))
                ways.append((f"PyTorch, {arrangement}{title}", workers, processes))
        yield ways


if __name__ == "__main__":
    main()
