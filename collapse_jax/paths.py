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
