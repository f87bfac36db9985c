"""How runs are laid on the hardware: devices of a mesh axis `run`, and tiles of runs on each device."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from collapse_jax.errors import ConfigError
from collapse_jax.experiment import config
from collapse_jax.system import runtime

# Of a device's memory, what a sweep may plan with; the rest is for fragmentation and what XLA adds.
MEMORY_SHARE = 0.8
SAFE_VERSION = (0, 12)  # of jax, see `require_one_by_one`
RUN = PartitionSpec("run")
SHARED = PartitionSpec()


@dataclasses.dataclass(frozen=True)
class Demand:
    """Bytes that a sweep takes on a device.

    Attributes:
      shared: once per device: the data.
      per_run: for every run of the device, all the time: its state, and the measures and snapshot handed out.
      per_tile_run: for every run of the tile at work: gradient, activations, temporaries of measures.
    """

    shared: int
    per_run: int
    per_tile_run: int

    def fitting(self, limit: int, runs: int) -> int:
        """Return how many of a device's `runs` fit into one tile, 0 where not even their states do."""
        free = int(limit * MEMORY_SHARE) - self.shared - runs * self.per_run
        return max(min(free // self.per_tile_run, runs), 0)


@dataclasses.dataclass(frozen=True)
class Layout:
    """A packing with every choice made.

    Attributes:
      runs: runs of the grid.
      devices: devices that share them.
      runs_per_tile: runs vmapped together; a device works through its tiles one after the other.
      why: the reason of the choice, for people.
      hardware: the devices themselves; () takes the first of this process.
    """

    runs: int
    devices: int
    runs_per_tile: int
    why: str = ""
    hardware: tuple[Any, ...] = ()

    @property
    def padded(self) -> int:
        """Runs including the copies of the last one that fill the tiles; the copies are dropped on write."""
        block = self.devices * self.runs_per_tile
        return -(-self.runs // block) * block

    @property
    def mesh(self) -> jax.sharding.Mesh:
        """One axis, `run`; no program of the engine communicates along it."""
        auto = (jax.sharding.AxisType.Auto,)
        devices = self.hardware or jax.local_devices()
        return jax.sharding.Mesh(np.array(devices[: self.devices]), ("run",), axis_types=auto)

    def record(self) -> dict[str, Any]:
        """Describe the packing for the manifest; `threads` share the host devices of a CPU."""
        chosen = {"runs": self.runs, "devices": self.devices, "runs_per_tile": self.runs_per_tile}
        backend = jax.default_backend()
        threads = {"threads": runtime.shared_threads()} if backend == "cpu" else {}
        return chosen | {"backend": backend, "device_kind": jax.devices()[0].device_kind} | threads


def settle_packing(packing: config.Packing, recorded: Mapping[str, Any]) -> config.Packing:
    """Fill the automatic choices of a packing with what a begun sweep has recorded, {} for a new one."""
    return config.Packing(
        **{name: chosen or int(recorded.get(name, 0)) for name, chosen in dataclasses.asdict(packing).items()}
    )


def choose_layout(packing: config.Packing, runs: int, demand: Callable[[], Demand] | None = None) -> Layout:
    """Fill in the automatic choices of a packing for this backend.

    On CPU a run of its own per tile: its parameters and moments stay in the core's cache, and its bits do not
    depend on the grid. Elsewhere one wide tile, since small networks are bound by launches, but no wider than
    the device's memory allows.

    Args:
      packing: what the experiment asks for; 0 means automatic.
      runs: runs of the grid.
      demand: returns what the sweep takes of memory; asked only where the device has a limit.

    Raises:
      ConfigError: more devices are asked for than there are, or the states of the runs do not fit.
    """
    available = jax.local_device_count()
    if packing.devices > available:
        allowed = f"jax runs already in this process, with {available} device(s); begin a new one"
        raise ConfigError("packing.devices", packing.devices, allowed)
    # On CPU all cores, whatever the grid, since XLA compiles other bits for one device than for two.
    on_cpu = jax.default_backend() == "cpu"
    devices = packing.devices or (available if on_cpu else min(available, runs))
    per_device = -(-runs // devices)
    if packing.runs_per_tile:
        return Layout(runs, devices, min(packing.runs_per_tile, per_device), "as asked")
    if on_cpu:
        return Layout(runs, devices, 1, "one core per device, one run at a time in its cache")
    limit = device_memory()
    if limit is None or demand is None:
        return Layout(runs, devices, per_device, "all runs of a device in one tile")
    needed = demand()
    fitting = needed.fitting(limit, per_device)
    if not fitting:
        raise too_large(runs, devices, needed, limit)
    return Layout(runs, devices, fitting, f"{fitting} of its {per_device} runs at a time fit a device's memory")


def require_one_by_one(factorising: Sequence[str], packing: config.Packing, version: str = jax.__version__) -> None:
    """Refuse to factorise batches of matrices in the training loop where that hangs.

    On CPU, several host devices that take an SVD or an eigendecomposition of a batch of matrices inside a loop
    wait for each other's threads for ever, in about half of the tries with jax 0.10.2 and in none with jax 0.12. A
    tile of runs makes a batch of any matrix, so there it must be one run per tile, which is the default; the term
    itself must take its matrices one by one (`lax.map`, no `vmap`, no stack).

    Args:
      factorising: names of the terms of the step that factorise.
      packing: what the experiment asks for.
      version: of jax.

    Raises:
      ConfigError: such a term, and more than one run per tile.
    """
    affected = jax.default_backend() == "cpu" and tuple(map(int, version.split(".")[:2])) < SAFE_VERSION
    if factorising and affected and packing.runs_per_tile > 1:
        names = ", ".join(factorising)
        allowed = f"{names} factorises matrices; with jax {version} on CPU that needs one run per tile, or it hangs"
        raise ConfigError("packing.runs_per_tile", packing.runs_per_tile, allowed)


def device_memory() -> int | None:
    """Return the bytes of a device; on CPU its share of the machine's memory; None where it is not known."""
    if jax.default_backend() == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // jax.local_device_count()
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def too_large(runs: int, devices: int, demand: Demand, limit: int) -> ConfigError:
    """Say that a grid does not fit, and into how many shards it would have to be cut."""
    room = int(limit * MEMORY_SHARE) - demand.shared - demand.per_tile_run
    if room < demand.per_run:
        advice = "not even one run fits"
    else:
        advice = f"cut it with --shard=i/{-(-runs // (devices * (room // demand.per_run)))}"
    per_device = demand.shared + -(-runs // devices) * demand.per_run + demand.per_tile_run
    took = f"{per_device / 1e9:.1f} GB per device, of which {limit * MEMORY_SHARE / 1e9:.1f} GB can be used"
    return ConfigError("grid", f"{runs} runs", f"take {took}; {advice}")


def place(layout: Layout, tree: Any, *, shared: bool = False) -> Any:
    """Put arrays on the mesh: those with a run axis padded and split, shared ones copied to each device."""
    sharding = NamedSharding(layout.mesh, SHARED if shared else RUN)
    if not shared:
        tree = jax.tree.map(lambda leaf: _pad(leaf, layout.padded), tree)
    return jax.device_put(tree, sharding)


def shapes(layout: Layout, tree: Any, *, shared: bool = False) -> Any:
    """Return what `place` would put on the mesh as shapes; arrays with a run axis are already padded."""
    sharding = NamedSharding(layout.mesh, SHARED if shared else RUN)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)


def _pad(leaf: Any, length: int) -> Any:
    repeats = jnp.minimum(jnp.arange(length), len(leaf) - 1)
    return leaf[repeats] if len(leaf) != length else leaf


def over_runs(layout: Layout, function: Callable[..., Any]) -> jax.stages.Wrapped:
    """Lift `function(run, *shared)` over the run axis of its first argument; jitted and sharded."""

    def device_part(runs: Any, *shared: Any) -> Any:
        return each_run(lambda run: function(run, *shared), runs, layout.runs_per_tile)

    return jax.jit(sharded(layout, device_part, number_of_run_arguments=1))


def each_run(function: Callable[[Any], Any], runs: Any, tile: int) -> Any:
    """Map `function(run)` over arrays [R, ...], tile by tile."""
    # `lax.map` without a batch size has no vmap at all: the program of one run stays as it is.
    return jax.lax.map(function, runs, batch_size=None if tile == 1 else tile)


def over_runs_in_place(layout: Layout, function: Callable[..., Any]) -> jax.stages.Wrapped:
    """Lift `function(state, run, *shared) -> state`; the state is donated and updated tile by tile."""
    tile = layout.runs_per_tile

    def device_part(states: Any, runs: Any, *shared: Any) -> Any:
        def one_tile(i: jax.Array, states: Any) -> Any:
            lifted = (lambda s, r: function(s, r, *shared)) if tile == 1 else _vmap_first_two(function, shared)
            new = lifted(read_tile(states, i, tile), read_tile(runs, i, tile))
            return write_tile(states, new, i, tile)

        tiles = jax.tree.leaves(states)[0].shape[0] // tile
        return jax.lax.fori_loop(0, tiles, one_tile, states)

    return jax.jit(sharded(layout, device_part, number_of_run_arguments=2), donate_argnums=0)


def _vmap_first_two(function: Callable[..., Any], shared: tuple) -> Callable[..., Any]:
    return jax.vmap(lambda s, r: function(s, r, *shared))


def read_tile(tree: Any, i: jax.Array, tile: int) -> Any:
    """Return tile `i` of arrays [R, ...]; of a tile of one run, the run."""
    if tile == 1:
        return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, keepdims=False), tree)
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, i * tile, tile), tree)


def write_tile(tree: Any, new: Any, i: jax.Array, tile: int) -> Any:
    """Return arrays [R, ...] with another tile `i`."""
    update = jax.lax.dynamic_update_index_in_dim if tile == 1 else jax.lax.dynamic_update_slice_in_dim
    return jax.tree.map(lambda leaf, part: update(leaf, part, i * tile, 0), tree, new)


def sharded(layout: Layout, function: Callable[..., Any], number_of_run_arguments: int) -> Callable[..., Any]:
    """Let each device call a function on its part of the first arguments, which have an axis of runs."""

    def whole(*arguments: Any) -> Any:
        run_specs = (RUN,) * number_of_run_arguments
        specs = run_specs + (SHARED,) * (len(arguments) - number_of_run_arguments)
        return jax.shard_map(function, mesh=layout.mesh, in_specs=specs, out_specs=RUN, check_vma=False)(*arguments)

    return whole
