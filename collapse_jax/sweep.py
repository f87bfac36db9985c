"""Trains a grid: the only impure loop of the engine.

Between two boundaries of the schedule the devices run one compiled program. What they hand out - measures,
snapshots, checkpoints - is written while they already work on the next chunk.
"""

import collections
import dataclasses
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray as xr

from collapse_jax import config, grid, store, tasks
from collapse_jax.errors import StoreError, WorkdirError
from collapse_jax.packing import Layout, choose_layout
from collapse_jax.programs import Programs, compile_programs
from collapse_jax.progress import Progress, say
from collapse_jax.schedule import schedule_steps
from collapse_jax.training import HEALTHY
from collapse_jax.validate import validate

NOTHING_DONE = -1


def train(experiment: config.Experiment, workdir: str | pathlib.Path) -> xr.Dataset:
    """Train all runs of a grid, or continue where an earlier call on the same workdir ended.

    Args:
      experiment: what to train.
      workdir: directory of the sweep; made when it does not exist.

    Returns:
      The results, as `open_results(workdir)` reads them.

    Raises:
      ConfigError: a field of the experiment is not allowed; nothing was compiled or written.
      WorkdirError: the workdir belongs to another experiment, is damaged or cannot be written.
      StoreError: storage failed on the way; the last checkpoint is good.
    """
    experiment, workdir = validate(experiment), pathlib.Path(workdir)
    runs = grid.grid_runs(experiment.grid)
    layout = choose_layout(experiment.packing, len(runs))
    data = tasks.load(experiment.task)
    store.open_workdir(workdir, experiment, layout, tasks.record(data))
    say(
        f"{experiment.name}: {len(runs)} runs x {experiment.steps} steps on {layout.devices} "
        f"{jax.default_backend()} device(s), {layout.runs_per_tile} run(s) per tile ({layout.why}); compiling ..."
    )
    began = time.monotonic()
    programs = compile_programs(experiment, layout, data)
    say(f"compiled in {time.monotonic() - began:.1f} s")
    sweep = Sweep(experiment, workdir, layout, programs)
    try:
        sweep.run()
    finally:
        sweep.close()
    return store.open_results(workdir)


class Sweep:
    """A grid being trained: device state, the results so far, and the stores that they go to."""

    def __init__(self, experiment: config.Experiment, workdir: pathlib.Path, layout: Layout, programs: Programs):
        self.experiment, self.workdir, self.layout, self.programs = experiment, workdir, layout, programs
        self.log_steps = schedule_steps(experiment.log, experiment.steps)
        self.snapshot_steps = (
            schedule_steps(experiment.snapshots.schedule, experiment.steps)
            if experiment.snapshots.content
            else np.array([], np.int64)
        )
        self.checkpoints = store.TreeStore(workdir / "checkpoints", keep=2)
        self.snapshots = store.TreeStore(workdir / "snapshots")
        self.pending: collections.deque[Callable[[], None]] = collections.deque()
        self._restore_or_begin()

    def _restore_or_begin(self) -> None:
        """Take the newest good checkpoint; say which were skipped and why, never begin again silently."""
        runs = self.layout.runs
        self.states = self.programs.initial()
        self.results = {
            name: np.full((runs, len(self.log_steps), *self.programs.shapes[name]), np.nan, np.float32)
            for name in self.programs.variables
        }
        self.diverged_at = np.full(runs, HEALTHY, np.int32)
        self.step = NOTHING_DONE
        steps = self.checkpoints.steps()
        for step in reversed(steps):
            try:
                flat = self.checkpoints.load(step)
            except StoreError as error:
                say(f"skipped a checkpoint: {error}")
                continue
            whole = store.from_flat(flat, {"states": self.states, "results": self.results, "diverged_at": 0})
            self.states = self.programs.place(whole["states"])
            self.results = jax.tree.map(np.array, whole["results"])
            self.diverged_at, self.step = np.array(whole["diverged_at"]), step
            say(f"continuing at step {step}")
            break
        else:
            if steps:
                raise WorkdirError(f"workdir={self.workdir}: no checkpoint is readable; delete it to begin again")
        # Anything newer than the restored state is written again, with the same bits.
        self.checkpoints.delete_after(self.step)
        self.snapshots.delete_after(self.step)

    def run(self) -> None:
        """Train to the end, measuring and storing at the boundaries of the schedule."""
        runs, begun = self.layout.runs, max(self.step, 0)
        progress = Progress(total=runs * self.experiment.steps, done=runs * begun)
        boundaries = np.union1d(self.log_steps, self.snapshot_steps)
        saved = time.monotonic()
        for stop in boundaries[boundaries > self.step].tolist():
            self.states = self.programs.advance(self.states, max(self.step, 0), stop)
            self.step = stop
            earlier, self.pending = self.pending, collections.deque()
            if stop in self.log_steps:
                self._later(self._record, stop, self.programs.measure(self.states))
            if stop in self.snapshot_steps:
                self._later(self._store_snapshot, stop, self.programs.snapshot(self.states))
            if stop == self.experiment.steps or time.monotonic() - saved > self.experiment.checkpoint_seconds:
                # Copied to the host before the next chunk, to which the states are donated.
                self._later(self._checkpoint, stop, jax.tree.map(np.array, self.states))
                saved = time.monotonic()
            self._later(progress.update, runs * stop)
            # The devices now work on this chunk: time to write what the one before it handed out.
            self._write(earlier)
        self._write(self.pending)
        if not (self.workdir / store.RESULTS).exists():
            self._write_results()
        progress.close()
        if progress.rate > 0:
            say(f"{progress.rate:.0f} run-steps/s")

    def _later(self, action: Callable[..., None], *arguments: Any) -> None:
        self.pending.append(lambda: action(*arguments))

    def _write(self, actions: collections.deque[Callable[[], None]]) -> None:
        while actions:
            actions.popleft()()

    def _record(self, step: int, values: dict[str, jax.Array]) -> None:
        column = int(np.searchsorted(self.log_steps, step))
        host = {name: np.asarray(value)[: self.layout.runs] for name, value in values.items()}
        diverged_at = host.pop("diverged_at")
        for name, value in host.items():
            self.results[name][:, column] = value
        for run in np.flatnonzero((diverged_at != HEALTHY) & (self.diverged_at == HEALTHY)):
            where = ", ".join(f"{k}={v:g}" for k, v in grid.grid_runs(self.experiment.grid)[run].items())
            say(f"diverged at step {diverged_at[run]}: {where}; masked from there on, the others go on")
        self.diverged_at = diverged_at

    def _store_snapshot(self, step: int, arrays: Any) -> None:
        host = jax.tree.map(lambda leaf: np.asarray(leaf)[: self.layout.runs], arrays)
        self.snapshots.save(step, host)

    def _checkpoint(self, step: int, states: Any) -> None:
        states = jax.tree.map(lambda leaf: leaf[: self.layout.runs], states)
        # A checkpoint promises that everything up to its step is on disk.
        self.snapshots.wait()
        results = jax.tree.map(np.array, self.results)
        self.checkpoints.save(step, {"states": states, "results": results, "diverged_at": self.diverged_at})
        self._write_results()

    def _write_results(self) -> None:
        dataset = store.label(
            self.experiment.grid, self.log_steps, self.results, self.diverged_at, self.programs.variables
        )
        dataset.attrs = {
            "title": self.experiment.name,
            "experiment": json.dumps(dataclasses.asdict(self.experiment)),
            "fingerprint": config.fingerprint(self.experiment),
            "packing": json.dumps(self.layout.record()),
        }
        store.write_results(dataset, self.workdir / store.RESULTS)

    def close(self) -> None:
        """Wait for the stores and release them."""
        self.snapshots.close()
        self.checkpoints.close()
