"""Paths as users write them: every name of a file or folder that a user gives goes through here."""

import importlib.util
import os
import pathlib
import re
from typing import Any

from etils import epath

from collapse_jax.errors import ConfigError, require

# Object stores: the packages that speak with each, of which one will do, and what installs the first.
STORES = {
    "gs": (("gcsfs", "tensorflow"), 'pip install "collapse-jax[gcs]"'),
    "s3": (("s3fs",), "pip install s3fs"),
    "az": (("adlfs",), "pip install adlfs"),
}

MAX_NAME = 255  # bytes, on all common file systems


def path_of(field: str, name: Any) -> epath.Path:
    """Return the path of a file or folder, here or in an object store; ~ and ~user are home directories.

    Args:
      field: how messages call it.
      name: what the user wrote.

    Raises:
      ConfigError: it is no path, there is no such home directory, the object store is unknown, its package is not
        installed or no bucket is named.
    """
    text = _expanded(field, name)
    _require_store(field, text)
    return epath.Path(text)


def is_url(name: str) -> bool:
    """Whether a name is an address of the web and no path."""
    return re.match(r"https?://", name) is not None


def local_path(field: str, name: Any) -> pathlib.Path:
    """Return the same for what can only be on this machine.

    Raises:
      ConfigError: as `path_of`.
    """
    return pathlib.Path(_expanded(field, name))


def _require_store(field: str, text: str) -> None:
    """Raise `ConfigError` for a path with a scheme that cannot be reached from here."""
    found = re.match(r"([A-Za-z][\w+.-]*)://(/*)", text)
    if not found:
        return
    known = ", ".join(f"{scheme}://bucket/folder" for scheme in STORES)
    require(found[1] in STORES, field, text, f"must be on a disk or in an object store: {known}")
    require(not found[2] and found.end() < len(text), field, text, f"must be {found[1]}://bucket/folder")
    packages, install = STORES[found[1]]
    installed = any(importlib.util.find_spec(package) for package in packages)
    require(installed, field, text, f"{found[1]}:// needs the package {packages[0]}: {install}")


def _expanded(field: str, name: Any) -> str:
    require(isinstance(name, str | os.PathLike), field, name, "must be a path")
    text = os.fspath(name)
    require(isinstance(text, str) and text != "" and "\0" not in text, field, name, "must be a path")
    short = all(len(os.fsencode(part)) <= MAX_NAME for part in text.split("/"))
    require(short, field, text, f"a name in it has more than {MAX_NAME} bytes")
    home, slash, below = text.partition("/")
    if not home.startswith("~"):
        # A path of "./~x" is "~x", which would be a home directory where it is read again.
        first = next(iter(pathlib.PurePath(text).parts), "")  # "." has no parts
        return os.path.abspath(text) if first.startswith("~") else text
    # Python leaves a name without a home directory as it is, and a folder called ~name would be made.
    found = os.path.expanduser(home)
    if not os.path.isdir(found):
        raise ConfigError(field, text, f"there is no home directory {home!r}; a folder of this name is ./{home}")
    return f"{found}{slash}{below}"


def version_of(path: pathlib.Path) -> tuple[int, ...]:
    """Return numbers that change when the file of this name is written anew, so that what it held can be kept."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
