"""What a sweep would take of hardware that is not at hand: memory, packing, time. All of it is an estimate."""

import dataclasses
import re
from typing import Any

from collapse_jax.experiment import config
from collapse_jax.experiment.grid import number_of_runs
from collapse_jax.planning import aot
from collapse_jax.planning.chips import Target, parse_target
from collapse_jax.system import runtime

COLLECTIVE = re.compile(
    r" (all-gather|all-reduce|all-to-all|collective-broadcast|collective-permute|ragged-all-to-all|reduce-scatter)"
    r"(-start)?\("
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was found for a target.

    Attributes:
      target: the chips.
      compiled_for: "tpu", or "cpu" where only the CPU's compiler was at hand; "" where nothing was compiled.
      runs: runs of the grid.
      devices: chips that would be used.
      runs_per_tile: runs vmapped together.
      memory: per chip, as text.
      memory_bytes: per chip.
      flops_per_run_step: floating-point operations.
      bytes_per_run_step: bytes read and written.
      state_bytes: of all runs of a chip.
      donated_bytes: of the states, updated in place; 0 where nothing was compiled.
      collectives: communication operations in any of the programs; must be ().
      bound: "memory" or "compute".
      seconds: of training and of in-line measures, by the roofline.
      retires: first and last step at which a stop rule may end a run; () without one.
    """

    target: Target
    compiled_for: str
    runs: int
    devices: int
    runs_per_tile: int
    memory: str
    memory_bytes: int
    flops_per_run_step: float
    bytes_per_run_step: float
    state_bytes: int
    donated_bytes: int
    collectives: tuple[str, ...]
    bound: str
    seconds: tuple[float, float]
    retires: tuple[int, ...] = ()

    def __str__(self) -> str:
        train, measure = self.seconds
        measures = f" and {_time(measure)} of in-line measures" if self.compiled_for else ""
        origin = {
            "tpu": "programs compiled by XLA:TPU for this topology",
            "cpu": "programs compiled by XLA:CPU; bytes differ on the target",
            "": "nothing compiled: memory, traffic and time are lower bounds from shapes",
        }
        in_place = [
            f"in place    {self.donated_bytes / max(self.state_bytes, 1):.0%} of the states; communication: "
            f"{', '.join(self.collectives) or 'none'}"
        ]
        tiles = -(-self.runs // (self.devices * self.runs_per_tile))
        return "\n".join(
            [
                f"target      {self.target.name}, {self.target.devices} chip(s); {origin[self.compiled_for]}",
                f"packing     {self.runs} runs on {self.devices} chip(s): {tiles} tile(s) of {self.runs_per_tile} "
                f"run(s) each; --config.packing.runs_per_tile={self.runs_per_tile}",
                f"memory      {self.memory}",
                *(in_place if self.compiled_for else ()),
                f"run-step    {self.flops_per_run_step / 1e6:.1f} MFLOP, {self.bytes_per_run_step / 1e6:.2f} MB, "
                f"{self.bound}-bound",
                f"time        at least {_time(train)} of training{measures}: an ESTIMATE from peak rates, never "
                "measured on this chip; small grids are slower (launch-bound)",
                *(_stop_text(*self.retires) if self.retires else ()),
            ]
        )


def plan(experiment: config.Experiment, target: str | None = None, *, fast: bool = False) -> Plan:
    """Compile a sweep for a target and read off its memory, packing and roofline.

    Args:
      experiment: what would be trained.
      target: "chip:topology"; None is the smallest TPU host, tpu-v5e:2x2.
      fast: compile nothing, and take lower bounds from shapes and from the step as it is written.

    Raises:
      ConfigError: the experiment or the target is not allowed, or the grid does not fit (with the number of
        shards that would).
    """
    chips = parse_target(target)
    on_tpu = chips.is_tpu and aot.available() and not fast
    if on_tpu:
        aot.prepare()
    runtime.start(1 if on_tpu else min(chips.devices, number_of_runs(experiment.grid)))
    import jax

    from collapse_jax.engine.validate import validate

    if on_tpu:
        # A program for absent devices can be written to the cache of compiled programs but not read from it.
        jax.config.update("jax_enable_compilation_cache", False)
    experiment = validate(experiment)
    with runtime.numbers(experiment):
        return _of_shapes(experiment, chips) if fast else _compiled(experiment, chips, on_tpu)


def _retires(experiment: config.Experiment) -> tuple[int, ...]:
    """Return the first and the last step at which the stop rule of an experiment may end a run."""
    stop = experiment.stop
    return (stop.at_least or 0, min(stop.at_most or experiment.steps, experiment.steps)) if stop.events else ()


def _last_step(experiment: config.Experiment) -> int:
    """Return the step at which the last run ends, if none retires before it must."""
    return _retires(experiment)[1] if experiment.stop.events else experiment.steps


def _stop_text(first: int, last: int) -> list[str]:
    return [
        f"stop rule   no plan knows when: time is that of runs that all go on to step {last:,}; they may retire "
        f"from step {first:,} on"
    ]


def _packed(experiment: config.Experiment, chips: Target, available: int, needed: Any) -> tuple[int, int]:
    """Return the chips that a sweep would use, and the runs of a tile, from a `Demand`."""
    from collapse_jax.engine import packing

    runs = number_of_runs(experiment.grid)
    devices = min(chips.devices, runs, available)
    per_device = -(-runs // devices)
    fitting = needed.fitting(int(chips.chip.memory), per_device)
    if not fitting:
        raise packing.too_large(runs, devices, needed, int(chips.chip.memory))
    return devices, min(experiment.packing.runs_per_tile or fitting, per_device)


def _of_shapes(experiment: config.Experiment, chips: Target) -> Plan:
    """Estimate a sweep from the shapes of its arrays and from its step before it is compiled."""
    import jax

    from collapse_jax import tasks, training
    from collapse_jax.engine import memory
    from collapse_jax.engine.demand import least_demand
    from collapse_jax.experiment.grid import grid_runs
    from collapse_jax.planning import cost
    from collapse_jax.training.hyperparameters import stack_hyperparameters

    data = tasks.load(experiment.task, experiment.dtype)
    least = least_demand(experiment, data)
    devices, tile = _packed(experiment, chips, chips.devices, least)
    runs = number_of_runs(experiment.grid)
    per_device = -(-runs // devices)
    recipe = training.make_recipe(experiment, data)
    hparams = stack_hyperparameters(grid_runs(experiment.grid)[:1])
    states = jax.eval_shape(jax.vmap(lambda h: training.init_run(recipe, h, data)), hparams)
    step = cost.of_shapes(recipe, states, hparams, data, jax.local_devices()[0])
    needed = memory.Memory(
        per_device * least.per_run, least.shared, tile * least.per_tile_run, 0, int(chips.chip.memory)
    )
    steps = _last_step(experiment)
    seconds = -(-per_device // tile) * tile * steps * step.seconds(chips.chip, experiment.precision)
    return Plan(
        target=chips,
        compiled_for="",
        runs=runs,
        devices=devices,
        runs_per_tile=tile,
        memory=f"at least {needed}",
        memory_bytes=needed.total,
        flops_per_run_step=step.flops,
        bytes_per_run_step=step.bytes,
        state_bytes=needed.states,
        donated_bytes=0,
        collectives=(),
        bound=step.bound(chips.chip, experiment.precision),
        seconds=(seconds, 0.0),
        retires=_retires(experiment),
    )


def _compiled(experiment: config.Experiment, chips: Target, on_tpu: bool) -> Plan:
    """Compile the programs of a sweep for a target, after jax has been set up, and estimate."""
    import jax

    from collapse_jax import tasks
    from collapse_jax.engine import compile as programs
    from collapse_jax.engine import memory, packing
    from collapse_jax.engine.demand import demand
    from collapse_jax.experiment.schedule import schedule_steps
    from collapse_jax.planning import cost

    runs = number_of_runs(experiment.grid)
    hardware = aot.devices(chips) if on_tpu else tuple(jax.local_devices())
    devices, tile = _packed(experiment, chips, len(hardware), demand(experiment, hardware[0]))
    layout = packing.Layout(runs, devices, tile, hardware=hardware)
    data = tasks.load(experiment.task, experiment.dtype)
    compiled = programs.compile_for(experiment, layout, data)
    found = compiled.memory(data, int(chips.chip.memory))
    step = cost.of_step(compiled.recipe, compiled, data, tile, hardware[0])
    log_point = cost.of_log_point(compiled, tile)
    texts = [program.as_text() or "" for program in (compiled.advance, compiled.measure, compiled.snapshot)]
    analysis = memory.analysis(compiled.advance)
    steps = _last_step(experiment)
    points = int((schedule_steps(experiment.log, experiment.steps) <= steps).sum())
    padded = layout.padded // devices
    return Plan(
        target=chips,
        compiled_for="tpu" if on_tpu else "cpu",
        runs=runs,
        devices=devices,
        runs_per_tile=tile,
        memory=str(found),
        memory_bytes=found.total,
        flops_per_run_step=step.flops,
        bytes_per_run_step=step.bytes,
        state_bytes=analysis.output_size_in_bytes,
        donated_bytes=analysis.alias_size_in_bytes,
        collectives=tuple(sorted({match[1] for text in texts for match in COLLECTIVE.finditer(text)})),
        bound=step.bound(chips.chip, experiment.precision),
        seconds=(
            padded * steps * step.seconds(chips.chip, experiment.precision),
            padded * points * log_point.seconds(chips.chip, experiment.precision),
        ),
        retires=_retires(experiment),
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
