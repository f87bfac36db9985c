"""What a run-step and a log point cost, by XLA's count, and the time that they cannot be faster than."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.engine.compile import Compiled
from collapse_jax.engine.memory import bytes_of
from collapse_jax.engine.operations import of_products
from collapse_jax.planning.chips import Chip
from collapse_jax.training import Recipe, run


@dataclasses.dataclass(frozen=True)
class Cost:
    """Operations and bytes of memory traffic of one run, caches ignored."""

    flops: float
    bytes: float

    def seconds(self, chip: Chip, precision: str) -> float:
        """Return the roofline: the longer of the time to compute and the time to move the bytes."""
        return max(self.flops / chip.flops[precision], self.bytes / chip.bandwidth)

    def bound(self, chip: Chip, precision: str) -> str:
        """Return which of the two it is."""
        return "memory" if self.bytes / chip.bandwidth > self.flops / chip.flops[precision] else "compute"


def of_step(recipe: Recipe, compiled: Compiled, data: Any, tile: int, device: Any) -> Cost:
    """Return the cost of one training step per run, with `tile` runs vmapped on a device."""
    return _per_run(
        traced_step(recipe, compiled.states, compiled.hparams, data, tile, device).lower().compile(), tile
    )


def of_shapes(recipe: Recipe, states: Any, hparams: Any, data: Any, device: Any) -> Cost:
    """Return the least cost of a training step of one run, from its program before any compiler has seen it.

    Operations are those of its products and convolutions; bytes those of the state, read and written, and of the
    batch.

    Args:
      recipe: what is fixed for all runs.
      states: shapes [1, ...] of the state of one run.
      hparams: shapes [1] of its hyperparameters.
      data: the task's.
      device: for which the program is written.
    """
    operations = of_products(traced_step(recipe, states, hparams, data, 1, device).jaxpr.jaxpr)
    batch = recipe.batch_size * data.train_inputs[0].nbytes
    return Cost(operations, 2 * bytes_of(states) + batch)


def traced_step(recipe: Recipe, states: Any, hparams: Any, data: Any, tile: int, device: Any) -> jax.stages.Traced:
    """Write the program of one training step of `tile` runs, from the shapes of their states [R, ...]."""
    sharding = jax.sharding.SingleDeviceSharding(device)

    def stacked(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((tile, *leaf.shape[1:]), leaf.dtype, sharding=sharding)

    states = jax.tree.map(stacked, jax.eval_shape(jax.vmap(run.transposed), states))
    hparams = jax.tree.map(stacked, hparams)
    size = recipe.batch_size
    inputs = jax.ShapeDtypeStruct(
        (tile, size, *data.train_inputs.shape[1:]), data.train_inputs.dtype, sharding=sharding
    )
    labels = jax.ShapeDtypeStruct((tile, size), data.train_labels.dtype, sharding=sharding)
    held = jax.eval_shape(jax.vmap(lambda h: run.constants_of(recipe, h, data.of(h))), hparams)
    constants = jax.tree.map(stacked, held)

    def step(state: Any, h: Any, inputs: jax.Array, labels: jax.Array, constants: Any) -> Any:
        return run.update(recipe, state, h, (inputs, labels, None), jnp.int32(0), constants=constants)

    return jax.jit(jax.vmap(step), donate_argnums=0).trace(states, hparams, inputs, labels, constants)


def of_log_point(compiled: Compiled, tile: int) -> Cost:
    """Return the cost of the in-line measures per run and log point."""
    return _per_run(compiled.measure, tile)


def _per_run(program: jax.stages.Compiled, runs: int) -> Cost:
    counted = program.cost_analysis() or {}
    return Cost(counted.get("flops", 0.0) / runs, counted.get("bytes accessed", 0.0) / runs)
