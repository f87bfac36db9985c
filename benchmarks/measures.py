"""Measures of a whole sweep against loops over snapshots in PyTorch, numpy and trees: seconds per run-snapshot.

Command: python -m benchmarks.measures [--workdir=runs/mnist_mlp] [--devices=1 --tile=15]

With the workdir of a sweep that stored parameters its features are measured, at the first and the last of the steps
below; else those of random ReLU layers, whose classes are contracted. Against others values alone are taken, which
is all that these compute; families also with their default nulls (20 permutations) and errors.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import collapse_jax
from benchmarks import machine, measures_opponents
from benchmarks.interleave import Comparison, interleave
from collapse_jax.engine import packing
from collapse_jax.experiment import config
from collapse_jax.measures import MEASURES, Probe, Snapshot
from collapse_jax.measures.estimators.codes import principal_components, unit_variance
from collapse_jax.measures.estimators.ksg import ksg_information
from collapse_jax.system import runtime
from collapse_jax.tasks.mnist import load

# Devices, and runs that are vmapped together on each. On a CPU of 2 cores and jax 0.10.2, programs with batched
# factorisations hang on two devices at once: either one run at a time on both, or a wide tile on one.
DEVICES, TILE = 2, 1
RUNS, WIDTH, BATCH, DIM, NEIGHBOURS = 30, 200, 100, 4, 5
# How much of the within-class deviations is left: before and after the collapse.
COLLAPSE = {"early": 1.0, "late": 0.05}
EARLY = 0.01  # of the steps of a sweep


class RandomSweep:
    """Features of `RUNS` random ReLU layers on MNIST, whose classes can be contracted."""

    def __init__(self) -> None:
        data = load(config.Task())
        self.inputs, self.labels = np.asarray(data.test_inputs).reshape(-1, 784), np.asarray(data.test_labels)
        self.train_labels = np.asarray(data.train_labels)
        train_inputs = np.asarray(data.train_inputs).reshape(-1, 784)
        rng = np.random.default_rng(0)
        kernels = rng.normal(size=(RUNS, 784, WIDTH)).astype(np.float32) / 28
        self.train = np.stack([np.maximum(train_inputs @ kernel, 0) for kernel in kernels])
        self.test = np.stack([np.maximum(self.inputs @ kernel, 0) for kernel in kernels])

    def features(self, stage: str) -> np.ndarray:
        """Test features [10000, D] of the first run, "early" or "late"."""
        left = COLLAPSE[stage]
        one_hot = np.eye(10, dtype=np.float32)[self.labels]
        means = (one_hot.T @ self.test[0]) / one_hot.sum(0)[:, None]
        return means[self.labels] + left * (self.test[0] - means[self.labels])


class StoredSweep:
    """Features of all runs of a sweep that stored parameters, at its last step."""

    def __init__(self, workdir: str) -> None:
        snapshots = collapse_jax.open_snapshots(workdir)
        last = snapshots.steps[-1]
        steps = {"early": min(snapshots.steps, key=lambda step: abs(step - last * EARLY)), "late": last}
        data = snapshots.data
        self.inputs = np.asarray(data.test_inputs).reshape(len(data.test_inputs), -1)
        self.labels, self.train_labels = np.asarray(data.test_labels), np.asarray(data.train_labels)
        runs = [snapshots.snapshot(last, run) for run in range(len(snapshots.runs))]
        self.train, self.test = (
            np.stack([np.asarray(getattr(run, part).features) for run in runs]) for part in ("train", "test")
        )
        self._first = {stage: np.asarray(snapshots.snapshot(step).test.features) for stage, step in steps.items()}

    def features(self, stage: str) -> np.ndarray:
        """Test features [N, D] of the first run, "early" or "late"."""
        return self._first[stage]


def codes(sweep: Any, stage: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes [N, 4] of the features of the first run and of the inputs."""
    code = jax.jit(lambda points: unit_variance(principal_components(points, DIM)))
    return np.asarray(code(sweep.features(stage))), np.asarray(code(sweep.inputs))


def ours(name: str, features: np.ndarray, labels: np.ndarray, inputs: np.ndarray | None, **options) -> Callable:
    """The measure of all runs as the engine takes it: tiles of runs, vmapped, on every device."""
    layout = packing.Layout(len(features), DEVICES, TILE)

    def one(features: jax.Array, labels: jax.Array, inputs: jax.Array | None) -> dict[str, jax.Array]:
        snapshot = Snapshot(Probe(features, labels, inputs=inputs), num_classes=10)
        return MEASURES[name].function(snapshot, **options)

    program = packing.over_runs(layout, one)
    runs = packing.place(layout, jnp.asarray(features))
    shared = packing.place(layout, (labels, inputs), shared=True)
    return lambda: jax.block_until_ready(program(runs, *shared))


def compare_collapse(sweep: Any, repeats: int) -> Comparison:
    batched = ours("collapse", sweep.train, sweep.train_labels, None)
    arguments = sweep.train[0], sweep.train_labels
    ways = {
        "collapse_jax, all runs": lambda: discard(batched),
        "PyTorch, DataLoader": lambda: discard(measures_opponents.collapse_loader, *arguments, BATCH),
        "numpy, whole arrays": lambda: discard(measures_opponents.collapse_numpy, *arguments),
    }
    return interleave(ways, repeats, {"collapse_jax, all runs": len(sweep.test)})


def compare_nhsic(sweep: Any, repeats: int) -> Comparison:
    batched = ours(
        "nhsic", sweep.test, sweep.labels, sweep.inputs, mode="reference", batch_size=BATCH, permutations=0
    )
    arguments = sweep.test[0], sweep.inputs, sweep.labels, BATCH
    ways = {
        "collapse_jax, all runs": lambda: discard(batched),
        "PyTorch, batch by batch": lambda: discard(measures_opponents.nhsic_torch, *arguments),
    }
    return interleave(ways, repeats, {"collapse_jax, all runs": len(sweep.test)})


def compare_neighbours(sweep: Any, stage: str, repeats: int) -> Comparison:
    z, x = codes(sweep, stage)
    layout = packing.Layout(2, min(2, jax.local_device_count()), 1)
    program = packing.over_runs(layout, lambda z, x: ksg_information(z, x, NEIGHBOURS))
    first, second = packing.place(layout, jnp.stack([z, z])), packing.place(layout, jnp.asarray(x), shared=True)
    values = {"collapse_jax, 2 snapshots": lambda: program(first, second)[0]}
    for name in ("kd_tree", "ball_tree"):
        values[f"scikit-learn, {name}"] = lambda name=name: measures_opponents.ksg_sklearn(z, x, NEIGHBOURS, name)
    values["scipy, cKDTree"] = lambda: measures_opponents.ksg_scipy(z, x, NEIGHBOURS)
    found = {name: float(value()) for name, value in values.items()}
    if np.ptp(list(found.values())) > 1e-3:
        raise RuntimeError(f"the ways do not agree: {found}")
    ways = {
        name: lambda value=value: discard(lambda: jax.block_until_ready(value())) for name, value in values.items()
    }
    return interleave(ways, repeats, {"collapse_jax, 2 snapshots": 2})


def family_costs(sweep: Any, repeats: int) -> Comparison:
    """Seconds per run-snapshot of every family and setting, on the test set: values alone, and as by default."""
    alone = {"permutations": 0, "partitions": 0}
    settings = {
        "nhsic, value": ("nhsic", {"permutations": 0}),
        "nhsic": ("nhsic", {}),
        "nhsic, reference": ("nhsic", {"mode": "reference"}),
        "mutual_information, 2000, value": ("mutual_information", {"samples": 2000, **alone}),
        "mutual_information, 2000": ("mutual_information", {"samples": 2000}),
        "mutual_information, reference, 2000": ("mutual_information", {"samples": 2000, "mode": "reference"}),
        "noisy_channel, 2000, value": ("noisy_channel", {"samples": 2000, **alone}),
        "noisy_channel, 2000": ("noisy_channel", {"samples": 2000}),
    }
    some = sweep.test[:8]
    programs = {
        label: ours(name, some, sweep.labels, sweep.inputs, **options)
        for label, (name, options) in settings.items()
    }
    ways = {label: lambda program=program: discard(program) for label, program in programs.items()}
    return interleave(ways, repeats, dict.fromkeys(ways, len(some)))


def discard(function: Callable, *arguments) -> None:
    """Call it and forget its result: a number would be taken for seconds."""
    function(*arguments)


def main() -> None:
    global DEVICES, TILE
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--tile", type=int, default=TILE)
    parser.add_argument("--workdir", help="of a sweep that stored parameters")
    arguments = parser.parse_args()
    repeats, DEVICES, TILE = arguments.repeats, arguments.devices, arguments.tile
    runtime.start(devices=DEVICES)
    sweep = StoredSweep(arguments.workdir) if arguments.workdir else RandomSweep()
    sections = {
        "NC measures, 1000 x 200": lambda: compare_collapse(sweep, repeats),
        "nHSIC, 10,000 x 200": lambda: compare_nhsic(sweep, repeats),
        "KSG, 10,000 x (4 + 4), early": lambda: compare_neighbours(sweep, "early", repeats),
        "KSG, 10,000 x (4 + 4), late": lambda: compare_neighbours(sweep, "late", repeats),
        "families, 8 runs x 10,000": lambda: family_costs(sweep, max(repeats // 2, 1)),
    }
    found = {}
    for title, section in sections.items():
        found[title] = section()
        print(found[title].table(f"{title}; per run-snapshot"), end="\n\n", flush=True)
    layout = {
        "devices": DEVICES,
        "runs_per_tile": TILE,
        "features": "of a sweep" if arguments.workdir else "random",
    }
    content = {title: comparison.record() for title, comparison in found.items()}
    machine.write("measures", layout | content, f"measures_{DEVICES}_devices")


if __name__ == "__main__":
    main()
