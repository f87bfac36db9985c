"""Sweeps whose runs retire: where the runs are that still are trained, and programs that go over these alone.

The runs that live come first on each device, so that a program goes through as many tiles as these fill. With one
run per tile nothing else changes: a retired run costs nothing, and the bits of the others stay. A wide tile is
halved when half of it holds all that live, by a program compiled for that width, which may give other last bits;
unless it would save less than the time to compile that program.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from collapse_jax.engine import packing
from collapse_jax.engine.packing import Layout

# Operations in about the time that one more program takes to compile: 5 s of a core, 25 s of a GPU at 16 TFLOP/s.
# Not measured anew each time, for a sweep that is killed and continued must take the same widths.
COMPILED = {"cpu": 5e11}
COMPILED_ELSEWHERE = 4e14


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the runs of a sweep are.

    Attributes:
      layout: of the slots.
      order: [padded] the run in each slot, -1 in one without.
      living: [devices] how many slots of each device, its first, hold runs that are trained.
    """

    layout: Layout
    order: np.ndarray
    living: np.ndarray

    def place(self, tree: Any) -> Any:
        """Put arrays [R, ...] on the devices."""
        return packing.place(self.layout, jax.tree.map(lambda leaf: np.asarray(leaf)[self.order], tree))

    def counts(self) -> jax.Array:
        """Put the number of its living on each device."""
        return jax.device_put(self.living, NamedSharding(self.layout.mesh, packing.RUN))

    def rows(self, tree: Any) -> Any:
        """Copy arrays from the devices: [R, ...] in the order of the grid."""
        slots = np.argsort(self.order)[-self.layout.runs :]
        return jax.tree.map(lambda leaf: np.asarray(leaf)[slots], tree)


def placement(layout: Layout, alive: np.ndarray, narrowest: int = 1) -> Placement:
    """Place the runs that live on as few tiles as they fill, shared by all devices; retired ones stay behind them.

    Args:
      layout: of a sweep of which all runs live.
      alive: [R] which do.
      narrowest: tile that is not halved.
    """
    tile = width(layout, int(alive.sum()), narrowest)
    layout = dataclasses.replace(layout, runs_per_tile=tile)
    runs = np.flatnonzero(alive)
    share = -(-len(runs) // (layout.devices * tile)) * tile
    rest = iter(np.flatnonzero(~alive).tolist())
    order, living = [], []
    for device in range(layout.devices):
        own = runs[device * share : (device + 1) * share].tolist()
        living.append(len(own))
        free = layout.padded // layout.devices - len(own)
        order += own + [next(rest, -1) for _ in range(free)]  # -1 takes the last run
    return Placement(layout, np.array(order), np.array(living, np.int32))


def width(layout: Layout, living: int, narrowest: int = 1) -> int:
    """Return the runs of a tile: those of the layout, halved as often as the living of a device fit into one."""
    tile, needed = layout.runs_per_tile, -(-living // layout.devices)
    while tile > narrowest and -(-tile // 2) >= needed:
        tile = -(-tile // 2)
    return tile


def narrowest(layout: Layout, operations: float) -> int:
    """Return the narrowest tile for which a program is compiled.

    Args:
      layout: of the sweep.
      operations: of the training of one run, to its last step; those of half a tile are what halving can save.
    """
    tile, worth = layout.runs_per_tile, COMPILED.get(layout.mesh.devices.flat[0].platform, COMPILED_ELSEWHERE)
    while tile > 1 and tile // 2 * operations >= worth:
        tile = -(-tile // 2)
    return tile


def over_living(layout: Layout, function: Callable[..., Any]) -> jax.stages.Wrapped:
    """Lift `function(run, *shared)` as `packing.over_runs`, over the living: (runs, living, *shared) -> values.

    Other slots hold zeros, or what a tile that is not full has besides. The only tile of a device goes through the
    program that a sweep without a stop rule has, for the same bits.
    """
    tile = layout.runs_per_tile
    only = tile > 1 and layout.padded == layout.devices * tile

    def device_part(runs: Any, living: jax.Array, *shared: Any) -> Any:
        one = lambda run: function(run, *shared)  # noqa: E731
        if only:
            return packing.each_run(one, runs, tile)
        lifted = one if tile == 1 else jax.vmap(one)
        shapes = jax.eval_shape(functools.partial(jax.lax.map, one), runs)
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

        def one_tile(i: jax.Array, done: Any) -> Any:
            new = lifted(packing.read_tile(runs, i, tile))
            return packing.write_tile(done, new, i, tile)

        return jax.lax.fori_loop(0, _tiles(living, tile), one_tile, empty)

    return jax.jit(packing.sharded(layout, device_part, number_of_run_arguments=2))


def over_living_in_place(layout: Layout, function: Callable[..., Any]) -> jax.stages.Wrapped:
    """Lift `function(state, run, *shared) -> state` as `packing.over_runs_in_place`, over the living.

    The lifted function takes (states, runs, living, *shared); the states of the other slots stay what they are.
    """
    tile = layout.runs_per_tile

    def device_part(states: Any, runs: Any, living: jax.Array, *shared: Any) -> Any:
        one = lambda state, run: function(state, run, *shared)  # noqa: E731
        lifted = one if tile == 1 else jax.vmap(one)

        def one_tile(i: jax.Array, states: Any) -> Any:
            old = packing.read_tile(states, i, tile)
            new = lifted(old, packing.read_tile(runs, i, tile))
            if tile > 1:
                lives = i * tile + jnp.arange(tile) < living[0]
                new = jax.tree.map(functools.partial(_chosen, lives), new, old)
            return packing.write_tile(states, new, i, tile)

        return jax.lax.fori_loop(0, _tiles(living, tile), one_tile, states)

    return jax.jit(packing.sharded(layout, device_part, number_of_run_arguments=3), donate_argnums=0)


def _tiles(living: jax.Array, tile: int) -> jax.Array:
    return (living[0] + tile - 1) // tile


def _chosen(lives: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(lives.reshape(-1, *[1] * (new.ndim - 1)), new, old)
