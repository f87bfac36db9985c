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

SUFFIX = ".tmp"


def is_remote(path: epath.Path) -> bool:
    """Whether a path is one of an object store."""
    return "://" in os.fspath(path)


def remove_left_overs(directory: epath.Path) -> None:
    """Remove what a killed process left half-written; an object store shows no object before it is whole."""
    if not is_remote(directory):
        for path in directory.glob(f".*{SUFFIX}"):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: epath.Path) -> Iterator[pathlib.Path]:
    """Yield a local path; what is written there replaces `path` when the block ends well."""
    # The name is random, since two hosts on a shared disk may have processes of the same number.
    name = f".{path.name}.{secrets.token_hex(6)}{SUFFIX}"
    if is_remote(path):
        with tempfile.TemporaryDirectory() as directory:
            temporary = pathlib.Path(directory) / name
            yield temporary
            path.write_bytes(temporary.read_bytes())
        return
    temporary = pathlib.Path(os.fspath(path)).with_name(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(os.fspath(path))
    finally:
        temporary.unlink(missing_ok=True)
