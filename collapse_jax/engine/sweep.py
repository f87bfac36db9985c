"""Trains a grid: the only impure loop of the engine.

Between two boundaries of the schedule the devices run one compiled program. What they hand out - measures,
snapshots, checkpoints - is written while they already work on the next chunk.
"""

import collections
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray as xr
from etils import epath

from collapse_jax.engine import upgrade
from collapse_jax.engine.account import Account
from collapse_jax.engine.chunks import chunks_of
from collapse_jax.engine.compile import Programs
from collapse_jax.engine.earlier import measure_earlier
from collapse_jax.engine.packing import Layout
from collapse_jax.engine.records import Records
from collapse_jax.engine.stopping import LIVING, rule_of
from collapse_jax.errors import DamagedError, Preempted, WorkdirError
from collapse_jax.experiment import config
from collapse_jax.system import signals
from collapse_jax.system.files import is_there
from collapse_jax.system.progress import say
from collapse_jax.training import HEALTHY, RunState
from collapse_jax.workdir.growing import planned_steps
from collapse_jax.workdir.lock import Lock
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.record import attributes, read_record
from collapse_jax.workdir.results import RESULTS, label, open_results
from collapse_jax.workdir.trees import TreeStore, from_flat

NOTHING_DONE = -1


class Sweep:
    """A grid being trained: device state, the results so far, and the stores that they go to."""

    def __init__(
        self,
        experiment: config.Experiment,
        workdir: epath.Path,
        layout: Layout,
        programs: Programs,
        *,
        stop: signals.Stop,
        lock: Lock,
        records: Records | None = None,
    ):
        self.experiment, self.workdir, self.layout, self.programs = experiment, workdir, layout, programs
        self.stop, self.lock, self.records = stop, lock, records
        self.chunks = chunks_of(experiment)
        record = read_record(workdir)
        self.log_steps = planned_steps(record, "log")
        self.rule = rule_of(experiment, self.log_steps)
        stored = bool(experiment.snapshots.content)
        self.snapshot_steps = planned_steps(record, "snapshots") if stored else np.array([], np.int64)
        self.fingerprint, self.grown = record["fingerprint"], record.get("grown")
        self.checkpoints = TreeStore(workdir / "checkpoints", lock=lock, fingerprint=self.fingerprint, keep=2)
        self.snapshots = TreeStore(workdir / "snapshots", lock=lock, fingerprint=self.fingerprint)
        self.pending: collections.deque[Callable[[], None]] = collections.deque()
        stop.kept = self._kept
        self._restore_or_begin()

    def _kept(self) -> str:
        """Say what is left of the sweep when it is stopped at once."""
        steps = self.checkpoints.steps()
        return f"the checkpoint of step {steps[-1]} is good" if steps else "there is no checkpoint yet"

    def _restore_or_begin(self) -> None:
        """Take the newest good checkpoint; say which were skipped and why, never begin again silently."""
        runs = self.layout.runs
        self.states = self.programs.initial()
        self.variables = dict(self.programs.variables)
        self.results = {
            name: np.full((runs, len(self.log_steps), *self.programs.shapes[name]), np.nan, np.float32)
            for name in self.variables
        }
        self.diverged_at, self.retired_at = (np.full(runs, none, np.int32) for none in (HEALTHY, LIVING))
        self.step = NOTHING_DONE
        steps = self.checkpoints.steps()
        if not steps and is_there(self.workdir / RESULTS):
            # Results follow the first checkpoint, so it was there: beginning again would overwrite them.
            raise WorkdirError(
                f"workdir={self.workdir}: holds {RESULTS} but no checkpoint; to begin again, move it away"
            )
        for step in reversed(steps):
            try:
                flat = self.checkpoints.load(step)
            except DamagedError as error:
                say(f"skipped a checkpoint: {error}")
                continue
            whole = from_flat(flat, {"states": self.states, "diverged_at": 0})
            self.diverged_at, self.step = np.array(whole["diverged_at"]), step
            self.retired_at = np.array(flat.get("retired_at", self.retired_at))
            self.programs = self.programs.among(self.alive)
            self.states = self.programs.place(whole["states"])
            say(f"continuing at step {step}")
            self._take_up_results(flat, whole["states"])
            self._say_missing_snapshots()
            break
        else:
            if steps:
                raise WorkdirError(
                    f"workdir={self.workdir}: no checkpoint is good; to begin again, move checkpoints away"
                )
        # Anything newer than the restored state is written again, with the same bits.
        self.checkpoints.delete_after(self.step)
        self.snapshots.delete_after(self.step)

    @property
    def alive(self) -> np.ndarray:
        """[R] which runs have not retired."""
        return self.retired_at == LIVING

    @property
    def _logged(self) -> tuple[Any, ...]:
        """What is logged so far, as `Records.tell` takes it."""
        ends = {"diverged": self.diverged_at, "retired": self.retired_at}
        return self.log_steps, self.results, self.variables, ends

    def _taken(self, step: int) -> int:
        """Return how many run-steps are taken when the sweep is at a step."""
        return int(np.where(self.alive, step, self.retired_at).sum())

    def _take_up_results(self, flat: dict[str, np.ndarray], states: RunState) -> None:
        """Take the values so far, also of a version whose in-line measures have other variables."""
        begun = upgrade.laid_out(upgrade.results_of(flat), upgrade.steps_of(flat, self.grown), self.log_steps)
        upgrade.require_same_shapes(self.workdir, begun, self.results)
        if lost := upgrade.described(self.workdir, begun.keys() - self.results.keys()):
            self.variables |= lost
            say(f"{', '.join(lost)}: no measure of this version; the values up to step {self.step} are kept")
        if new := sorted(self.results.keys() - begun.keys()):
            if self.step >= self.experiment.steps:  # a variable without a value would hide a later measurement
                self.results = {name: self.results[name] for name in begun}
            else:
                self._measure_earlier(new, states)
        self.results |= {name: np.array(values) for name, values in begun.items()}

    def _measure_earlier(self, new: list[str], states: RunState) -> None:
        """Take variables that are new up to the step reached from snapshots, at steps that are logged too."""
        results, every = {n: self.results[n] for n in new}, self.programs.among(np.ones_like(self.alive))
        found = measure_earlier(self.experiment, results, self.log_steps, self.step, every, self.snapshots, states)
        for values in results.values():
            values[(self.retired_at[:, None] != LIVING) & (self.log_steps > self.retired_at[:, None])] = np.nan
        at = f" but at the stored steps {', '.join(map(str, found))}" if found else ""
        say(f"{', '.join(new)}: not measured until now; nan up to step {self.step}{at}")

    def _say_missing_snapshots(self) -> None:
        last = self.step if self.alive.any() else self.retired_at.max()
        missing = sorted({*self.snapshot_steps[self.snapshot_steps <= last]} - {*self.snapshots.steps()})
        if missing:
            say(f"snapshots of the steps {', '.join(map(str, missing))} are gone and are not made again")

    def run(self) -> None:
        """Train to the end, measuring and storing at the boundaries of the schedule.

        Raises:
          Preempted: a signal came; everything is saved.
        """
        self.account = Account(self.experiment, self.lock, self._taken, self.step, self.records)
        self.account.logged(self.step, *self._logged)
        boundaries = np.union1d(self.log_steps, self.snapshot_steps)
        self.saved_at, self.saved_step = time.monotonic(), self.step
        self._retire()  # a sweep that has grown goes on from what was the last step, where no run retires
        for stop in boundaries[boundaries > self.step].tolist():
            if not self.alive.any():
                break
            self._advance(stop)
            while self.step < stop:
                self._advance(stop)
            if stop in self.log_steps:
                self._later(self._record, stop, self.programs.measure(self.states, stop))
            if stop in self.snapshot_steps:
                self._later(self._store_snapshot, stop, self.programs.snapshot(self.states))
            self._retire()
        self._write(self.pending)
        self.step = self.experiment.steps  # also where all runs retired before it
        self._save_now()
        if not self._results_are_good():
            self._write_results()
        self.account.end(self.diverged_at, *self._logged)

    def _advance(self, stop: int) -> None:
        """Train towards `stop` for a bounded time; before that, save and stop where a signal asks for it."""
        if self.stop.requested:
            self._write(self.pending)
            self._save_now()
            self.account.interrupt(self.step, *self._logged)
            raise Preempted(f"{self.stop.requested}: saved at step {self.step}; the same command continues")
        if self.step > self.saved_step and time.monotonic() - self.saved_at > self.experiment.checkpoint_seconds:
            # Copied to the host before the next chunk, to which the states are donated.
            self._later(self._checkpoint, self.step, self.programs.rows(self.states))
            self.saved_at = time.monotonic()
        earlier, self.pending = self.pending, collections.deque()
        start, began = max(self.step, 0), time.monotonic()
        self.step = self.chunks.end(start, stop)
        self.states = self.programs.advance(self.states, start, self.step)
        # The devices now work on this chunk: time to write what the one before it handed out.
        self._write(earlier)
        self.checkpoints.settle()
        jax.block_until_ready(self.states)
        self.chunks.took(self.step - start, time.monotonic() - began)
        self.account.moved(self.step, self.diverged_at, self.retired_at)

    def _later(self, action: Callable[..., None], *arguments: Any) -> None:
        self.pending.append(lambda: action(*arguments))

    def _write(self, actions: collections.deque[Callable[[], None]]) -> None:
        while actions:
            actions.popleft()()

    def _retire(self) -> None:
        """Train the runs no more that are done by what is logged up to here."""
        if self.rule is None or self.step not in self.log_steps:
            return
        self._write(self.pending)
        runs = np.flatnonzero(self.rule.done(self.step, self.results, self.diverged_at) & self.alive)
        if not len(runs):
            return
        self.retired_at[runs] = self.step
        host = self.programs.rows(self.states)
        self.programs = self.programs.among(self.alive)
        self.states = self.programs.place(host)
        self.account.retired(self.step, runs, int(self.alive.sum()))

    def _record(self, step: int, values: dict[str, jax.Array]) -> None:
        column, alive = int(np.searchsorted(self.log_steps, step)), self.alive
        host = self.programs.rows(values)
        diverged_at, finite = host.pop("diverged_at"), host.pop("finite")
        for name, value in host.items():
            self.results[name][alive, column] = value[alive]
        # Parameters that are not finite without the loss showing it are noticed here; a date once given stays.
        diverged_at = np.where((diverged_at == HEALTHY) & ~finite, np.int32(step), diverged_at)
        for run in np.flatnonzero(alive & (diverged_at != HEALTHY) & (self.diverged_at == HEALTHY)):
            self.diverged_at[run] = diverged_at[run]
            self.account.diverged(int(run), int(diverged_at[run]))
        self.account.logged(step, *self._logged)

    def _store_snapshot(self, step: int, arrays: Any) -> None:
        self.lock.check()
        host = self.programs.rows(arrays)
        for leaf in jax.tree.leaves(host):
            leaf[~self.alive] = np.nan if np.issubdtype(leaf.dtype, np.floating) else 0
        self.snapshots.save(step, host)

    def _save_now(self) -> None:
        """Save what is not saved yet, and return when it is on the disk and reads back well."""
        if self.step > self.saved_step:
            self._checkpoint(self.step, self.programs.rows(self.states))
        self.checkpoints.verify()

    def _checkpoint(self, step: int, states: Any) -> None:
        self.lock.check()
        # A checkpoint promises that everything up to its step is on disk.
        self.snapshots.verify()
        results = jax.tree.map(np.array, self.results)
        whole = {"states": states, "results": results, "diverged_at": self.diverged_at.copy()}
        if self.rule:
            whole["retired_at"] = self.retired_at.copy()
        whole["log_steps"] = self.log_steps
        self.checkpoints.save(step, whole)
        if self.saved_step == NOTHING_DONE:
            self.checkpoints.wait()  # results without a checkpoint mean that one was lost
        self.saved_step = step
        self._write_results()

    def _results_are_good(self) -> bool:
        """Whether the results on disk are those of the checkpoint; a damaged file is written anew."""
        if not is_there(self.workdir / RESULTS):
            return False
        try:
            found = open_results(self.workdir / RESULTS)
            return found.drop_attrs(deep=False).identical(self._labelled().drop_attrs(deep=False))
        except WorkdirError as error:
            say(f"{error}; written anew from the checkpoint")
            return False

    def _labelled(self) -> xr.Dataset:
        own, retired_at = self.experiment.grid, self.retired_at if self.rule else None
        return label(own, self.log_steps, self.results, self.diverged_at, self.variables, retired_at)

    def _write_results(self) -> None:
        dataset = self._labelled().assign_attrs(attributes(self.experiment))
        own = {"fingerprint": self.fingerprint, "packing": json.dumps(self.layout.record())}
        write_dataset(dataset.assign_attrs(own), self.workdir / RESULTS)

    def close(self) -> None:
        """Wait for the stores and release them."""
        try:
            self.snapshots.close()
        finally:
            self.checkpoints.close()
