"""What runs take of a device, found by compiling the programs of a single one."""

import dataclasses
import functools
from typing import Any

import jax

from collapse_jax import tasks
from collapse_jax.engine import packing
from collapse_jax.engine.compile import compile_for
from collapse_jax.engine.memory import bytes_of
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import traced_axes
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.training import init_run, make_recipe
from collapse_jax.training.hyperparameters import stack_hyperparameters


def require_memory(experiment: config.Experiment, data: tasks.Dataset, layout: packing.Layout) -> None:
    """Make sure that the states of the runs and the gradients of a tile fit: a lower bound, by shapes alone.

    Raises:
      ConfigError: they do not, on a device whose memory is known.
    """
    least = least_demand(experiment, data)
    limit, per_device = packing.device_memory(), -(-layout.runs // layout.devices)
    tile = min(experiment.packing.runs_per_tile or 1, per_device)
    if limit is not None and least.fitting(limit, per_device) < tile:
        raise packing.too_large(layout.runs, layout.devices, least, limit)


def least_demand(experiment: config.Experiment, data: tasks.Dataset) -> packing.Demand:
    """Return what runs take of a device at least, by shapes alone: their states, and the gradients of a tile."""
    recipe = make_recipe(experiment, data)
    hparams = jax.tree.map(lambda leaf: leaf[0], stack_hyperparameters(grid_runs(experiment.grid)[:1]))
    state = jax.eval_shape(functools.partial(init_run, recipe), hparams, data)
    return packing.Demand(bytes_of(data), bytes_of(state), bytes_of(state.params))


def demand(experiment: config.Experiment, device: Any = None) -> packing.Demand:
    """Return what runs take of a device, from the programs of a single run compiled for it.

    Args:
      experiment: a validated experiment.
      device: the device, which need not exist; None takes the first of this process.
    """
    # The terms of the step are those of the grid: an axis that it has stays.
    first: dict[str, Any] = {name: values[:1] for name, values in traced_axes(experiment.grid).items()}
    one = dataclasses.replace(experiment, grid=config.Grid(**first), packing=config.Packing(1, 1))
    layout = packing.Layout(1, 1, 1, hardware=(device,) if device is not None else ())
    data = tasks.load(experiment.task, experiment.dtype)
    of_one = compile_for(one, layout, data).memory(data)
    return packing.Demand(of_one.data, of_one.states + of_one.outputs, of_one.working)
