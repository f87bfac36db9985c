"""Times one packing in this process; `bench` starts it once per candidate."""

import dataclasses
import functools
import json
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax import tasks
from collapse_jax.engine import packing
from collapse_jax.experiment import config, grid
from collapse_jax.planning.bench import Timing
from collapse_jax.system import runtime
from collapse_jax.training import advance_run, init_run, make_recipe, run
from collapse_jax.training.hyperparameters import stack_hyperparameters
from collapse_jax.workdir.record import read_experiment

SECONDS = 4.0  # of training that a candidate is timed for
MATRIX = 1024  # order of the float32 product that defines the peak


def time_candidate(experiment: config.Experiment) -> Timing:
    """Time the packing of an experiment in this process."""
    runs = grid.grid_runs(experiment.grid)
    layout = packing.choose_layout(experiment.packing, len(runs))
    runs = runs[: 2 * layout.devices * layout.runs_per_tile]
    layout = dataclasses.replace(layout, runs=len(runs))
    data = tasks.load(experiment.task, experiment.dtype)
    recipe = make_recipe(experiment, data)
    data = packing.place(layout, data, shared=True)
    hparams = packing.place(layout, stack_hyperparameters(runs))
    states = packing.over_runs(layout, functools.partial(init_run, recipe))(hparams, data)
    advance = packing.over_runs_in_place(layout, functools.partial(advance_run, recipe))
    states, steps, best = advance(states, hparams, data, np.int32(0), np.int32(1)), 10, 0.0
    deadline = time.perf_counter() + SECONDS
    while time.perf_counter() < deadline:
        jax.block_until_ready(states)
        began = time.perf_counter()
        states = jax.block_until_ready(advance(states, hparams, data, np.int32(0), np.int32(steps)))
        seconds = time.perf_counter() - began
        best = max(best, layout.padded * steps / seconds)
        if seconds < SECONDS / 8:
            steps *= 2
    cost = _cost_of_step(recipe, stack_hyperparameters(runs[:1]), data)
    return Timing(
        layout.devices, layout.runs_per_tile, best, cost["flops"], cost["bytes accessed"], _peak(layout.devices)
    )


def _cost_of_step(recipe: Any, hparams: Any, data: Any) -> dict[str, float]:
    """XLA's count of one step of one run."""
    h = jax.tree.map(lambda leaf: leaf[0], hparams)
    size, own = recipe.batch_size, data.of(h)
    batch = (own.train_inputs[:size], own.train_labels[:size], None)
    batch = jax.device_put(batch, jax.devices()[0])
    state = run.transposed(run.init_run(recipe, h, jax.device_put(data, jax.devices()[0])))
    constants = run.constants_of(recipe, h, own)
    step = jax.jit(lambda s, h, b, c: run.update(recipe, s, h, b, jnp.int32(0), constants=c))
    return step.lower(state, h, batch, constants).compile().cost_analysis() or {}


def _peak(devices: int) -> float:
    """Operations per second of square float32 products, one at a time on each of the devices."""
    layout = packing.Layout(devices, devices, 1)
    repeats = 20

    def multiply(a: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, repeats, lambda _, x: (x @ x) * 1e-3, a)

    product = packing.over_runs(layout, multiply)
    matrices = packing.place(layout, jnp.ones((devices, MATRIX, MATRIX)))
    jax.block_until_ready(product(matrices))
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        jax.block_until_ready(product(matrices))
        seconds.append(time.perf_counter() - began)
    return devices * repeats * 2 * MATRIX**3 / min(seconds)


def main() -> None:
    """Time the experiment that standard input describes and print the result as JSON."""
    experiment = read_experiment({"experiment": json.load(sys.stdin)})
    runtime.start(experiment.packing.devices, training=True)
    with runtime.numbers(experiment):
        print(json.dumps(dataclasses.asdict(time_candidate(experiment))))


if __name__ == "__main__":
    main()
