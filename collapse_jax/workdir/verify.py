"""Reads every file of a workdir and says which are damaged."""

import contextlib
from collections.abc import Callable, Iterator

from etils import epath

from collapse_jax.errors import CollapseError, StoreError, WorkdirError
from collapse_jax.system.files import is_there
from collapse_jax.workdir.measured import ASIDE
from collapse_jax.workdir.record import GROWN, PARTS, RECORD, read_record
from collapse_jax.workdir.results import RESULTS, open_results
from collapse_jax.workdir.trees import TreeStore


def verify_workdir(workdir: epath.Path) -> Iterator[tuple[str, str]]:
    """Read and verify the records, results, measures, checkpoints and snapshots of a workdir; nothing is changed.

    Yields:
      the file, and what is wrong with it ("" for a good one).

    Raises:
      WorkdirError: there is no workdir, or nothing of a sweep in it.
    """
    if not (workdir.is_dir() or is_there(workdir)):
        raise WorkdirError(f"workdir={workdir}: no sweep here, the directory is missing")
    if not any((workdir / name).exists() for name in (RECORD, RESULTS, "checkpoints")):
        raise WorkdirError(f"workdir={workdir}: no sweep here, {RECORD} is missing")
    yield from _verify(workdir, "")


def _verify(folder: epath.Path, below: str) -> Iterator[tuple[str, str]]:
    fingerprint = ""
    yield _checked(f"{below}{RECORD}", read_record, folder)
    with contextlib.suppress(CollapseError):  # which has just been said
        fingerprint = read_record(folder)["fingerprint"]
    if _has(folder / RESULTS):
        yield _checked(f"{below}{RESULTS}", open_results, folder / RESULTS)
    for path in sorted([*(folder / "measures").glob("*.nc"), *(folder / "measures" / ASIDE).glob("*.nc")]):
        yield _checked(f"{below}{path.relative_to(folder)}", open_results, path)
    for name in ("checkpoints", "snapshots"):
        if (folder / name).is_dir():
            trees = TreeStore(folder / name, fingerprint=fingerprint)
            for step in trees.steps():
                found = _checked(f"{below}{name}/{step}", trees.load, step)
                if _has(folder / name / str(step)):  # else a sweep that trains has removed it meanwhile
                    yield found
    for part in sorted((folder / PARTS).glob("*")):
        yield from _verify(part, f"{below}{PARTS}/{part.name}/")
    if _has(folder / GROWN / RECORD):
        yield from _verify(folder / GROWN, f"{below}{GROWN}/")


def _has(path: epath.Path) -> bool:
    try:
        return is_there(path)
    except StoreError:  # reading it says why
        return True


def _checked(name: str, read: Callable[..., object], *arguments: object) -> tuple[str, str]:
    try:
        read(*arguments)
    except CollapseError as error:
        return name, str(error)
    return name, ""
