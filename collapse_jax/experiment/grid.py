"""The grid: named axes over hyperparameters, and the runs that they span."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from collapse_jax.experiment import config

AXES = config.HYPERPARAMETERS
# Every study of the field has these two, so they are dimensions of the results even with a single value.
ALWAYS_DIMENSIONS = ("weight_decay", "seed")


@struct.dataclass
class Hyperparameters:
    """The numbers of one run (or, with a leading axis, of all runs); traced, so none of them recompiles.

    Attributes:
      weight_decay: lambda.
      learning_rate: eta.
      init_scale: alpha, multiplies the initial parameters that the model's rule names.
      seed: uint32.
    """

    weight_decay: jax.Array
    learning_rate: jax.Array
    init_scale: jax.Array
    seed: jax.Array

    def key(self, purpose: int) -> jax.Array:
        """Return the random key of one run for one purpose.

        It depends on the run's own seed only: all weight decays of a seed share initial parameters and batches
        (a paired comparison), and no other run of the grid has a say.
        """
        return jax.random.fold_in(jax.random.key(self.seed), purpose)


def grid_runs(grid: config.Grid) -> list[dict[str, float]]:
    """Return the hyperparameters of every run, the last axis varying fastest."""
    axes = {name: getattr(grid, name) for name in AXES}
    if grid.mode == "product":
        combinations = list(itertools.product(*axes.values()))
    else:
        length = max(len(values) for values in axes.values())
        combinations = list(zip(*(v * length if len(v) == 1 else v for v in axes.values()), strict=True))
    return [dict(zip(axes, values, strict=True)) for values in combinations]


def stack_hyperparameters(runs: list[dict[str, float]]) -> Hyperparameters:
    """Stack the runs of `grid_runs` into arrays [R]."""
    columns = {name: np.array([run[name] for run in runs]) for name in AXES}
    return Hyperparameters(
        **{name: jnp.asarray(column, jnp.uint32 if name == "seed" else float) for name, column in columns.items()}
    )


def grid_dimensions(grid: config.Grid) -> dict[str, tuple]:
    """Return the dimensions of a product grid and their values, slowest first, as `grid_runs` orders them."""
    axes = {name: getattr(grid, name) for name in AXES}
    return {name: v for name, v in axes.items() if len(v) > 1 or name in ALWAYS_DIMENSIONS}
