"""Files that appear whole or not at all, on a disk or in an object store.

Paths are `epath.Path`: local ones, and `gs://`, `s3://` and `az://` where the matching fsspec package is installed.
"""

import contextlib
import os
import pathlib
import secrets
import tempfile
from collections.abc import Iterator

from etils import epath
from fsspec.config import conf

from collapse_jax.errors import CollapseError, StoreError, first_line

SUFFIX = ".tmp"
# fsspec remembers listings of an object store, and with them the size of files that another machine has since
# written anew. A user's own setting wins.
for _protocol in ("gs", "s3", "abfs"):
    conf.setdefault(_protocol, {}).setdefault("use_listings_cache", False)


def is_remote(path: os.PathLike[str]) -> bool:
    """Whether a path is one of an object store."""
    return "://" in os.fspath(path)


@contextlib.contextmanager
def storing(path: os.PathLike[str], what: str = "written") -> Iterator[None]:
    """Turn what the system or an object store says about a file into a `StoreError` that names it."""
    try:
        yield
    except CollapseError:
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not is_remote(path):
            raise
        reason = getattr(error, "strerror", None) or first_line(error)
        raise StoreError(f"{path} cannot be {what}: {reason}") from error


def move(path: epath.Path, target: epath.Path) -> None:
    """Give a file another name in the same store, replacing what is there; a killed move leaves both."""
    target.parent.mkdir(exist_ok=True)
    if is_remote(path):  # which has no directories, though epath's own `replace` asks for one
        target.write_bytes(path.read_bytes())
        path.unlink()
    else:
        path.replace(target)


def remove_left_overs(directory: epath.Path) -> None:
    """Remove what a killed process left half-written in a directory and in the directories below it.

    Those of checkpoints and snapshots are named otherwise and removed by `TreeStore`. An object store has none: it
    shows no object before it is whole.
    """
    if is_remote(directory):
        return
    for path in [*directory.glob(f".*{SUFFIX}"), *directory.glob(f"*/.*{SUFFIX}")]:
        if not _is_being_written(path):
            path.unlink(missing_ok=True)


def _is_being_written(path: epath.Path) -> bool:
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
def replacing(path: os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yield a local path; what is written there replaces `path` when the block ends well.

    The content and the new name are on the disk when the block is left, also after a loss of power.
    """
    whole = epath.Path(path)
    # The name is random too, since two hosts on a shared disk may have processes of the same number.
    name = f".{whole.name}.{secrets.token_hex(4)}.{os.getpid()}{SUFFIX}"
    if is_remote(whole):
        with tempfile.TemporaryDirectory() as directory:
            temporary = pathlib.Path(directory) / name
            yield temporary
            whole.write_bytes(temporary.read_bytes())
        return
    temporary = pathlib.Path(os.fspath(whole)).with_name(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(os.fspath(whole))
        _sync_directory(temporary.parent)
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
