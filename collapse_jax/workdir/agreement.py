"""Whether the leaves of a workdir belong together: trained on the same data, with the same software and devices."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from collapse_jax.errors import WorkdirError
from collapse_jax.experiment import identity
from collapse_jax.workdir.software import Origin, origins, version_of
from collapse_jax.workdir.tree import Node


def require_one_origin(leaves: Sequence[Node]) -> None:
    """Make sure that leaves of one task were trained on the same data, and all with the same files of the user.

    Raises:
      WorkdirError: they were not; the array or the field, and both leaves, are named.
    """
    seen: dict[tuple[str, ...], tuple[str, Node]] = {}
    for node in leaves:
        for key, content in _contents(node).items():
            known, other = seen.setdefault(key, (content, node))
            if known != content:
                raise WorkdirError(
                    f"workdir={node.path}: {key[0]} differs from that of {other.text}; runs of one experiment are "
                    "not joined when they were trained on different ones"
                )


def _contents(node: Node) -> dict[tuple[str, ...], str]:
    """Name the content of each array of a leaf's data, and of each file of the user's."""
    fields = identity.binding_fields(node.experiment)
    task = json.dumps({name: value for name, value in fields.items() if name.startswith(("task.", "dtype"))})
    data = node.recorded.get("data") or {}
    found = {(f"the data ({name})", task): sha for name, sha in data.get("sha256", {}).items()}
    sources = node.recorded.get("sources") or {}
    return found | {(f"the file of {field}", str(fields.get(field))): sha for field, sha in sources.items()}


def mixture(leaves: Sequence[Node]) -> list[str]:
    """Say in which versions and on which devices leaves were trained, a line for each that is not one."""
    packages = dict.fromkeys(
        name for node in leaves for origin in origins(node.recorded) for name in origin["versions"] or {}
    )
    read: dict[str, Callable[[Origin], Any]] = {name: version_of(name) for name in packages}
    read |= {"device": lambda origin: origin["device"], "machine": lambda origin: origin["machine"]}
    lines = []
    for what, value in read.items():
        found: dict[str, list[str]] = {}
        for node in leaves:
            for text in dict.fromkeys(str(value(origin)) for origin in origins(node.recorded)):
                found.setdefault(text, []).append(node.text)
        if len(found) > 1:
            lines.append(f"{what}: " + "; ".join(f"{text} in {', '.join(names)}" for text, names in found.items()))
    return lines
