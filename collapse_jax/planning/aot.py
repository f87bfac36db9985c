"""Ahead-of-time compilation for TPUs from a machine that has none, through libtpu (extra `tpu-aot`)."""

import importlib.util
import os
from typing import Any

from collapse_jax.planning.chips import Target

# Nothing outside this machine is asked for a TPU, and no lock is taken that a running TPU job would need.
ENVIRONMENT = {"TPU_SKIP_MDS_QUERY": "1", "JAX_PLATFORMS": "cpu", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}


def available() -> bool:
    """Whether libtpu is installed."""
    return importlib.util.find_spec("libtpu") is not None


def prepare() -> None:
    """Set what libtpu reads from the environment; must precede the first use of a device."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def devices(target: Target) -> tuple[Any, ...]:
    """Return descriptions of the chips of a TPU target, for which jax can compile."""
    from jax.experimental import topologies

    generation = target.name.removeprefix("tpu-")
    described = topologies.get_topology_desc(platform="tpu", topology_name=f"{generation}:{target.topology}")
    return tuple(described.devices)
