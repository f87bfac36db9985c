"""Trees of arrays by step, through Orbax: asynchronous, atomic, with a checksum per leaf.

Orbax alone restores a flipped byte without an error, so each tree carries the CRC-32 of its leaves. It is verified
when it is read, and read back before an older one is removed in its favour.
"""

import contextlib
import functools
import logging
import os
import shutil
import sys
import zlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint._src.multihost import multihost

from collapse_jax.errors import StoreError, first_line
from collapse_jax.system.files import is_remote
from collapse_jax.system.progress import say
from collapse_jax.workdir.lock import Lock

# Orbax reports each save, and each failure of one with a traceback; the caller learns of both in one line.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)
# So it does with each leaf that cannot be read, since Orbax reports the first and drops the others.
logging.getLogger("asyncio").addFilter(
    lambda record: not any(name in record.getMessage() for name in ("_wrap_awaitable", "OCDBT"))
)

ORBAX_TEMPORARY = ".orbax-checkpoint-tmp"


def to_flat(tree: Any) -> dict[str, np.ndarray]:
    """Map "path/of/leaf" to a host copy of each leaf."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def from_flat(flat: dict[str, np.ndarray], like: Any) -> Any:
    """Inverse of `to_flat`: put the leaves where `like` has them."""
    paths = jax.tree_util.tree_leaves_with_path(like)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
    return jax.tree.unflatten(jax.tree.structure(like), [flat[name] for name in names])


def checksums(flat: dict[str, np.ndarray]) -> dict[str, int]:
    """Return the CRC-32 of each leaf's bytes."""
    return {name: zlib.crc32(np.ascontiguousarray(leaf).data) for name, leaf in flat.items()}


class TreeStore:
    """Trees of host arrays under `directory/<step>/`.

    Args:
      directory: of the trees. It is read, and nothing in it is touched, be it that another process writes there.
      lock: of the workdir; who holds it may write, too. The directory is then made when it does not exist, and what
        a killed save left in it is removed.
      keep: number of newest steps that stay (at least 2); None keeps all.

    Raises:
      StoreError: the directory cannot be used.
    """

    def __init__(self, directory: str | os.PathLike[str], *, lock: Lock | None = None, keep: int | None = None):
        self.directory, self.lock, self.keep = epath.Path(directory), lock, keep
        self._unverified: list[int] = []
        options = (
            ocp.CheckpointManagerOptions(
                cleanup_tmp_directories=True, create=False, multiprocessing_options=_alone()
            )
            if lock
            else ocp.CheckpointManagerOptions(read_only=True, save_interval_steps=0, create=False)
        )
        # Orbax needs an absolute path; `resolve` would put a working directory before "gs://".
        absolute = self.directory if is_remote(self.directory) else self.directory.resolve()
        try:
            if lock:
                _ignore_closed_loops()
                self.directory.mkdir(parents=True, exist_ok=True)
                self._remove_left_overs()
            self._manager = ocp.CheckpointManager(absolute, options=options)
        except (OSError, ValueError) as error:
            raise StoreError(f"{directory}: cannot be used: {first_line(error)}") from error

    def steps(self) -> list[int]:
        """Return the committed steps in ascending order."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, tree: Any) -> None:
        """Begin to save a tree; it becomes visible when it is whole. Errors of earlier saves are raised here.

        Raises:
          StoreError: a save failed; what was there before is there still.
        """
        self._require_lock()
        flat = to_flat(tree)
        arguments = ocp.args.Composite(
            tree=ocp.args.PyTreeSave(flat), meta=ocp.args.JsonSave({"crc32": checksums(flat)})
        )
        try:
            if self.keep:
                self._retire()
            saved = self._manager.save(step, args=arguments)
        except StoreError:
            raise
        except Exception as error:
            raise self._failure(f"saving step {step} failed", error) from error
        if not saved:
            raise StoreError(f"{self.directory}: Orbax declined to save step {step}")
        self._unverified.append(step)

    def _require_lock(self) -> None:
        if self.lock is None:
            raise StoreError(f"{self.directory}: opened for reading; to write, hold the lock of the workdir")

    def wait(self) -> None:
        """Return when all saves are committed."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failure("a save failed", error) from error

    def verify(self) -> None:
        """Wait for the saves and read back what was not read since.

        Raises:
          StoreError: a save failed or reads back with other bits.
        """
        self.wait()
        while self._unverified:
            self.load(self._unverified[0])
            del self._unverified[0]

    def _retire(self) -> None:
        """Remove the oldest steps, if the newest reads back well; otherwise remove that one."""
        assert self.keep is not None
        try:
            self.verify()
        except StoreError as error:
            bad = self._unverified.pop(0) if self._unverified else None
            if bad not in self.steps():  # it was never committed
                raise
            say(f"a checkpoint does not read back: {error}; kept the one before it")
            self._manager.delete(bad)
            return
        for old in self.steps()[: -(self.keep - 1)]:
            self._manager.delete(old)

    def _remove_left_overs(self) -> None:
        for path in self.directory.glob(f"*{ORBAX_TEMPORARY}*"):
            if is_remote(path):
                path.rmtree(missing_ok=True)
            else:
                shutil.rmtree(path, ignore_errors=True)

    def _failure(self, what: str, error: Exception) -> StoreError:
        """Describe a failed save, and free the space that it took."""
        self._unverified.clear()
        self._remove_left_overs()
        return StoreError(f"{self.directory}: {what}: {first_line(error)}")

    def load(self, step: int, only: str = "") -> dict[str, np.ndarray]:
        """Read the flat tree of a step and verify it.

        Args:
          step: one of `steps()`.
          only: read the leaves alone whose names begin so.

        Raises:
          StoreError: the step is damaged; the message says how.
        """
        try:
            meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta
            expected = {name: crc for name, crc in meta["crc32"].items() if name.startswith(only)}
            wanted = ocp.args.PyTreeRestore()
            if only:
                wanted = ocp.args.PyTreeRestore(dict.fromkeys(expected, 0), partial_restore=True)
            restored = self._manager.restore(step, args=ocp.args.Composite(tree=wanted))
            flat = {name: np.asarray(leaf) for name, leaf in restored.tree.items()}
        except Exception as error:  # Orbax raises a bare Exception for some kinds of damage
            raise StoreError(f"{self.directory}/{step} cannot be read: {first_line(error)}") from error
        found = checksums(flat)
        damaged = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        if damaged:
            raise StoreError(f"{self.directory}/{step} is damaged: checksum of {damaged[0]} differs")
        return flat

    def delete_after(self, step: int) -> None:
        """Delete every step later than `step`."""
        self._require_lock()
        for later in self.steps():
            if later > step:
                self._manager.delete(later)

    def close(self) -> None:
        """Wait for saves and release the threads.

        Raises:
          StoreError: a save failed.
        """
        try:
            self.wait()
        finally:
            with contextlib.suppress(Exception):  # said by `wait`
                self._manager.close()


@functools.cache
def _ignore_closed_loops() -> None:
    """Keep quiet about the leaves of a failed save after the first, whose event loop Orbax has closed by then."""
    before = sys.unraisablehook

    def report(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = report


def _alone() -> ocp.options.MultiprocessingOptions:
    """Make Orbax work as if this process were the only one: each process of a job saves to directories of its own.

    Orbax (0.12.8) writes host arrays and JSON in the process of index 0 alone, whatever its primary host is, and
    commits an empty checkpoint elsewhere. So every process is given that index, and waits for no other.
    """
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    multihost.process_index = lambda: 0
    return ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
