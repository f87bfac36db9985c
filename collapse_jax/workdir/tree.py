"""A workdir as a tree: its leaves, whoever cut it and however often."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from collapse_jax.errors import WorkdirError
from collapse_jax.experiment import identity
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.cuts import BEGINNING, GROWTH, SHARDS, WHOLE, Cut, Shard, next_cut, parts
from collapse_jax.system.files import is_remote, is_there
from collapse_jax.workdir import record
from collapse_jax.workdir.growing import check_growable, cut_of_whole, grow_branch
from collapse_jax.workdir.record import GROWN, PARTS, RECORD


@dataclasses.dataclass(frozen=True)
class Node:
    """A directory of a workdir that has a record, or will have one.

    Attributes:
      path: of the directory.
      below: its path below the workdir, "" for the workdir itself.
      text: its name for people, "" for a workdir that is not cut.
      point: the values of static axes that it was cut at.
      experiment: what is trained in it.
      cut: how it is cut; None for a leaf, which one writer trains.
      recorded: its record, {} for a node that is only planned.
    """

    path: epath.Path
    below: str
    text: str
    point: dict[str, Any]
    experiment: Experiment
    cut: Cut | None
    recorded: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def fingerprints(self) -> tuple[str, str]:
        """Names of its experiment: as it was recorded, and as this version computes it."""
        return self.recorded["fingerprint"], identity.fingerprint(self.experiment)

    @property
    def is_leaf(self) -> bool:
        """Whether it is trained by one writer."""
        return self.cut is None

    @property
    def label(self) -> str:
        """The name as the beginning of a message: "" or "shard 0/2: "."""
        return f"{self.text}: " if self.text else ""


def planned(
    workdir: epath.Path, experiment: Experiment, shards: int = 1, *, extend: bool = False
) -> Iterator[Node]:
    """Go through all nodes of an experiment, each branch before its parts; nothing is written.

    Args:
      workdir: directory of the whole experiment, which may be there and may have grown.
      experiment: what is to be trained in it.
      shards: into how many each leaf is cut.
      extend: whether a workdir of a smaller experiment grows into this one.
    """
    root = record.root_of(workdir)
    grown = record.cut_of(record.read_record(root)) if root != workdir else None
    cut = cut_of_whole(workdir, experiment, shards) if extend else grown or next_cut(experiment, shards)
    below = GROWN if cut and cut.by == GROWTH else ""
    yield from _planned(Node(workdir / below if below else workdir, below, "", {}, experiment, cut), shards)


def _planned(node: Node, shards: int) -> Iterator[Node]:
    yield node
    for child in _children(node, shards):
        yield from _planned(child, shards)


def _children(node: Node, shards: int = 1) -> Iterator[Node]:
    if node.cut is None:
        return
    left = 1 if node.cut.by == SHARDS else shards
    for part in parts(node.experiment, node.cut):
        is_beginning = part.name == BEGINNING
        yield Node(
            path=node.path.parent if is_beginning else node.path / PARTS / part.name,
            below="" if is_beginning else "/".join(filter(None, (node.below, PARTS, part.name))),
            text=", ".join(filter(None, (node.text, part.text))),
            point=node.point | part.point,
            experiment=part.experiment,
            cut=next_cut(part.experiment, left),
        )


def leaves_of(
    workdir: epath.Path, experiment: Experiment, shard: Shard = WHOLE, *, extend: bool = False
) -> list[Node]:
    """Return the leaves that a shard trains of a validated experiment; see `planned`.

    Raises:
      WorkdirError, ConfigError: see `growing.check_growable`.
    """
    if extend:
        check_growable(workdir, experiment)
    mine = f"shard-{shard.index}-of-{shard.count}"
    found = [node for node in planned(workdir, experiment, shard.count, extend=extend) if node.is_leaf]
    return [node for node in found if shard.count == 1 or node.path.name == mine]


def open_tree(
    workdir: epath.Path, experiment: Experiment, shard: Shard = WHOLE, *, extend: bool = False
) -> list[Node]:
    """Describe every branch in its directory, and return the leaves that a shard trains.

    Leaves are described when they are trained, by `record.open_leaf`, under their lock.

    Args:
      workdir: directory of the whole experiment.
      experiment: validated.
      shard: which share of each leaf's runs is trained here; shards are made by the same call everywhere.
      extend: whether a workdir of a smaller experiment grows into this one.

    Returns:
      The leaves; none where the grid has fewer runs than there are shards.

    Raises:
      WorkdirError: a directory holds another experiment, is cut otherwise, or cannot be written.
    """
    for node in list(planned(workdir, experiment, shard.count, extend=extend)):
        if node.cut is not None:
            if extend:
                grow_branch(node.path, node.experiment, node.cut)
            record.open_branch(node.path, node.experiment, node.cut)
    return leaves_of(workdir, experiment, shard, extend=extend)


def nodes(workdir: epath.Path) -> Iterator[Node]:
    """Go through all nodes of a workdir as they are on disk, each branch before its parts.

    Parts that are not there, or have no record yet, are left out.

    Raises:
      WorkdirError: there is no workdir, a record is damaged, or a part is of another experiment.
    """
    if not is_remote(workdir) and not is_there(workdir):
        raise WorkdirError(f"workdir={workdir}: no sweep here, the directory is missing")
    folder = record.root_of(workdir)
    found = record.read_record(folder)
    below = "" if folder == workdir else GROWN
    root = Node(folder, below, "", {}, record.read_experiment(found), record.cut_of(found), found)
    yield from _on_disk(root)


def _on_disk(node: Node) -> Iterator[Node]:
    yield node
    for child in _children(node):
        if not is_there(child.path / RECORD):
            continue
        found = record.read_record(child.path)
        differing = record.differing_fields(record.read_experiment(found), child.experiment)
        if differing:
            raise WorkdirError(f"workdir={child.path}: belongs to another experiment: {'; '.join(differing)}")
        yield from _on_disk(dataclasses.replace(child, cut=record.cut_of(found), recorded=found))


def leaves(workdir: epath.Path) -> list[Node]:
    """Return the leaves of a workdir that were begun.

    Raises:
      WorkdirError: see `nodes`.
    """
    return [node for node in nodes(workdir) if node.is_leaf]


def absent(begun: Sequence[Node]) -> list[str]:
    """Name the parts that are missing among the `nodes` of a workdir."""
    there = {node.path for node in begun}
    return [child.text for node in begun for child in _children(node) if child.path not in there]
