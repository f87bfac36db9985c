"""Files that appear whole or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

SUFFIX = ".tmp"


def remove_left_overs(directory: pathlib.Path) -> None:
    """Remove what a killed process left half-written."""
    for path in directory.glob(f".*{SUFFIX}"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a path in the same folder; what is written there replaces `path` when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{SUFFIX}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
