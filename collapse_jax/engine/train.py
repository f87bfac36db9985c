"""`train`: opens the tree of an experiment and trains its leaves, one after the other."""

import contextlib
import functools
import os
import time
from collections.abc import Callable

import jax
import xarray as xr
from etils import epath

from collapse_jax import tasks
from collapse_jax.engine.compile import check_model, compile_programs
from collapse_jax.engine.demand import demand, require_memory
from collapse_jax.engine.packing import choose_layout, settle_packing
from collapse_jax.engine.records import Records, runs_of
from collapse_jax.engine.sweep import NOTHING_DONE, Sweep
from collapse_jax.engine.validate import begun
from collapse_jax.errors import StoreError, require
from collapse_jax.experiment.classes import without_examples
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.cuts import WHOLE, Shard
from collapse_jax.experiment.grid import number_of_runs
from collapse_jax.system import runtime, signals
from collapse_jax.system.paths import path_of
from collapse_jax.system.progress import say
from collapse_jax.tracking import Tracker, find_tracker
from collapse_jax.workdir.growing import grow_leaf
from collapse_jax.workdir.lock import one_writer
from collapse_jax.workdir.record import note_continuation, open_leaf, recorded_packing
from collapse_jax.workdir.results import open_results
from collapse_jax.workdir.tree import Node, leaves_of, open_tree, planned
from collapse_jax.workdir.trees import TreeStore


def train(
    experiment: Experiment,
    workdir: str | os.PathLike[str],
    *,
    extend: bool = False,
    track: str | Callable[[], Tracker] | None = None,
) -> xr.Dataset:
    """Train all runs of a grid, or continue where an earlier call on the same workdir ended.

    A grid with static axes is cut into parts, each compiled and trained on its own in a folder of the workdir.

    Args:
      experiment: what to train.
      workdir: directory of the sweep; made when it does not exist.
      extend: let a sweep that is there, finished or not, grow into this experiment: more values of its axes, more
        steps, and from the last checkpoint on other log and snapshot steps and more in-line measures. What was
        trained stays; only what is new is computed.
      track: "tensorboard", "wandb", "mlflow" or "trackio": a record for each run there; or what makes a
        `tracking.Tracker` of your own.

    Returns:
      The results, as `open_results(workdir)` reads them.

    Raises:
      ConfigError: a field of the experiment is not allowed; nothing was compiled or written.
      WorkdirError: the workdir belongs to another experiment, is damaged, cannot be written or is being written by
        another process.
      StoreError: storage failed on the way; the last checkpoint is good.
      Preempted: SIGTERM or SIGINT came; everything is saved and the same call continues. A second signal stops at
        once, with KeyboardInterrupt.
    """
    train_shard(experiment, path_of("workdir", workdir), extend=extend, track=track)
    return open_results(workdir)


def train_shard(
    experiment: Experiment,
    workdir: epath.Path,
    shard: Shard = WHOLE,
    *,
    extend: bool = False,
    track: str | Callable[[], Tracker] | None = None,
) -> None:
    """Train one shard of an experiment, or continue it; the other shards are trained elsewhere.

    Raises:
      as `train`.
    """
    make = find_tracker(track) if track else None
    experiment = begun(experiment, lambda whole: begin(whole, workdir, shard, extend=extend))
    for leaf in leaves_of(workdir, experiment, shard, extend=extend):  # all of them, before anything is written
        with runtime.numbers(leaf.experiment):
            check_leaf(leaf.experiment, leaf.path)
    leaves = open_tree(workdir, experiment, shard, extend=extend)
    if not leaves:
        say(f"shard {shard}: no runs, the grid has {number_of_runs(experiment.grid)}")
    for leaf in leaves:
        if leaf.text:
            say(f"{leaf.label}{number_of_runs(leaf.experiment.grid)} of {number_of_runs(experiment.grid)} runs")
        records = make and functools.partial(_records, make, workdir, experiment, leaf)
        with runtime.numbers(leaf.experiment):
            train_leaf(leaf.experiment, leaf.path, extend=extend, records=records)


def _records(make: Callable[[], Tracker], workdir: epath.Path, whole: Experiment, leaf: Node) -> Records:
    """Begin the records of a leaf, or take them up."""
    return Records(make, runs_of(workdir, whole, leaf.experiment, leaf.point))


def begin(experiment: Experiment, workdir: epath.Path, shard: Shard = WHOLE, *, extend: bool = False) -> None:
    """Start jax with the host devices that the leaves need, the most of any: as begun, as asked, or all cores."""
    asked, most = experiment.packing.devices, max(number_of_runs(experiment.grid), runtime.cores())
    require(asked <= most, "packing.devices", asked, f"must be in 0 ... {most} (0 means automatic)")
    leaves: list[Node] = [node for node in planned(workdir, experiment, shard.count, extend=extend) if node.is_leaf]
    recorded = [recorded_packing(leaf.path) for leaf in leaves]
    devices = [
        settle_packing(leaf.experiment.packing, packing).devices or runtime.cores()
        for leaf, packing in zip(leaves, recorded, strict=True)
    ]
    runtime.start(max(devices), threads=max(packing.get("threads", 0) for packing in recorded), training=True)


def check_leaf(experiment: Experiment, workdir: epath.Path) -> None:
    """Make sure that what a leaf trains fits together, and into memory; warn of classes without examples.

    Raises:
      ConfigError: see `compile.check_model` and `demand.require_memory`.
    """
    data = tasks.load(experiment.task, experiment.dtype)
    if none := without_examples(tasks.record(data)["train_class_counts"]):
        say(f"WARNING: {none} (task.order='stratified' takes of all)")
    check_model(experiment, data)
    packing = settle_packing(experiment.packing, recorded_packing(workdir))
    require_memory(experiment, data, choose_layout(packing, number_of_runs(experiment.grid)))


def train_leaf(
    experiment: Experiment,
    workdir: epath.Path,
    *,
    extend: bool = False,
    records: Callable[[], Records] | None = None,
) -> None:
    """Train an experiment without static axes, validated and checked, in a directory of its own."""
    runs = number_of_runs(experiment.grid)
    data = tasks.load(experiment.task, experiment.dtype)
    packing = settle_packing(experiment.packing, recorded_packing(workdir))
    layout = choose_layout(packing, runs, functools.partial(demand, experiment))
    with signals.listening() as stop, one_writer(workdir) as lock:
        stop.before_leaving.append(lock.release)
        if extend:
            steps = TreeStore(workdir / "checkpoints").steps()
            grow_leaf(workdir, experiment, max(steps, default=NOTHING_DONE))
        open_leaf(workdir, experiment, layout.record(), tasks.record(data))
        told = records() if records else None
        say(
            f"{experiment.name}: {runs} runs x {experiment.steps} steps on {layout.devices} "
            f"{jax.default_backend()} device(s), {layout.runs_per_tile} run(s) per tile ({layout.why}); "
            "compiling ..."
        )
        began = time.monotonic()
        programs = compile_programs(experiment, layout, data)
        say(f"compiled in {time.monotonic() - began:.1f} s; memory per device: {programs.memory}")
        with stop.unsaved_work():
            sweep = Sweep(experiment, workdir, layout, programs, stop=stop, lock=lock, records=told)
            try:
                if sweep.step < experiment.steps:
                    note_continuation(workdir, max(sweep.step, 0), layout.record())
                sweep.run()
            except BaseException:
                with contextlib.suppress(StoreError):  # of a later save; the first error is the one to report
                    sweep.close()
                raise
            sweep.close()
