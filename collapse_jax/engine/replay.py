"""Trains stretches of a sweep once more, from states that are known, and compares bits with what is stored.

A checksum sees what changes after it was taken. A bit that flips in memory before, while the devices compute or
while the host copies, is stored with a right checksum; what sees it is to compute the same once more.
"""

import itertools
import time
from collections.abc import Iterator

import jax
import numpy as np
from etils import epath

from collapse_jax import tasks
from collapse_jax.engine import packing
from collapse_jax.engine.chunks import chunks_of
from collapse_jax.engine.compile import compile_programs
from collapse_jax.engine.earlier import PARAMETERS
from collapse_jax.engine.stopping import LIVING, has_rule
from collapse_jax.errors import DamagedError, WorkdirError
from collapse_jax.experiment.config import Packing
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.experiment.points import point_text
from collapse_jax.system import runtime
from collapse_jax.system.files import is_there
from collapse_jax.system.progress import Progress, say
from collapse_jax.training import HEALTHY, RunState, is_network_alone, make_recipe, state_of
from collapse_jax.workdir.growing import planned_steps
from collapse_jax.workdir.record import read_record, recorded_packing, refuse_other_data
from collapse_jax.workdir.software import device_of, during, software, unlike
from collapse_jax.workdir.tree import Node, leaves
from collapse_jax.workdir.trees import TreeStore, from_flat, to_flat, unflattened
from collapse_jax.workdir.trust import require_trust

BEGINNING = 0
Flat = dict[str, np.ndarray]


def begin(workdir: epath.Path) -> None:
    """Start jax as the training of a workdir did, on whose threads its last bits depend.

    Raises:
      WorkdirError: there is no sweep, or a record is damaged.
    """
    recorded = [recorded_packing(leaf.path) for leaf in leaves(workdir)]
    most = {name: max((packing.get(name, 1) for packing in recorded), default=1) for name in ("devices", "threads")}
    runtime.start(**most, training=True)


def replay_workdir(workdir: epath.Path, count: int, *, trust: bool = False) -> Iterator[tuple[str, str]]:
    """Recompute the last chunks of each leaf and compare all that is stored of them; nothing is changed.

    A chunk goes from one whole state that is known to the next. Known are the checkpoints, the beginning, which
    follows from the seeds, and the snapshots with parameters where the optimizer keeps nothing beside them.

    Args:
      workdir: of a sweep, finished or still training; `begin` was called for it.
      count: chunks of each leaf, the newest first; where there are no more, they are the whole training.
      trust: run files of models and tasks that the workdir names, although they may be another user's.

    Yields:
      the chunk, and which number is not the one that is stored ("" where all are).

    Raises:
      WorkdirError: there is no checkpoint, the data have changed, or code that the workdir names may not run.
    """
    kept = [leaf for leaf in leaves(workdir) if (leaf.path / "checkpoints").is_dir()]
    if not kept:
        raise WorkdirError(f"workdir={workdir}: there is no checkpoint yet, so there is nothing to replay")
    for leaf in kept:
        with runtime.numbers(leaf.experiment):
            yield from _Replay(leaf, trust).run(count)


class _Replay:
    """The replay of one leaf."""

    def __init__(self, leaf: Node, trust: bool):
        self.leaf, e = leaf, leaf.experiment
        record = self.record = read_record(leaf.path)
        require_trust(leaf.path, record, e, trust)
        data = tasks.load(e.task, e.dtype)
        refuse_other_data(leaf.path, record, tasks.record(data))
        self.runs = grid_runs(e.grid)
        layout = packing.choose_layout(
            packing.settle_packing(Packing(), recorded_packing(leaf.path)), len(self.runs)
        )
        self.here = {"device": device_of(layout.record()), **software()}
        say(f"{leaf.label}compiling ...")
        self.programs, self.recipe = compile_programs(e, layout, data), make_recipe(e, data)
        self.like: RunState = jax.eval_shape(self.programs.initial)
        self.checkpoints = _good(leaf.path / "checkpoints", record["fingerprint"])
        if not self.checkpoints:
            raise WorkdirError(f"workdir={leaf.path}: no checkpoint is good, so there is nothing to replay")
        self.newest = self.checkpoints[max(self.checkpoints)]
        self.log_steps = self.newest.get("log_steps", planned_steps(record, "log"))
        there = (leaf.path / "snapshots").is_dir()
        self.store = TreeStore(leaf.path / "snapshots", fingerprint=record["fingerprint"]) if there else None
        steps = self.store.steps() if self.store else []
        self.snapshots = [step for step in steps if step <= max(self.checkpoints)]

    def run(self, count: int) -> Iterator[tuple[str, str]]:
        """Go through the last `count` chunks, the newest first."""
        e = self.leaf.experiment
        # Snapshots have no states of runs that have retired.
        whole = is_network_alone(self.recipe, self.like) and PARAMETERS in e.snapshots.content and not has_rule(e)
        known = sorted({BEGINNING, *self.checkpoints, *(self.snapshots if whole else ())})
        chunks = list(itertools.pairwise(known))[-count:]
        progress = Progress(sum(stop - start for start, stop in chunks) * len(self.runs), 0)
        for start, stop in reversed(chunks):
            try:
                wrong = self._chunk(start, stop, progress)
            except DamagedError as error:  # a snapshot
                wrong = str(error)
            others = [text for o in during(self.record, start, stop) for text in unlike(o, self.here)]
            if wrong and others:
                wrong += f"; these steps were trained with {', '.join(others)}, which can give other last bits"
            below = f"{self.leaf.below}/" if self.leaf.below else ""
            yield f"{below}steps {start} ... {stop} again", wrong
        progress.close()
        if self.store:
            self.store.close()

    def _chunk(self, start: int, stop: int, progress: Progress) -> str:
        """Train from one known state to the next, and describe the first difference on the way."""
        self._only(self._alive(start))
        states, step, chunks = self._state(start), start, chunks_of(self.leaf.experiment)
        boundaries = {*self.log_steps.tolist(), *self.snapshots, start, stop}
        for boundary in sorted(b for b in boundaries if start <= b <= stop):
            while step < boundary:
                end, began = chunks.end(step, boundary), time.monotonic()
                states = jax.block_until_ready(self.programs.advance(states, step, end))
                chunks.took(end - step, time.monotonic() - began)
                progress.add((end - step) * len(self.runs))
                step = end
            if wrong := self._differing(states, step):
                return wrong
            if step in self.log_steps:
                states = self._without_retired(states, step)
        return ""

    def _alive(self, step: int) -> np.ndarray:
        """[R] which runs go on from a step."""
        retired_at = self.newest.get("retired_at", np.full(len(self.runs), LIVING))
        return (retired_at == LIVING) | (retired_at > step)

    def _without_retired(self, states: RunState, step: int) -> RunState:
        """Leave out the runs that retired at a step."""
        alive = self._alive(step)
        if (alive == self.alive).all():
            return states
        host = self.programs.rows(states)
        self._only(alive)
        return self.programs.place(host)

    def _only(self, alive: np.ndarray) -> None:
        self.alive, self.programs = alive, self.programs.among(alive)

    def _of_living(self, stored: Flat, again: Flat) -> Flat:
        """Put what is stored in the place of what was not computed again, the rows of runs that have retired."""
        rows = {name: self.alive.reshape(-1, *[1] * (leaf.ndim - 1)) for name, leaf in stored.items()}
        return {name: np.where(rows[name], again[name], leaf) for name, leaf in stored.items()}

    def _snapshot(self, step: int) -> Flat:
        assert self.store is not None
        return self.store.load(step)

    def _state(self, step: int) -> RunState:
        """Return the known state of a step, on the devices; that of a checkpoint where there is more than one."""
        if step in self.checkpoints:
            host = from_flat(self.checkpoints[step], {"states": self.like})["states"]
        elif step in self.snapshots and step != BEGINNING:
            network = unflattened(self._snapshot(step), PARAMETERS)
            later = self.newest["states/diverged_at"]
            host = state_of(network, self.like, np.where(later <= step, later, np.int32(HEALTHY)))
        else:
            return self.programs.initial()
        return self.programs.place(host)

    def _differing(self, states: RunState, step: int) -> str:
        """Compare a state, its measures and its snapshot with what is stored of the step."""
        pairs: list[tuple[str, Flat, Flat]] = []
        if step in self.log_steps:
            values = to_flat(self.programs.rows(self.programs.measure(states, step)))
            bad = ~values.pop("finite") | (values.pop("diverged_at") != HEALTHY)
            column = int(np.searchsorted(self.log_steps, step))
            kept = {n: self.newest[f"results/{n}"][:, column] for n in values if f"results/{n}" in self.newest}
            dates = self.newest["diverged_at"]
            kept["diverged"] = (dates != HEALTHY) & (dates <= step)
            pairs.append(("results", kept, values | {"diverged": bad}))
        if step in self.snapshots:
            again = to_flat(self.programs.rows(self.programs.snapshot(states)))
            pairs.append((f"snapshots/{step}", self._snapshot(step), again))
        if step in self.checkpoints:
            of_states = {n: leaf for n, leaf in self.checkpoints[step].items() if n.startswith("states/")}
            pairs.append((f"checkpoints/{step}", of_states, to_flat({"states": self.programs.rows(states)})))
        for where, stored, again in pairs:
            if not self.alive.all() and not where.startswith("checkpoints"):
                again = self._of_living(stored, again)
            for name, leaf in stored.items():
                if counts := _unequal(leaf, again[name]):
                    run = self.runs[int(np.flatnonzero(counts)[0])]
                    return (
                        f"{where} has other bits than step {step} when it is computed again: {sum(counts)} of "
                        f"{leaf.size} numbers of {name}, the first of {point_text(run)}"
                    )
        return ""


def _good(folder: epath.Path, fingerprint: str) -> dict[int, Flat]:
    """Read the trees of a folder that are whole; `verify` names the others."""
    found: dict[int, Flat] = {}
    store = TreeStore(folder, fingerprint=fingerprint)
    for step in store.steps():
        try:
            found[step] = store.load(step)
        except DamagedError as error:
            if is_there(folder / str(step)):  # else a sweep that trains has removed it meanwhile
                say(f"left out: {error}")
    store.close()
    return found


def _unequal(a: np.ndarray, b: np.ndarray) -> list[int]:
    """Count for each run the numbers whose bits differ; [] where none do."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return [max(1, leaf.size) for leaf in a]
    bits = np.dtype(f"u{a.dtype.itemsize}")
    same = np.ascontiguousarray(a).view(bits) == np.ascontiguousarray(b).view(bits)
    counts = (~same).reshape(len(a), -1).sum(1).tolist()
    return counts if any(counts) else []
