"""Paths as users write them: every name of a file or folder that a user gives goes through here."""

import os
import pathlib
from typing import Any

from etils import epath

from collapse_jax.errors import ConfigError, require


def path_of(field: str, name: Any) -> epath.Path:
    """Return the path of a file or folder, here or in an object store; ~ and ~user are home directories.

    Args:
      field: how messages call it.
      name: what the user wrote.

    Raises:
      ConfigError: it is no path, or there is no such home directory.
    """
    return epath.Path(_expanded(field, name))


def local_path(field: str, name: Any) -> pathlib.Path:
    """Return the same for what can only be on this machine.

    Raises:
      ConfigError: as `path_of`.
    """
    return pathlib.Path(_expanded(field, name))


def _expanded(field: str, name: Any) -> str:
    require(isinstance(name, str | os.PathLike), field, name, "must be a path")
    text = os.fspath(name)
    require(isinstance(text, str) and text != "" and "\0" not in text, field, name, "must be a path")
    home, slash, below = text.partition("/")
    if not home.startswith("~"):
        # A path of "./~x" is "~x", which would be a home directory where it is read again.
        return os.path.abspath(text) if pathlib.PurePath(text).parts[0].startswith("~") else text
    # Python leaves a name without a home directory as it is, and a folder called ~name would be made.
    found = os.path.expanduser(home)
    if not os.path.isdir(found):
        raise ConfigError(field, text, f"there is no home directory {home!r}; a folder of this name is ./{home}")
    return f"{found}{slash}{below}"


def version_of(path: pathlib.Path) -> tuple[int, ...]:
    """Return numbers that change when the file of this name is written anew, so that what it held can be kept."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
