"""What Orbax does that is not wanted here: tells of errors twice, leaves remains of failed saves, counts hosts."""

import functools
import logging
import shutil
import sys
import time
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint._src.futures import signaling_client
from orbax.checkpoint._src.multihost import multihost

from collapse_jax.system.files import is_remote

# Orbax reports each save, and each failure of one with a traceback; the caller learns of both in one line.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
# So it does with each leaf that cannot be read, since Orbax reports the first and drops the others.
logging.getLogger("asyncio").addFilter(
    lambda record: not any(name in record.getMessage() for name in ("_wrap_awaitable", "OCDBT"))
)

ORBAX_TEMPORARY = ".orbax-checkpoint-tmp"
# Looks at a failed save, 10 ms apart: how many at most, and how many without a find until nothing writes any more.
PATIENCE, SETTLED = 200, 10


def remove_left_overs(directory: epath.Path) -> bool:
    """Remove what saves that were not committed left in a directory, and say whether there was any."""
    found = list(directory.glob(f"*{ORBAX_TEMPORARY}*"))
    for path in found:
        if is_remote(path):
            path.rmtree(missing_ok=True)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return bool(found)


def remove_late_writes(directory: epath.Path) -> None:
    """Remove what a failed save still writes: Orbax waits for its first leaf that fails, not for the others."""
    quiet = 0
    for _ in range(PATIENCE):
        quiet = 0 if remove_left_overs(directory) else quiet + 1
        if quiet == SETTLED:
            return
        time.sleep(0.01)


@functools.cache
def ignore_closed_loops() -> None:
    """Keep quiet about the leaves of a failed save after the first, whose event loop Orbax has closed by then."""
    before = sys.unraisablehook

    def report(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = report


@functools.cache
def _own_signals() -> signaling_client.SignalingClient:
    return signaling_client.ThreadSafeKeyValueSignalingClient()


def alone() -> ocp.options.MultiprocessingOptions:
    """Make Orbax work as if this process were the only one: each process of a job saves to directories of its own.

    Orbax (0.12.8) writes host arrays and JSON in the process of index 0 alone, whatever its primary host is, and
    commits an empty checkpoint elsewhere. So every process is given that index, and waits for no other.

    The threads of a save tell each other under its number that its directories are there. Told to the coordinator
    of the job, this would be heard by another process, whose saves have the same numbers: it would write too early
    and fail, or wait for a word that the first has taken back.
    """
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    multihost.process_index = lambda: 0
    signaling_client.get_signaling_client = _own_signals
    return ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
