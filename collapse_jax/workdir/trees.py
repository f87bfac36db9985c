"""Trees of arrays by step, through Orbax: asynchronous, atomic, durable, with a checksum per leaf.

Orbax alone restores a flipped byte without an error, so each tree carries the CRC-32 of its leaves. It is verified
when it is read. Nor does Orbax sync more than the bulk of the arrays: names, metadata and commits would be lost
with the power. So a tree is synced whole and read back before it is called saved, or an older one removed in its
favour.
"""

import contextlib
import os
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from collapse_jax.errors import DamagedError, StoreError, WorkdirError, first_line
from collapse_jax.system.files import is_remote, make_folder, require_readable, sync_tree
from collapse_jax.system.progress import say
from collapse_jax.workdir import orbax_habits as habits
from collapse_jax.workdir.lock import Lock


def to_flat(tree: Any) -> dict[str, np.ndarray]:
    """Map "path/of/leaf" to a host copy of each leaf."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}


def from_flat(flat: dict[str, np.ndarray], like: Any) -> Any:
    """Inverse of `to_flat`: put the leaves where `like` has them."""
    paths = jax.tree_util.tree_leaves_with_path(like)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
    return jax.tree.unflatten(jax.tree.structure(like), [flat[name] for name in names])


def unflattened(flat: Mapping[str, np.ndarray], below: str) -> dict[str, Any]:
    """Return the tree of dictionaries of the leaves below a name."""
    tree: dict[str, Any] = {}
    for name, leaf in flat.items():
        first, *path, last = name.split("/")
        if first == below:
            node = tree
            for key in path:
                node = node.setdefault(key, {})
            node[last] = leaf
    return tree


def checksums(flat: dict[str, np.ndarray]) -> dict[str, int]:
    """Return the CRC-32 of each leaf's bytes."""
    return {name: zlib.crc32(np.ascontiguousarray(leaf).data) for name, leaf in flat.items()}


class TreeStore:
    """Trees of host arrays under `directory/<step>/`.

    Args:
      directory: of the trees. It is read, and nothing in it is touched, be it that another process writes there.
      lock: of the workdir; who holds it may write, too. The directory is then made when it does not exist, and what
        a killed save left in it is removed.
      fingerprint: of the experiment whose trees they are; "" takes those of any.
      keep: number of newest steps that stay (at least 2); None keeps all.

    Raises:
      StoreError: the directory cannot be used.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        lock: Lock | None = None,
        fingerprint: str = "",
        keep: int | None = None,
    ):
        self.directory, self.lock, self.keep, self.fingerprint = epath.Path(directory), lock, keep, fingerprint
        self._unsynced: list[int] = []
        self._unverified: list[int] = []
        self._failed = False
        how = {"cleanup_tmp_directories": True} if lock else {"read_only": True, "save_interval_steps": 0}
        options = ocp.CheckpointManagerOptions(create=False, multiprocessing_options=habits.alone(), **how)
        # Orbax needs an absolute path; `resolve` would put a working directory before "gs://".
        absolute = self.directory if is_remote(self.directory) else self.directory.resolve()
        try:
            if lock:
                habits.ignore_closed_loops()
                make_folder(self.directory)
                habits.remove_left_overs(self.directory)
            self._manager = ocp.CheckpointManager(absolute, options=options)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or first_line(error)
            raise StoreError(f"{directory}: cannot be used: {reason}") from error

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
        meta = {"crc32": checksums(flat), "fingerprint": self.fingerprint}
        arguments = ocp.args.Composite(tree=ocp.args.PyTreeSave(flat), meta=ocp.args.JsonSave(meta))
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
        self._unsynced.append(step)
        self._unverified.append(step)

    def _require_lock(self) -> None:
        if self.lock is None:
            raise StoreError(f"{self.directory}: opened for reading; to write, hold the lock of the workdir")

    def wait(self) -> None:
        """Return when all saves are committed, and on the disk.

        Raises:
          StoreError: a save failed.
        """
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failure("a save failed", error) from error
        while self._unsynced:
            step = self._unsynced[0]
            try:
                sync_tree(self.directory / str(step))
            except OSError as error:  # what memory holds of it is not to be trusted any more
                with contextlib.suppress(Exception):
                    self._manager.delete(step)
                raise self._failure(f"step {step} does not reach the disk", error) from error
            self._unsynced.remove(step)

    def settle(self) -> None:
        """Bring saves to the disk that were committed meanwhile; return at once while one is being written.

        Raises:
          StoreError: a save failed.
        """
        if self._unsynced and not self._manager.is_saving_in_progress():
            self.wait()

    def verify(self) -> None:
        """Wait for the saves and read back from the disk what was not read since.

        Raises:
          DamagedError: a save reads back with other bits.
          StoreError: a save failed or cannot be read.
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
        except DamagedError as error:
            bad = self._unverified.pop(0)
            if bad not in self.steps():  # it was never committed
                raise
            say(f"a checkpoint does not read back: {error}; kept the one before it")
            self._manager.delete(bad)
            return
        for old in self.steps()[: -(self.keep - 1)]:
            self._manager.delete(old)

    def _failure(self, what: str, error: Exception) -> StoreError:
        """Describe a failed save, and free the space that it took."""
        self._unsynced.clear()
        self._unverified.clear()
        self._failed = True
        habits.remove_left_overs(self.directory)
        reason = getattr(error, "strerror", None) or first_line(error)
        return StoreError(f"{self.directory}: {what}: {reason}")

    def load(self, step: int, only: str = "") -> dict[str, np.ndarray]:
        """Read the flat tree of a step and verify it.

        Args:
          step: one of `steps()`.
          only: read the leaves alone whose names begin so.

        Raises:
          DamagedError: the step is damaged; the message says how.
          StoreError: the system does not hand it out; the message says why.
          WorkdirError: it is of another experiment.
        """
        folder = self.directory / str(step)
        try:
            meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore())).meta
            expected = {name: crc for name, crc in meta["crc32"].items() if name.startswith(only)}
            wanted = ocp.args.PyTreeRestore()
            if only:
                wanted = ocp.args.PyTreeRestore(dict.fromkeys(expected, 0), partial_restore=True)
            restored = self._manager.restore(step, args=ocp.args.Composite(tree=wanted))
            flat = {name: np.asarray(leaf) for name, leaf in restored.tree.items()}
        except Exception as error:  # Orbax raises a bare Exception for some kinds of damage
            require_readable(folder)
            raise DamagedError(f"{folder} is damaged: {first_line(error)}") from error
        owner = meta.get("fingerprint", "")
        if owner and self.fingerprint and owner != self.fingerprint:
            raise WorkdirError(f"{folder} belongs to another experiment ({owner}); move it away")
        found = checksums(flat)
        damaged = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        if damaged:
            raise DamagedError(f"{folder} is damaged: checksum of {damaged[0]} differs")
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
            if self._failed:
                habits.remove_late_writes(self.directory)
