"""The cache of compiled programs on the disk, which a killed process can leave with a half-written entry."""

import contextlib
import functools
import os
import pathlib
from typing import Any

NAME = "get_executable_and_time"


@functools.cache
def replace_damaged_entries() -> None:
    """Let jax compile and store anew what it cannot read; alone (0.10.2) it compiles it at each start and keeps it.

    jax writes entries in place, and writes none whose file is there.
    """
    from jax._src import compilation_cache

    read = getattr(compilation_cache, NAME, None)
    if read is None:  # of another version of jax
        return

    def reading(key: str, *arguments: Any) -> Any:
        try:
            return read(key, *arguments)
        except Exception:
            with contextlib.suppress(OSError):
                pathlib.Path(_folder(), f"{key}-cache").unlink()
            raise  # jax says it, and compiles

    setattr(compilation_cache, NAME, reading)


def _folder() -> str:
    import jax

    return os.fspath(getattr(jax.config, "jax_compilation_cache_dir", None) or "")
