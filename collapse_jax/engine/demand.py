"""What runs take of a device, found by compiling the programs of a single one."""

import dataclasses
from typing import Any

from collapse_jax import tasks
from collapse_jax.engine import packing
from collapse_jax.engine.compile import compile_for
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import traced_axes


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
