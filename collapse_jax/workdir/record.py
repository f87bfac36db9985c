"""The directory of a sweep: its manifest, and whether an experiment may be trained in it.

experiment.json     config, fingerprint, versions, device, packing, checksums of the data, git commit
results.nc          in-line measures of all runs
writer.lock         which process trains here; gone when none does
checkpoints/<step>  state of all runs and the results so far; the newest two
snapshots/<step>    features, logits, last layers or parameters of all runs
measures/<name>.nc  measures taken later from the snapshots
figures/            PNG and PDF
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import pathlib
import platform
import subprocess
import zlib
from collections.abc import Iterator
from typing import Any

from etils import epath

from collapse_jax.engine.packing import Layout
from collapse_jax.errors import WorkdirError
from collapse_jax.experiment import config, identity
from collapse_jax.experiment.extensions import source_hashes
from collapse_jax.experiment.static_axes import FOLDER, has_programs, program_folders
from collapse_jax.system.files import remove_left_overs, replacing, storing
from collapse_jax.workdir.lock import LOCK

MANIFEST = "experiment.json"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "xarray")


def open_workdir(
    workdir: epath.Path, experiment: config.Experiment, layout: Layout, data: dict[str, Any] | None = None
) -> None:
    """Describe the sweep in a new workdir, or make sure that an old one has this experiment, packing and data.

    The caller holds the lock of the workdir; what killed writers left half-written is removed.

    Args:
      workdir: directory of the sweep.
      experiment: what is trained.
      layout: packing of its runs.
      data: what `tasks.record` says of the loaded data; checked where the manifest has it, too.

    Raises:
      WorkdirError: the workdir belongs to another experiment (the differing fields are named), was begun with
        another packing or other data, or holds files but no manifest.
      StoreError: the manifest cannot be written.
    """
    remove_left_overs(workdir)
    if (workdir / MANIFEST).exists():
        _refuse_foreign(workdir, experiment, layout, data)
    elif any(path.name != LOCK for path in workdir.iterdir()):
        raise WorkdirError(f"workdir={workdir}: holds files but no {MANIFEST}; name an empty or new directory")
    else:
        record = manifest(experiment, layout, data)
        with storing(workdir / MANIFEST), replacing(workdir / MANIFEST) as path:
            path.write_text(json.dumps(record | {"crc32": _checksum(record)}, indent=1) + "\n")


def manifest(experiment: config.Experiment, layout: Layout, data: dict[str, Any] | None = None) -> dict[str, Any]:
    """Describe a sweep: what was asked, with which software and data, on which hardware."""
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {
        "experiment": describe(experiment),
        "fingerprint": identity.fingerprint(experiment),
        "packing": layout.record(),
        "sources": source_hashes(experiment),
        "data": data,
        "versions": versions | {"python": platform.python_version(), "collapse_jax": _own_version()},
        "machine": f"{platform.system()} {platform.machine()}",
        "git_commit": _git_commit(),
    }


def describe(experiment: config.Experiment) -> dict[str, Any]:
    """Return the experiment as JSON takes it; `read_experiment` is the inverse."""
    return dataclasses.asdict(experiment)


def read_manifest(workdir: epath.Path) -> dict[str, Any]:
    """Read the manifest of a sweep.

    Raises:
      WorkdirError: there is none, or it is not whole.
    """
    path = workdir / MANIFEST
    if not path.exists():
        if has_programs(workdir):
            names = ", ".join(f"{FOLDER}/{program.name}" for program, _ in program_folders(workdir))
            raise WorkdirError(f"workdir={workdir}: has static axes; name one of its programs: {names}")
        raise WorkdirError(f"workdir={workdir}: no sweep here, {MANIFEST} is missing")
    with reading(path):
        record = json.loads(path.read_text())
        record["fingerprint"], record["packing"]["devices"]
        read_experiment(record)
        expected = record.pop("crc32", None)  # manifests of version 0.1 have none
        if expected not in (None, _checksum(record)):
            raise ValueError("checksum")
    return record


@contextlib.contextmanager
def reading(path: epath.Path) -> Iterator[None]:
    """Turn what a damaged manifest or record raises into a `WorkdirError` that names it."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WorkdirError(f"workdir={path.parent}: {path.name} is damaged") from None


def write_record(path: epath.Path, experiment: config.Experiment, **more: Any) -> None:
    """Describe a whole experiment whose sweeps lie in the folders below: `shards.json`, `programs.json`.

    Raises:
      WorkdirError: it cannot be written.
    """
    record = {"experiment": describe(experiment), "fingerprint": identity.fingerprint(experiment)} | more
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n")
    except OSError as error:
        raise WorkdirError(f"workdir={path.parent}: cannot be written: {error.strerror or error}") from None


def _checksum(record: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(json.loads(json.dumps(record)), sort_keys=True).encode())


def read_experiment(record: dict[str, Any]) -> config.Experiment:
    """Build the experiment that a manifest describes."""
    return _from_dict(config.Experiment, record["experiment"])


def differing_fields(there: config.Experiment, asked: config.Experiment) -> list[str]:
    """Describe the fields in which two experiments are not the same sweep."""
    old, new = identity.binding_fields(there), identity.binding_fields(asked)
    names = [name for name in {**new, **old} if old.get(name, []) != new.get(name, [])]
    return [f"{name} is {old.get(name, [])} there, {new.get(name, [])} asked" for name in names]


def _from_dict(kind: type, values: dict[str, Any]) -> Any:
    default = kind()
    built = {}
    for name, value in values.items():
        old = getattr(default, name)
        is_config = dataclasses.is_dataclass(old)
        built[name] = (
            _from_dict(type(old), value) if is_config else tuple(value) if isinstance(old, tuple) else value
        )
    return kind(**built)


def _refuse_foreign(
    workdir: epath.Path, experiment: config.Experiment, layout: Layout, data: dict[str, Any] | None
) -> None:
    record = read_manifest(workdir)
    differing = differing_fields(read_experiment(record), experiment)
    if differing:
        raise WorkdirError(f"workdir={workdir}: belongs to another experiment: {'; '.join(differing)}")
    refuse_other_sources(workdir, record, experiment)
    if data is not None:
        refuse_other_data(workdir, record, data)
    for name in ("devices", "runs_per_tile"):
        begun, now = record["packing"][name], getattr(layout, name)
        if begun != now:
            raise WorkdirError(
                f"workdir={workdir}: begun with packing.{name}={begun}, now {now}, which changes the last bits; "
                f"continue with --config.packing.{name}={begun}"
            )


def refuse_other_sources(workdir: epath.Path, record: dict[str, Any], experiment: config.Experiment) -> None:
    """Raise `WorkdirError` when the user's file of the model or the task is not the one of the beginning."""
    begun, now = record.get("sources", {}), source_hashes(experiment)
    for field, source in now.items():
        if begun.get(field, source) != source:
            raise WorkdirError(
                f"workdir={workdir}: the file of {field} has changed since it was begun: its hash is {source}, "
                f"not {begun[field]} as in {MANIFEST}"
            )


def refuse_other_data(
    workdir: epath.Path, record: dict[str, Any], data: dict[str, Any], *, part: bool = False
) -> None:
    """Raise `WorkdirError` when data has another checksum than at the beginning of the sweep, naming the arrays.

    Args:
      workdir: directory of the sweep.
      record: its manifest; those of version 0.1 have no checksums, and nothing is checked.
      data: `tasks.record` of the data now.
      part: whether arrays of other shapes (another number of test examples) are passed over.
    """
    begun = record.get("data") or {"sha256": {}}
    compared = [name for name in begun["sha256"] if not part or begun["shapes"][name] == data["shapes"][name]]
    changed = [name for name in compared if begun["sha256"][name] != data["sha256"][name]]
    if changed:
        raise WorkdirError(
            f"workdir={workdir}: the data of {record['experiment']['task']['dataset']!r} has changed since it was "
            f"begun: {', '.join(changed)} with other checksums than in {MANIFEST}"
        )


def _own_version() -> str:
    try:
        return importlib.metadata.version("collapse-jax")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


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
