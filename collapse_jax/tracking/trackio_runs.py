"""Runs of Trackio: in its database (`TRACKIO_DIR`), or where `TRACKIO_SPACE_ID` or `TRACKIO_SERVER_URL` say."""

import contextlib
import io
from collections.abc import Sequence

import trackio
from trackio import context_vars

from collapse_jax.tracking.base import Row, Run


class Trackio:
    """A run; Trackio knows runs by their names, so a piece of the id stands in it."""

    def start(self, run: Run) -> int:
        """See `Tracker`."""
        with _quiet():
            self._run = trackio.init(
                project=run.project,
                name=f"{run.name} {run.id[:6]}",
                group=run.group,
                config=dict(run.config),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        context_vars.current_run.set(None)  # which the next one, and the end of the process, would finish
        return int(self._run._next_step) - 1  # of what was taken up; Trackio has no other word for it

    def log(self, rows: Sequence[Row]) -> None:
        """See `Tracker`."""
        for step, values in rows:
            self._run.log(dict(values), step=step)

    def finish(self, outcome: str, step: int) -> None:
        """See `Tracker`; Trackio has no word for an outcome."""
        with _quiet():
            self._run.finish()


def _quiet() -> contextlib.AbstractContextManager[object]:
    """Keep what Trackio prints from standard output, which is for the results of a command."""
    return contextlib.redirect_stdout(io.StringIO())
