"""With which software, on which kind of machine."""

import importlib.metadata
import pathlib
import platform
import subprocess
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "xarray")


def software() -> dict[str, Any]:
    """Return the versions of what computes, the machine, and the commit of a checkout."""
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {
        "versions": versions | {"python": platform.python_version(), "collapse_jax": _own_version()},
        "machine": f"{platform.system()} {platform.machine()}",
        "git_commit": _git_commit(),
    }


def _own_version() -> str:
    try:
        return importlib.metadata.version("collapse-jax")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _git_commit() -> str | None:
    """Return the commit of a checkout, "+" when files differ from it; None for an installed package."""
    root = pathlib.Path(__file__).parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True).stdout

    try:
        if pathlib.Path(git("rev-parse", "--show-toplevel").strip()) != root:
            return None
        return git("rev-parse", "HEAD").strip() + ("+" if git("status", "--porcelain", "-uno").strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return None
