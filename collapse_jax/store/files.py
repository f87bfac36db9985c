"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

from collapse_jax.errors import StoreError

SUFFIX = ".tmp"


@contextlib.contextmanager
def storing(path: pathlib.Path) -> Iterator[None]:
    """Turn what the system says about a write into a `StoreError` that names the file."""
    try:
        yield
    except OSError as error:
        # HDF5 hides the reason in a text of several lines.
        found = re.search(r"errno = (\d+)", str(error))
        reason = os.strerror(int(found[1])) if found else error.strerror or str(error)
        raise StoreError(f"{path} cannot be written: {reason}") from error


def remove_left_overs(directory: pathlib.Path) -> None:
    """Remove what a killed process left half-written in a directory and in the directories below it.

    Those of checkpoints and snapshots are named otherwise and removed by `TreeStore`.
    """
    for path in [*directory.glob(f".*{SUFFIX}"), *directory.glob(f"*/.*{SUFFIX}")]:
        if not _is_being_written(path):
            path.unlink(missing_ok=True)


def _is_being_written(path: pathlib.Path) -> bool:
    """Whether the process that is named in a temporary file lives, such as another command that draws figures."""
    pid = path.name.removesuffix(SUFFIX).rpartition(".")[2]
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a path in the same folder; what is written there replaces `path` when the block ends well.

    The content and the new name are on the disk when the block is left, also after a loss of power.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):  # a read-only disk must not hide the first error
            temporary.unlink(missing_ok=True)


def _sync_directory(directory: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        opened = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
