"""How far a sweep is, and who trains it: from what lies in its workdir, in which nothing is locked or written."""

import dataclasses
import os
import time
from typing import Any

from etils import epath

from collapse_jax.errors import CollapseError
from collapse_jax.experiment.grid import number_of_runs
from collapse_jax.system.files import is_there
from collapse_jax.system.host import is_running, this_host
from collapse_jax.system.paths import path_of
from collapse_jax.workdir.lock import LOCK, STALE_SECONDS, read_lock
from collapse_jax.workdir.netcdf import read_dataset
from collapse_jax.workdir.results import RESULTS, reached_step
from collapse_jax.workdir.tree import Node, absent, nodes


@dataclasses.dataclass(frozen=True)
class Status:
    """How far one part of a sweep is, the whole of one that is not cut.

    Attributes:
      part: its name, "" for a sweep that is not cut.
      state: "finished", "training", "stopped" (nobody trains it; the same command continues) or "not begun".
      step: the last one that is known to be reached: by the heartbeat, at most 10 s old, or the last checkpoint, or
        the results where no checkpoint lies beside them.
      steps: of the experiment.
      runs: of the part.
      diverged: runs that did, up to then.
      retired: runs that a stop rule ended, up to then.
      rate: run-steps per second of the process that trains; None without one.
      left: seconds until it is done, at this rate; None where nobody knows.
      checkpoint: step of the last one, None without.
      checkpoint_age: seconds since it was written.
      writer: who holds the lock, "process 7 on host"; "" for nobody.
      alive: whether that process still runs; on another machine, whether its heartbeat is younger than a minute;
        None where nobody holds the lock.
      since: when it began.
    """

    part: str
    state: str
    step: int | None
    steps: int
    runs: int
    diverged: int = 0
    retired: int = 0
    rate: float | None = None
    left: float | None = None
    checkpoint: int | None = None
    checkpoint_age: float | None = None
    writer: str = ""
    alive: bool | None = None
    since: str = ""


def status(workdir: str | os.PathLike[str]) -> list[Status]:
    """Say how far a sweep is, part by part, while it trains or not; nothing in the workdir is touched.

    Example:
      >>> [(part.step, part.left) for part in collapse_jax.status("runs/mnist_mlp")]  # doctest: +SKIP

    Raises:
      WorkdirError: there is no sweep, or a record is damaged.
    """
    begun = list(nodes(path_of("workdir", workdir)))
    found = [_status(node) for node in begun if node.is_leaf]
    return found + [Status(text, "not begun", None, begun[0].experiment.steps, 0) for text in absent(begun)]


def _status(leaf: Node) -> Status:
    held, steps = read_lock(leaf.path), leaf.experiment.steps
    checkpoint, age = _last_checkpoint(leaf.path / "checkpoints")
    alive = _is_alive(leaf.path, held) if held else None
    told = held if alive and held and "step" in held else None
    ended = told or _in_results(leaf.path)
    step = told["step"] if told else ended.get("step") if checkpoint is None else checkpoint
    rate = told["rate"] if told else None
    return Status(
        part=leaf.text,
        state="training" if alive else "finished" if step == steps else "stopped",
        step=step,
        steps=steps,
        runs=number_of_runs(leaf.experiment.grid),
        diverged=ended.get("diverged", 0),
        retired=ended.get("retired", 0),
        rate=rate,
        left=(told["total"] - told["done"]) / rate if told and rate else None,
        checkpoint=checkpoint,
        checkpoint_age=age,
        writer=f"process {held['pid']} on {held['host'].split()[0]}" if held else "",
        alive=alive,
        since=held["since"] if held else "",
    )


def _is_alive(folder: epath.Path, held: dict[str, Any]) -> bool:
    """Whether who holds a lock still runs, without asking for the lock."""
    if held["host"] == this_host():
        return is_running(held["pid"])
    try:
        return _age(folder / LOCK) < STALE_SECONDS
    except FileNotFoundError:  # it has just been given back
        return False


def _last_checkpoint(folder: epath.Path) -> tuple[int | None, float | None]:
    """Return the step of the newest checkpoint and its age in seconds: a folder gets its name when it is whole."""
    steps = [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if is_there(folder) else []
    for step in sorted(steps, reverse=True):
        try:
            return step, _age(folder / str(step))
        except FileNotFoundError:  # whoever trains has removed it meanwhile, in favour of a newer one
            continue
    return None, None


def _age(path: epath.Path) -> float:
    return max(time.time() - path.stat().mtime, 0.0)


def _in_results(folder: epath.Path) -> dict[str, int]:
    """Return how far the results are, which are written with each checkpoint, and how many runs had ended."""
    try:
        results = read_dataset(folder / RESULTS)
    except (CollapseError, OSError):  # there are none yet, or `verify` says what is wrong
        return {}
    diverged = results["diverged_at"].values >= 0
    retired = results["retired_at"].values >= 0 if "retired_at" in results else diverged & False
    counts = {"diverged": int(diverged.sum()), "retired": int((retired & ~diverged).sum())}
    return counts | {"step": reached_step(results)}
