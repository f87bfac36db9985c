"""Programs that take a measure of many runs at once, within a bound on memory."""

import contextlib
import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from collapse_jax.engine import packing
from collapse_jax.engine.packing import Layout
from collapse_jax.errors import ConfigError
from collapse_jax.experiment import extensions
from collapse_jax.measuring.host import finish_each
from collapse_jax.measuring.requests import Request
from collapse_jax.measuring.snapshots import StoredSnapshots
from collapse_jax.system import runtime

# Runs of one device that are vmapped together: what depends on inputs and labels alone is then computed once for
# all of them. Wider tiles gain nothing more and leave the cache.
WIDEST_TILE = 16


@dataclasses.dataclass(frozen=True)
class Batch:
    """A compiled measure of as many runs as fit.

    Attributes:
      layout: of one call; its runs are those of a call, of any snapshots.
      program: (parts [layout.runs, ...], *shared) -> {variable: [layout.runs, ...]}.
      shared: what it takes that is the same for all runs, on the devices.
      bytes: that one call holds: data, snapshots, working memory.
      calm: whether its factorisations, of small matrices, are faster in one thread each.
    """

    layout: Layout
    program: jax.stages.Compiled
    shared: tuple[Any, ...]
    bytes: int
    calm: bool = False

    def take(self, parts: Any) -> dict[str, np.ndarray]:
        """Take the measure of any number of runs, call after call: parts [U, ...] -> {variable: [U, ...]}."""
        block, units = self.layout.runs, len(jax.tree.leaves(parts)[0])
        calls = []
        with runtime.calm_lapack() if self.calm else contextlib.nullcontext():
            for start in range(0, units, block):
                chunk = jax.tree.map(lambda leaf, start=start: leaf[start : start + block], parts)
                values = self.program(packing.place(self.layout, chunk), *self.shared)
                calls.append({name: np.asarray(v)[: units - start] for name, v in values.items()})
        return {name: np.concatenate([call[name] for call in calls]) for name in calls[0]}


def usable_devices() -> int:
    """Return the devices that may share the runs.

    On CPU one, whose operations use all cores: several may hang (see `compile.one_by_one`), and one shares the
    inputs' side of a measure among more runs.
    """
    return 1 if jax.default_backend() == "cpu" else jax.local_device_count()


def taken_alone(request: Request) -> bool:
    """Whether each run is measured by itself."""
    return request.measure.one_by_one and jax.default_backend() == "cpu"


def take_of_run(
    request: Request, snapshots: StoredSnapshots, parts: Any, data: Any, ood: Any, prepared: Any
) -> dict[str, jax.Array]:
    """Take the measure of one run from its parts."""
    snapshot = snapshots.build(parts, data, ood, layers=request.layers and snapshots.recomputed)
    return request.take(dataclasses.replace(snapshot, prepared=prepared))


def shared_by_runs(request: Request, snapshots: StoredSnapshots) -> tuple[Any, Any, Any]:
    """Return what `take_of_run` takes that is the same for all runs and steps."""
    return snapshots.data, snapshots.ood, request.prepared


def floats(request: Request, snapshots: StoredSnapshots) -> contextlib.AbstractContextManager[Any]:
    """Make floating-point numbers those in which a measure is taken; the network's keep the type they have."""
    return runtime.floats(request.measure.dtype or snapshots.experiment.dtype)


def shapes_of(request: Request, snapshots: StoredSnapshots) -> dict[str, tuple[int, ...]]:
    """Trace the measure of one run, without compiling: shapes of its variables.

    Raises:
      ConfigError: the measure refuses its options, is wrong, or has nothing to measure.
    """
    function = functools.partial(take_of_run, request, snapshots)
    parts = snapshots.parts_of_a_run
    try:
        with floats(request, snapshots):
            values = jax.eval_shape(function, parts, *shared_by_runs(request, snapshots))
    except ConfigError as error:
        if not request.own or snapshots.recomputed:
            raise
        # What it needs, nobody said: what there is tells why it failed.
        raise ConfigError("measures", request.name, f"{error.allowed}; {snapshots.what_is_held}") from None
    except (ValueError, TypeError) as error:
        raise ConfigError("measures", request.name, extensions.told(error, None)) from None
    if request.measure.finish:
        values = finish_each(request.measure, {n: np.zeros((1, *v.shape), v.dtype) for n, v in values.items()})
        return {name: value.shape[1:] for name, value in values.items()}
    if not values:
        raise ConfigError("measures", request.name, f"nothing to measure; {snapshots.what_is_held}")
    return {name: value.shape for name, value in values.items()}


def compile_batch(request: Request, snapshots: StoredSnapshots, units: int, devices: int, memory: float) -> Batch:
    """Compile a measure for as many of `units` runs at once as `memory` bytes allow.

    Args:
      request: the measure.
      snapshots: where the parts come from.
      units: runs times snapshots that there are to measure.
      devices: that share them; fewer when they do not fit.
      memory: bound on the bytes of arrays: on CPU of all devices together, else of each device.

    Raises:
      ConfigError: one run does not fit.
    """
    shares_memory = jax.default_backend() == "cpu"
    devices = min(devices, units)
    tile = 1 if taken_alone(request) else min(-(-units // devices), WIDEST_TILE)
    # The snapshot as it was read, and the task's own copy of the data.
    reserved = (
        len(snapshots.runs) * _bytes(snapshots.parts_of_a_run) + _bytes(shared_by_runs(request, snapshots))
        if shares_memory
        else 0
    )
    while True:
        layout = Layout(devices * tile, devices, tile)
        program = _compiled(request, snapshots, layout)
        working = _working_bytes(program) * (devices if shares_memory else 1)
        if reserved + working <= memory:
            shared = packing.place(layout, shared_by_runs(request, snapshots), shared=True)
            return Batch(layout, program, shared, reserved + working, calm=taken_alone(request))
        if tile > 1:
            tile = min(tile - 1, max(1, int(tile * (memory - reserved) / working)))
        elif devices > 1:
            devices = 1
        else:
            allowed = f"one run of {request.name} takes {reserved + working:.2g} bytes"
            raise ConfigError("memory", memory, f"{allowed}; allow more, or measure fewer examples (test_size)")


def _compiled(request: Request, snapshots: StoredSnapshots, layout: Layout) -> jax.stages.Compiled:
    one = functools.partial(take_of_run, request, snapshots)
    runs = jax.sharding.NamedSharding(layout.mesh, packing.RUN)
    shared = jax.sharding.NamedSharding(layout.mesh, packing.SHARED)
    parts = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((layout.runs, *leaf.shape), leaf.dtype, sharding=runs),
        snapshots.parts_of_a_run,
    )
    data = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=shared),
        shared_by_runs(request, snapshots),
    )
    with floats(request, snapshots):
        return packing.over_runs(layout, one).lower(parts, *data).compile()


def _working_bytes(program: jax.stages.Compiled) -> int:
    """Bytes of arguments, results and temporaries of one device; 0 where the backend does not tell."""
    sizes = program.memory_analysis()
    if sizes is None:
        return 0
    return sizes.argument_size_in_bytes + sizes.output_size_in_bytes + sizes.temp_size_in_bytes


def _bytes(tree: Any) -> int:
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
