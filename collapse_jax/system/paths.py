"""Paths as users write them."""

import pathlib

from collapse_jax.errors import ConfigError


def local_path(field: str, name: str) -> pathlib.Path:
    """Return the path of a file or folder on this machine; ~ and ~user are home directories.

    Args:
      field: of the config, for messages.
      name: what the user wrote.

    Raises:
      ConfigError: there is no such user.
    """
    try:
        return pathlib.Path(name).expanduser()
    except RuntimeError:
        raise ConfigError(field, name, f"there is no home directory {pathlib.Path(name).parts[0]!r}") from None


def version_of(path: pathlib.Path) -> tuple[int, ...]:
    """Return numbers that change when the file of this name is written anew, so that what it held can be kept."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
