"""The version of this package: that of the tag it was built from, or of the commits since."""

import importlib.metadata

UNKNOWN = "not installed"


def own_version() -> str:
    """Return the version of the installed package; `UNKNOWN` for a source tree that was never installed."""
    try:
        return importlib.metadata.version("collapse-jax")
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN


__version__ = own_version()
