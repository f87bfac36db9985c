"""Reads every file of a workdir and says which are damaged."""

from collections.abc import Callable, Iterator

from etils import epath

from collapse_jax.errors import CollapseError, WorkdirError
from collapse_jax.workdir.record import PARTS, RECORD, read_record
from collapse_jax.workdir.results import RESULTS, open_results
from collapse_jax.workdir.trees import TreeStore


def verify_workdir(workdir: epath.Path) -> Iterator[tuple[str, str]]:
    """Read and verify the records, results, measures, checkpoints and snapshots of a workdir; nothing is changed.

    Yields:
      the file, and what is wrong with it ("" for a good one).

    Raises:
      WorkdirError: there is no workdir, or nothing of a sweep in it.
    """
    if not workdir.is_dir():
        raise WorkdirError(f"workdir={workdir}: no sweep here, the directory is missing")
    if not any((workdir / name).exists() for name in (RECORD, RESULTS, "checkpoints")):
        raise WorkdirError(f"workdir={workdir}: no sweep here, {RECORD} is missing")
    yield from _verify(workdir, "")


def _verify(folder: epath.Path, below: str) -> Iterator[tuple[str, str]]:
    yield _checked(f"{below}{RECORD}", read_record, folder)
    if (folder / RESULTS).exists():
        yield _checked(f"{below}{RESULTS}", open_results, folder / RESULTS)
    for path in sorted((folder / "measures").glob("*.nc")):
        yield _checked(f"{below}measures/{path.name}", open_results, path)
    for name in ("checkpoints", "snapshots"):
        if (folder / name).is_dir():
            trees = TreeStore(folder / name)
            for step in trees.steps():
                yield _checked(f"{below}{name}/{step}", trees.load, step)
    for part in sorted((folder / PARTS).glob("*")):
        yield from _verify(part, f"{below}{PARTS}/{part.name}/")


def _checked(name: str, read: Callable[..., object], *arguments: object) -> tuple[str, str]:
    try:
        read(*arguments)
    except CollapseError as error:
        return name, str(error)
    return name, ""
