"""Runs of Weights & Biases, online or (`WANDB_MODE=offline`) in files that `wandb sync` sends later."""

import pathlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any, cast

import wandb
from wandb.proto import wandb_internal_pb2

from collapse_jax.tracking.base import Row, Run

# A file of records is cut into blocks; a record, or a piece of one, has a header of checksum, length and kind
# (first 2, middle 3, last 4, or 1 for one that is whole), as in LevelDB's log. The file has a header of its own.
BLOCK, HEADER, OWN_HEADER = 2**15, 7, 7


class WandB:
    """A run, with the id of the run of the grid."""

    def start(self, run: Run) -> int:
        """See `Tracker`; offline the files of earlier calls in the same folder say how far the record is."""
        self._run = wandb.init(
            project=_project(run.project),
            id=run.id,
            name=run.name,
            group=run.group,
            config=dict(run.config),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        files = pathlib.Path(self._run.dir).parents[1].glob(f"*-{run.id}/run-{run.id}.wandb")
        return max([self._run.starting_step - 1, *map(_last_step, files)])

    def log(self, rows: Sequence[Row]) -> None:
        """See `Tracker`."""
        for step, values in rows:
            self._run.log(dict(values), step=step, commit=True)

    def finish(self, outcome: str, step: int) -> None:
        """See `Tracker`: `outcome` and `<outcome>_at` are in the summary, and a run that diverged has failed."""
        self._run.summary["outcome"] = outcome
        self._run.summary[f"{outcome}_at"] = step
        self._run.finish(exit_code=int(outcome == "diverged"))


def _project(name: str) -> str:
    """Return the name of a project without what wandb refuses in one."""
    return "".join("-" if letter in "/\\#?%:" else letter for letter in name)[:128]


def _last_step(file: pathlib.Path) -> int:
    """Return the last step with values in a file of records, which may end in half a record; -1 for none."""
    steps, messages = [-1], cast(Any, wandb_internal_pb2)  # whose classes are made when it is imported
    for content in _records(file.read_bytes()):
        record = messages.Record.FromString(content)
        if record.WhichOneof("record_type") == "history":
            steps.append(record.history.step.num)
    return max(steps)


def _records(content: bytes) -> Iterator[bytes]:
    at, pieces = OWN_HEADER, b""
    while at + HEADER <= len(content):
        if BLOCK - at % BLOCK < HEADER:  # what is left of a block is empty
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        piece = content[at + HEADER : at + HEADER + length]
        if kind not in (1, 2, 3, 4) or len(piece) < length:
            return
        at += HEADER + length
        pieces = piece if kind in (1, 2) else pieces + piece
        if kind in (1, 4):
            yield pieces
