"""What a tracking library is told of a run, and what stands between it and the engine."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Row = tuple[int, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of a grid, as its record is labelled.

    Attributes:
      id: the same whenever and wherever the run is trained, of one workdir: 16 hexadecimal digits.
      name: "weight_decay=0.1 seed=0".
      project: of the record: the name of the experiment.
      group: of all records of one workdir.
      config: hyperparameters of the run, and fields of its experiment: numbers and text.
      folder: where a library that keeps files of its own may put them: a local folder, "" for an object store.
    """

    id: str
    name: str
    project: str
    group: str
    config: Mapping[str, bool | int | float | str]
    folder: str


class Tracker(Protocol):
    """The record of one run in a tracking library.

    The record itself says how far it is, so that nothing is told twice, whatever was killed in between. A run that
    diverged or retired has the value `diverged_at` or `retired_at`, the step, at the step after it.
    """

    def start(self, run: Run) -> int:
        """Begin the record of a run, or take it up; return the last step that it holds, -1 for none."""

    def log(self, rows: Sequence[Row]) -> None:
        """Add values, name -> number, by step; steps ascend."""

    def finish(self, outcome: str, step: int) -> None:
        """End the record.

        Args:
          outcome: "finished", "diverged" or "retired", or "interrupted" where the run will go on.
          step: at which this was.
        """


def run_id(sweep: str, point: Mapping[str, Any]) -> str:
    """Name a run by its workdir and its place in the grid: 16 hexadecimal digits."""
    text = json.dumps([sweep, dict(point)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
