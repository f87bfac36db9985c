"""Reads every file of a sweep and says which are damaged."""

from collections.abc import Callable, Iterator

from etils import epath

from collapse_jax.engine import shards
from collapse_jax.errors import CollapseError, WorkdirError
from collapse_jax.experiment.static_axes import FOLDER, RECORD, has_programs, read_programs
from collapse_jax.workdir.record import MANIFEST, read_manifest
from collapse_jax.workdir.results import RESULTS, open_results
from collapse_jax.workdir.trees import TreeStore


def verify_workdir(workdir: epath.Path) -> Iterator[tuple[str, str]]:
    """Read and verify the manifest, results, measures, checkpoints and snapshots of a sweep; nothing is changed.

    Of a workdir of programs or shards, those of each that was begun.

    Yields:
      the file, and what is wrong with it ("" for a good one).

    Raises:
      WorkdirError: there is no workdir, or nothing of a sweep in it.
    """
    if not workdir.is_dir():
        raise WorkdirError(f"workdir={workdir}: no sweep here, the directory is missing")
    if not any((workdir / name).exists() for name in (MANIFEST, RECORD, shards.RECORD, RESULTS, "checkpoints")):
        raise WorkdirError(f"workdir={workdir}: no sweep here, {MANIFEST} is missing")
    yield from _verify(workdir)


def _verify(workdir: epath.Path) -> Iterator[tuple[str, str]]:
    if has_programs(workdir):
        yield _checked(RECORD, read_programs, workdir)
        for folder in sorted((workdir / FOLDER).glob("*")):
            for name, wrong in _verify(folder):
                yield f"{FOLDER}/{folder.name}/{name}", wrong
        return
    if (workdir / shards.RECORD).exists():
        yield _checked(shards.RECORD, shards.read_sharded, workdir)
        for folder in shards.folders(workdir):
            for name, wrong in _verify(folder):
                yield f"{folder.name}/{name}", wrong
    else:
        yield _checked(MANIFEST, read_manifest, workdir)
    if (workdir / RESULTS).exists():
        yield _checked(RESULTS, open_results, workdir / RESULTS)
    for path in sorted((workdir / "measures").glob("*.nc")):
        yield _checked(f"measures/{path.name}", open_results, path)
    for name in ("checkpoints", "snapshots"):
        if (workdir / name).is_dir():
            trees = TreeStore(workdir / name)
            for step in trees.steps():
                yield _checked(f"{name}/{step}", trees.load, step)


def _checked(name: str, read: Callable[..., object], *arguments: object) -> tuple[str, str]:
    try:
        read(*arguments)
    except CollapseError as error:
        return name, str(error)
    return name, ""
