"""The packings in which a leaf was trained, as its record holds them: which of them give the same bits."""

from collections.abc import Mapping
from typing import Any

from etils import epath

from collapse_jax.errors import WorkdirError
from collapse_jax.system.progress import say
from collapse_jax.system.runtime import LEAST_THREADS

Packing = Mapping[str, Any]


def last(record: Mapping[str, Any]) -> Packing:
    """Return the packing in which the leaf of a record was last trained."""
    changes = [origin["packing"] for origin in record.get("continued", []) if "packing" in origin]
    return record["packing"] | (changes[-1] if changes else {})


def bits_of(packing: Packing) -> dict[str, int]:
    """Return that of a packing on which the last bits of its runs depend: devices, runs per tile, threads."""
    return {
        "devices": int(packing["devices"]),
        "runs_per_tile": int(packing["runs_per_tile"]),
        "threads": threads(packing),
    }


def threads(packing: Packing) -> int:
    """Return how many threads shared the host devices; records that do not say it had one for each."""
    return int(packing.get("threads", max(int(packing["devices"]), LEAST_THREADS)))


def changed(record: Mapping[str, Any], now: Packing) -> dict[str, Any]:
    """Return {"packing": ...} for the record if the leaf goes on in another packing than its last, else {}."""
    return {"packing": bits_of(now)} if bits_of(now) != bits_of(last(record)) else {}


def require_continuable(workdir: epath.Path, begun: Packing, now: Packing) -> None:
    """Refuse another packing, but not another number of CPU cores for runs that are computed one by one.

    The number of devices changes none of their bits then. The number of threads that share them, at least one for
    each, decides in which order large matrix products are summed.

    Raises:
      WorkdirError: tiles would hold other runs; the message says how to go on.
    """
    alone = all(packing["runs_per_tile"] == 1 and packing.get("backend") == "cpu" for packing in (begun, now))
    for name in ("devices", "runs_per_tile"):
        if begun[name] == now[name]:
            continue
        if not alone:
            raise WorkdirError(
                f"workdir={workdir}: begun with packing.{name}={begun[name]}, now {now[name]}, which changes the "
                f"last bits; continue with --config.packing.{name}={begun[name]}"
            )
        same = threads(begun) == threads(now)
        bits = "the same bits" if same else "large matrix products may have other last bits from here on"
        say(f"workdir={workdir}: goes on with {now[name]} devices, until now {begun[name]}: {bits}")
