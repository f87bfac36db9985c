"""With which software, on which kind of machine."""

import functools
import importlib.metadata
import pathlib
import platform
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from collapse_jax.system.version import own_version

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "xarray")


Origin = Mapping[str, Any]


@functools.cache
def software() -> dict[str, Any]:
    """Return the versions of what computes, the machine, and the commit of a checkout."""
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {
        "versions": versions | {"python": platform.python_version(), "collapse_jax": own_version()},
        "machine": f"{platform.system()} {platform.machine()}",
        "git_commit": _git_commit(),
    }


def origins(record: Mapping[str, Any]) -> list[Origin]:
    """Return what trained a leaf, in order: from which `step` on, `versions`, `machine`, `device`, `git_commit`.

    The first is that of its beginning; another stands for each time that a different one continued it.
    """
    begun = {name: record.get(name) for name in ("versions", "machine", "git_commit")}
    return [{"step": 0, "device": device_of(record.get("packing", {})), **begun}, *record.get("continued", [])]


def device_of(packing: Mapping[str, Any]) -> str:
    """Name the kind of device of a recorded packing."""
    return f"{packing.get('device_kind', '?')} ({packing.get('backend', '?')})"


def differ(origin: Origin, other: Origin) -> bool:
    """Whether two origins are more than two steps of one."""
    names = {*origin, *other} - {"step", "packing"}
    return "packing" in other or any(origin.get(name) != other.get(name) for name in names)


def during(record: Mapping[str, Any], start: int, stop: int) -> list[Origin]:
    """Return those of `origins` that trained some of the steps from `start` to `stop`."""
    every = origins(record)
    ends = [*(origin["step"] for origin in every[1:]), stop + 1]
    return [origin for origin, end in zip(every, ends, strict=True) if origin["step"] < stop and end > start]


def unlike(origin: Origin, other: Origin) -> list[str]:
    """Name the packages, the machine and the device of an origin that are others in another one."""
    names = [name for name in ("machine", "device") if origin.get(name) != other.get(name)]
    packages = [name for name in PACKAGES if version_of(name)(origin) != version_of(name)(other)]
    return [f"{name} {version_of(name)(origin)}" for name in packages] + [f"{n} {origin.get(n)}" for n in names]


def version_of(package: str) -> Callable[[Origin], Any]:
    """Return what reads the version of a package from an origin, None where there is none."""
    return lambda origin: (origin["versions"] or {}).get(package)


def written_by(record: Mapping[str, Any]) -> str:
    """Name the version of this package that last trained a node, as far as its record says."""
    last = origins(record)[-1]
    version, commit = version_of("collapse_jax")(last), last.get("git_commit")
    return f"collapse_jax {version or 'of an unknown version'}{f' (commit {commit})' if commit else ''}"


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
