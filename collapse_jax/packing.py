"""How runs are laid on the hardware: devices of a mesh axis `run`, and tiles of runs on each device."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from collapse_jax import config
from collapse_jax.errors import ConfigError

# Of an accelerator's memory, what the runs of a tile may take; the rest is for data, states and fragmentation.
MEMORY_SHARE = 0.5
RUN = PartitionSpec("run")
SHARED = PartitionSpec()


@dataclasses.dataclass(frozen=True)
class Layout:
    """A packing with every choice made.

    Attributes:
      runs: runs of the grid.
      devices: devices that share them.
      runs_per_tile: runs vmapped together; a device works through its tiles one after the other.
      why: the reason of the choice, for people.
    """

    runs: int
    devices: int
    runs_per_tile: int
    why: str = ""

    @property
    def padded(self) -> int:
        """Runs including the copies of the last one that fill the tiles; the copies are dropped on write."""
        block = self.devices * self.runs_per_tile
        return -(-self.runs // block) * block

    @property
    def mesh(self) -> jax.sharding.Mesh:
        """One axis, `run`; no program of the engine communicates along it."""
        auto = (jax.sharding.AxisType.Auto,)
        return jax.make_mesh((self.devices,), ("run",), auto, devices=jax.local_devices()[: self.devices])

    def record(self) -> dict[str, Any]:
        """Describe the packing for the manifest."""
        chosen = {"runs": self.runs, "devices": self.devices, "runs_per_tile": self.runs_per_tile}
        return chosen | {"backend": jax.default_backend(), "device_kind": jax.devices()[0].device_kind}


def choose_layout(packing: config.Packing, runs: int, bytes_per_run: Callable[[], int] | None = None) -> Layout:
    """Fill in the automatic choices of a packing for this backend.

    On CPU a run of its own per tile: its parameters and moments stay in the core's cache, and its bits do not
    depend on the grid. Elsewhere one wide tile, since small networks are bound by launches, but no wider than
    `MEMORY_SHARE` of the device's memory allows.

    Args:
      packing: what the experiment asks for; 0 means automatic.
      runs: runs of the grid.
      bytes_per_run: returns the working memory of one run in a tile; asked only where the device has a limit.

    Raises:
      ConfigError: more devices are asked for than there are.
    """
    available = jax.local_device_count()
    if packing.devices > available:
        raise ConfigError("packing.devices", packing.devices, f"this process has {available}")
    devices = packing.devices or min(available, runs)
    per_device = -(-runs // devices)
    if packing.runs_per_tile:
        return Layout(runs, devices, min(packing.runs_per_tile, per_device), "as asked")
    if jax.default_backend() == "cpu":
        return Layout(runs, devices, 1, "one core per device, one run at a time in its cache")
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    if limit is None or bytes_per_run is None:
        return Layout(runs, devices, per_device, "all runs of a device in one tile")
    fitting = max(int(limit * MEMORY_SHARE) // bytes_per_run(), 1)
    return Layout(runs, devices, min(per_device, fitting), f"up to {fitting} runs fit the device's memory")


def place(layout: Layout, tree: Any, *, shared: bool = False) -> Any:
    """Put arrays on the mesh: those with a run axis padded and split, shared ones copied to each device."""
    sharding = NamedSharding(layout.mesh, SHARED if shared else RUN)
    if not shared:
        tree = jax.tree.map(lambda leaf: _pad(leaf, layout.padded), tree)
    return jax.device_put(tree, sharding)


def _pad(leaf: Any, length: int) -> Any:
    repeats = jnp.minimum(jnp.arange(length), len(leaf) - 1)
    return leaf[repeats] if len(leaf) != length else leaf


def over_runs(layout: Layout, function: Callable[..., Any]) -> jax.stages.Wrapped:
    """Lift `function(run, *shared)` over the run axis of its first argument; jitted and sharded."""

    def device_part(runs: Any, *shared: Any) -> Any:
        return jax.lax.map(lambda run: function(run, *shared), runs, batch_size=_batch(layout.runs_per_tile))

    return jax.jit(_shard(layout, device_part, number_of_run_arguments=1))


def over_runs_in_place(layout: Layout, function: Callable[..., Any]) -> jax.stages.Wrapped:
    """Lift `function(state, run, *shared) -> state`; the state is donated and updated tile by tile."""
    tile = layout.runs_per_tile

    def device_part(states: Any, runs: Any, *shared: Any) -> Any:
        def one_tile(i: jax.Array, states: Any) -> Any:
            read = functools.partial(_read, start=i * tile, tile=tile)
            lifted = (lambda s, r: function(s, r, *shared)) if tile == 1 else _vmap_first_two(function, shared)
            new = lifted(jax.tree.map(read, states), jax.tree.map(read, runs))
            write = functools.partial(_write, start=i * tile, tile=tile)
            return jax.tree.map(write, states, new)

        tiles = jax.tree.leaves(states)[0].shape[0] // tile
        return jax.lax.fori_loop(0, tiles, one_tile, states)

    return jax.jit(_shard(layout, device_part, number_of_run_arguments=2), donate_argnums=0)


def _vmap_first_two(function: Callable[..., Any], shared: tuple) -> Callable[..., Any]:
    return jax.vmap(lambda s, r: function(s, r, *shared))


def _batch(tile: int) -> int | None:
    # `lax.map` without a batch size has no vmap at all: the program of one run stays as it is.
    return None if tile == 1 else tile


def _read(leaf: jax.Array, start: jax.Array, tile: int) -> jax.Array:
    if tile == 1:
        return jax.lax.dynamic_index_in_dim(leaf, start, keepdims=False)
    return jax.lax.dynamic_slice_in_dim(leaf, start, tile)


def _write(leaf: jax.Array, new: jax.Array, start: jax.Array, tile: int) -> jax.Array:
    update = jax.lax.dynamic_update_index_in_dim if tile == 1 else jax.lax.dynamic_update_slice_in_dim
    return update(leaf, new, start, 0)


def _shard(layout: Layout, function: Callable[..., Any], number_of_run_arguments: int) -> Callable[..., Any]:
    def sharded(*arguments: Any) -> Any:
        run_specs = (RUN,) * number_of_run_arguments
        specs = run_specs + (SHARED,) * (len(arguments) - number_of_run_arguments)
        return jax.shard_map(function, mesh=layout.mesh, in_specs=specs, out_specs=RUN, check_vma=False)(*arguments)

    return sharded
