"""Files that appear whole or not at all and survive the loss of power, on a disk or in an object store.

A file is durable when its content, its name and the names of the folders above it have been synced (`fsync`): only
then may it be called saved, or what it replaces be removed.

Paths are `epath.Path`: local ones, and `gs://`, `s3://` and `az://` where the matching fsspec package is installed.
"""

import contextlib
import errno
import glob
import os
import pathlib
import secrets
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from etils import epath
from fsspec.config import conf

from collapse_jax.errors import CollapseError, StoreError, first_line
from collapse_jax.system.host import is_running, this_host

SUFFIX = ".tmp"
# Age of a temporary file of another machine, from which on nobody writes it any more.
ABANDONED_SECONDS = 86_400.0
# What a file system says that cannot sync files of this kind, such as folders.
NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
# Files of one tree that are synced together: the disk commits them as one.
TOGETHER = 8
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


def is_there(path: os.PathLike[str]) -> bool:
    """Whether there is a file or folder of this name; `Path.exists` says no as well where that cannot be told.

    Raises:
      StoreError: it cannot be told: no permission, a broken disk.
    """
    if is_remote(path):
        return epath.Path(path).exists()
    with storing(path, "read"):
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def require_readable(folder: epath.Path) -> None:
    """Tell whether everything in a folder can be read.

    Raises:
      StoreError: something cannot, with what the system or the object store says; what is missing is no such thing.
    """
    with storing(folder, "read"):
        files = _below(folder)
    for file in files:
        with storing(file, "read"), contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
            while opened.read(2**24):
                pass


def _below(folder: os.PathLike[str]) -> list[epath.Path]:
    """Return all files in a folder and in those below it; unlike `glob`, fail where one cannot be read."""

    def fail(error: OSError) -> None:
        raise error

    return [epath.Path(root, name) for root, _, names in epath.Path(folder).walk(on_error=fail) for name in names]


def make_folder(path: os.PathLike[str]) -> None:
    """Make a folder and those above it where they are missing, durably."""
    folder = epath.Path(path)
    if is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return
    missing = [f for f in (folder, *folder.parents) if not os.path.isdir(f)]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync(made.parent)


def sync(path: os.PathLike[str], *, forget: bool = False) -> None:
    """Bring a file, or the names in a folder, to the disk.

    Args:
      path: local.
      forget: drop it from memory, so that the disk is asked when it is read again.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        if forget and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: os.PathLike[str]) -> None:
    """Bring everything in a folder, the folder and its name to the disk, and read it from there next time."""
    if is_remote(folder):
        return
    with ThreadPoolExecutor(TOGETHER) as threads:
        list(threads.map(lambda file: sync(file, forget=True), _below(folder)))
    for root, _, _ in os.walk(folder, topdown=False):
        sync(pathlib.Path(root))
    sync(pathlib.Path(folder).parent)


def move(path: epath.Path, target: epath.Path) -> None:
    """Give a file another name in the same store, replacing what is there; a killed move leaves both."""
    make_folder(target.parent)
    if is_remote(path):  # which has no directories, though epath's own `replace` asks for one
        target.write_bytes(path.read_bytes())
        path.unlink()
    else:
        path.replace(target)
        for folder in dict.fromkeys((target.parent, path.parent)):
            sync(folder)


def remove_left_overs(directory: epath.Path) -> None:
    """Remove what a killed process left half-written in a directory and in the directories below it.

    Those of checkpoints and snapshots are named otherwise and removed by `TreeStore`. An object store has none: it
    shows no object before it is whole.
    """
    if is_remote(directory):
        return
    _remove_abandoned([*directory.glob(f".*{SUFFIX}"), *directory.glob(f"*/.*{SUFFIX}")])


_being_written: set[str] = set()  # by this process


def _remove_abandoned(paths: Iterable[os.PathLike[str]]) -> None:
    for path in map(pathlib.Path, paths):
        with contextlib.suppress(OSError):  # another command was faster, or it is not ours to remove
            if _is_abandoned(path):
                path.unlink()


def _is_abandoned(path: pathlib.Path) -> bool:
    """Whether who wrote a temporary file is dead, such as another command that drew figures.

    Of a process on another machine nothing is known; its file is abandoned when it is old.
    """
    host, _, pid = path.name.removesuffix(SUFFIX).rpartition(".")[2].rpartition("-")
    if host and host != _host():
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    if pid == str(os.getpid()):  # a container's processes have the numbers of those before them
        return path.name not in _being_written
    return not pid.isdigit() or not is_running(pid)


def _host() -> str:
    """Return a short name of this machine, as a part of a file's name."""
    return f"{zlib.crc32(this_host().encode()):08x}"


@contextlib.contextmanager
def replacing(path: os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yield a local path; what is written there replaces `path` when the block ends well.

    The content and the new name are on the disk when the block is left, also after a loss of power. What killed
    writers of the same file left is removed.
    """
    whole = epath.Path(path)
    # The name is random too, since two hosts on a shared disk may have processes of the same number.
    name = f".{whole.name}.{secrets.token_hex(4)}.{_host()}-{os.getpid()}{SUFFIX}"
    if is_remote(whole):
        with tempfile.TemporaryDirectory() as directory:
            temporary = pathlib.Path(directory) / name
            yield temporary
            whole.write_bytes(temporary.read_bytes())
        return
    temporary = pathlib.Path(os.fspath(whole)).with_name(name)
    earlier = temporary.parent.glob(f".{glob.escape(whole.name)}.{'[0-9a-f]' * 8}.*-*{SUFFIX}")
    _remove_abandoned(earlier)
    _being_written.add(name)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(os.fspath(whole))
        sync(temporary.parent)
    finally:
        _being_written.discard(name)
        with contextlib.suppress(OSError):  # a read-only disk must not hide the first error
            temporary.unlink(missing_ok=True)
