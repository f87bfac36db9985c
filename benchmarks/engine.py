"""The engine's own programs, called directly, and the matrix product that bounds them. Import after `start`."""

import dataclasses
import importlib.util
import itertools
from types import ModuleType

import jax
import jax.numpy as jnp

from benchmarks import machine
from collapse_jax.engine.compile import compile_programs
from collapse_jax.engine.packing import RUN, Layout, choose_layout
from collapse_jax.experiment import config, grid
from collapse_jax.experiment.choices import filled
from collapse_jax.system import runtime

PEAK_SIZE, PEAK_PRODUCTS = 1024, 20


def main_experiment(**changes) -> config.Experiment:
    """Return the experiment of configs/mnist_mlp.py, fields replaced."""
    return named_experiment("mnist_mlp", **changes)


def named_experiment(name: str, argument: str = "", **changes) -> config.Experiment:
    """Return the experiment of a file in configs/, fields replaced."""
    return filled(dataclasses.replace(_load(name).get_config(argument), **changes))


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, machine.ROOT / "configs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def training_only(experiment: config.Experiment) -> config.Experiment:
    """Return the experiment with measures and snapshots so small that they compile at once."""
    return dataclasses.replace(
        experiment,
        measures=("norms",),
        task=dataclasses.replace(experiment.task, test_size=1),
        snapshots=config.Snapshots(content=()),
    )


class Engine:
    """The compiled programs of an experiment with the states of its runs."""

    def __init__(self, experiment: config.Experiment):
        self.runs = len(grid.grid_runs(experiment.grid))
        self.layout = choose_layout(experiment.packing, self.runs)
        with runtime.numbers(experiment):
            self.programs = compile_programs(experiment, self.layout)
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self.states = jax.block_until_ready(self.programs.initial())
        self.step = 0

    def train(self, steps: int) -> None:
        """Advance all runs and wait for them."""
        self.states = self.programs.advance(self.states, self.step, self.step + steps)
        self.step += steps
        jax.block_until_ready(self.states)

    def measure(self) -> None:
        """Take the in-line measures of all runs and wait for them."""
        jax.block_until_ready(self.programs.measure(self.states))


def flops_per_run_step(experiment: config.Experiment, inputs: int = 784, classes: int = 10) -> int:
    """Count multiplications and additions of the matrix products: forward, weight and input gradients.

    The first layer needs no gradient of its inputs.
    """
    sizes = (inputs, *experiment.model.hidden, classes)
    products = [a * b for a, b in itertools.pairwise(sizes)]
    batch = experiment.batch_size or experiment.task.train_size
    return 2 * batch * (2 * sum(products) + sum(products[1:]))


def bytes_per_run(experiment: config.Experiment, inputs: int = 784, classes: int = 10) -> int:
    """Predict the memory of a run in float32: parameters, two moments and one gradient."""
    sizes = (inputs, *experiment.model.hidden, classes)
    return 4 * 4 * sum((a + 1) * b for a, b in itertools.pairwise(sizes))


class MatmulPeak:
    """Float32 products of 1024 x 1024 matrices, one chain per device, all devices side by side."""

    def __init__(self, devices: int):
        layout = Layout(devices, devices, 1)

        def chain(a: jax.Array) -> jax.Array:
            return jax.lax.fori_loop(0, PEAK_PRODUCTS, lambda _, x: jnp.matmul(a[0], x), a[0])[None]

        lifted = jax.shard_map(chain, mesh=layout.mesh, in_specs=RUN, out_specs=RUN, check_vma=False)
        ones = jnp.full((devices, PEAK_SIZE, PEAK_SIZE), 1 / PEAK_SIZE, jnp.float32)
        self.matrices = jax.device_put(ones, jax.sharding.NamedSharding(layout.mesh, RUN))
        self.run = jax.jit(lifted).lower(self.matrices).compile()
        self.flops = devices * PEAK_PRODUCTS * 2 * PEAK_SIZE**3

    def __call__(self) -> None:
        """Multiply once through the chain."""
        jax.block_until_ready(self.run(self.matrices))
