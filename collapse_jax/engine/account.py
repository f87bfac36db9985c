"""What a sweep says of itself while it trains: to the terminal, to who reads its lock, to records of its runs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from collapse_jax.engine.records import Records
from collapse_jax.engine.stopping import LIVING
from collapse_jax.experiment import config, grid
from collapse_jax.experiment.points import point_text
from collapse_jax.system.progress import Progress, listed, say
from collapse_jax.training import HEALTHY
from collapse_jax.workdir.lock import Lock


class Account:
    """Says how far a sweep is, and what happened to its runs.

    Args:
      experiment: that is trained.
      lock: of its workdir, whose heartbeat says how far it is.
      taken: step -> run-steps that all runs together have taken when the sweep is there.
      step: at which it goes on, -1 before the first.
      records: of its runs in a tracking library; None without one.
    """

    def __init__(
        self,
        experiment: config.Experiment,
        lock: Lock,
        taken: Callable[[int], int],
        step: int,
        records: Records | None = None,
    ):
        self.experiment, self.lock, self.taken, self.records = experiment, lock, taken, records
        self.bar = Progress(taken(experiment.steps), done=taken(max(step, 0)))

    def name(self, run: int) -> str:
        """Name a run: "weight decay 0.1, seed 42"."""
        return point_text(grid.grid_runs(self.experiment.grid)[run])

    def moved(self, step: int, diverged_at: np.ndarray, retired_at: np.ndarray) -> None:
        """Say that the sweep has reached a step."""
        counts = {
            "diverged": int((diverged_at != HEALTHY).sum()),
            "retired": int(((retired_at != LIVING) & (diverged_at == HEALTHY)).sum()),
        }
        done, total = self.taken(step), self.taken(self.experiment.steps)
        note = [f"step {step:,} of {self.experiment.steps:,}", *(f"{n} {word}" for word, n in counts.items() if n)]
        self.bar.update(done, ", ".join(note))
        self.lock.progress = {"step": step, "done": done, "total": total, "rate": round(self.bar.rate, 3), **counts}

    def retired(self, step: int, runs: np.ndarray, living: int) -> None:
        """Say that the stop rule has ended some runs at a step, after which so many go on."""
        self.bar.expect(self.taken(self.experiment.steps))
        say(f"retired at step {step}, {living} go on: {listed([self.name(int(run)) for run in runs])}")

    def diverged(self, run: int, step: int) -> None:
        """Say that a run is not finite from a step on."""
        say(f"diverged at step {step}: {self.name(run)}; masked from there on, the others go on")

    def logged(self, step: int, *logged: Any) -> None:
        """Tell the records what is logged up to a step; see `Records.tell`."""
        if self.records:
            self.records.tell(step, *logged)

    def interrupt(self, step: int, *logged: Any) -> None:
        """Leave the bar and the records as they stand."""
        self.bar.close()
        if self.records:
            self.records.close(True, step, *logged)

    def end(self, diverged_at: np.ndarray, *logged: Any) -> None:
        """Say how fast it went, and which runs diverged; end the records."""
        self.bar.close()
        if self.records:
            self.records.close(False, self.experiment.steps, *logged)
        if self.bar.rate > 0:
            say(f"{self.bar.rate:.0f} run-steps/s")
        bad = np.flatnonzero(diverged_at != HEALTHY)
        if len(bad):
            named = "; ".join(f"{self.name(int(run))} at step {diverged_at[run]}" for run in bad)
            say(f"{len(bad)} of {len(diverged_at)} runs diverged: {named}")
