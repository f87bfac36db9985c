"""Trees of arrays by step, through Orbax: asynchronous, atomic, with a checksum per leaf.

Orbax alone restores a flipped byte without an error, so each tree carries the CRC-32 of its leaves and is
verified when it is read.
"""

import logging
import pathlib
import zlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from collapse_jax.errors import StoreError

# Orbax reports each save at INFO; a sweep saves hundreds of times.
logging.getLogger("absl").setLevel(logging.WARNING)


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
      directory: made when it does not exist.
      keep: number of newest steps that stay; None keeps all.
      read_only: leave everything as it is, also what another process is writing now; the directory must exist.
    """

    def __init__(self, directory: pathlib.Path, keep: int | None = None, read_only: bool = False):
        self.directory = directory
        # Not Orbax's own `read_only`, which warns of itself.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, cleanup_tmp_directories=not read_only, create=not read_only
        )
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options)

    def steps(self) -> list[int]:
        """Return the committed steps in ascending order."""
        return sorted(self._manager.all_steps())

    def save(self, step: int, tree: Any) -> None:
        """Begin to save a tree; it becomes visible when it is whole. Errors of earlier saves are raised here."""
        flat = to_flat(tree)
        arguments = ocp.args.Composite(
            tree=ocp.args.PyTreeSave(flat), meta=ocp.args.JsonSave({"crc32": checksums(flat)})
        )
        try:
            saved = self._manager.save(step, args=arguments)
        except Exception as error:
            raise StoreError(f"{self.directory}: saving step {step} failed: {_first_line(error)}") from error
        if not saved:
            raise StoreError(f"{self.directory}: Orbax declined to save step {step}")

    def wait(self) -> None:
        """Return when all saves are committed."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise StoreError(f"{self.directory}: a save failed: {_first_line(error)}") from error

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
            raise StoreError(f"{self.directory}/{step} cannot be read: {_first_line(error)}") from error
        found = checksums(flat)
        damaged = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        if damaged:
            raise StoreError(f"{self.directory}/{step} is damaged: checksum of {damaged[0]} differs")
        return flat

    def delete_after(self, step: int) -> None:
        """Delete every step later than `step`."""
        for later in self.steps():
            if later > step:
                self._manager.delete(later)

    def close(self) -> None:
        """Wait for saves and release the threads."""
        self.wait()
        self._manager.close()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
