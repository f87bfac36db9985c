"""The record of a node of a workdir: what is trained there, with what, and how it is cut.

A workdir is a tree. Each node has a record; a leaf is trained by one writer, a branch is cut into parts.

experiment.json     every node: config, fingerprint, cut; a leaf also packing, versions, checksums of the data
parts/<name>/       of a branch: its parts, nodes like any other
results.nc          of a leaf: in-line measures of its runs; of a branch, after `merge`: everything below it
writer.lock         of a leaf: which process trains here; gone when none does
checkpoints/<step>  of a leaf: state of its runs and the results so far; the newest two
snapshots/<step>    of a leaf: features, logits, last layers or parameters of its runs
measures/<name>.nc  of a leaf: measures taken later from the snapshots
grown/              of a workdir that was given more runs: the branch of the whole, whose parts are what the workdir
                    was before, where it is, and the further runs
figures/            PNG and PDF
tracking.json       of a workdir whose runs have records in a tracking library: its name there
tensorboard/        of such a workdir: the event files of each run
"""

import dataclasses
import json
import zlib
from collections.abc import Mapping
from typing import Any

from etils import epath

from collapse_jax.errors import WorkdirError
from collapse_jax.experiment import config, growth, identity
from collapse_jax.experiment.choices import own_only
from collapse_jax.experiment.cuts import Cut
from collapse_jax.experiment.extensions import source_hashes
from collapse_jax.system.files import is_there, make_folder, remove_left_overs, replacing, storing
from collapse_jax.workdir import packings
from collapse_jax.workdir.lock import LOCK, writing_to
from collapse_jax.workdir.software import device_of, differ, origins, software, written_by

RECORD = "experiment.json"
PARTS = "parts"
GROWN = "grown"


def open_leaf(
    workdir: epath.Path, experiment: config.Experiment, packing: Mapping[str, Any], data: dict[str, Any]
) -> None:
    """Describe a leaf in a new directory, or make sure that an old one has this experiment, packing and data.

    The caller holds the lock of the directory; what killed writers left half-written is removed.

    Args:
      workdir: directory of the leaf.
      experiment: what is trained.
      packing: `Layout.record` of its runs.
      data: what `tasks.record` says of the loaded data.

    Raises:
      WorkdirError: the directory belongs to another experiment (the differing fields are named), was begun with
        another packing or other data, or holds files but no record.
      StoreError: the record cannot be written.
    """
    remove_left_overs(workdir)
    if not _is_begun(workdir):
        details = {"packing": dict(packing), "sources": source_hashes(experiment), "data": data, **software()}
        write_record(workdir, experiment, None, details)
        return
    record = _read_own(workdir, experiment, None)
    refuse_other_sources(workdir, record, experiment)
    refuse_other_data(workdir, record, data)
    packings.require_continuable(workdir, packings.last(record), packing)


def open_branch(workdir: epath.Path, experiment: config.Experiment, cut: Cut) -> None:
    """Describe a branch in a new directory, or make sure that an old one has this experiment and cut.

    It needs no lock: whoever opens it writes the same, whole, and reads it back.

    Raises:
      WorkdirError: the directory belongs to another experiment or is cut otherwise, or holds files but no record.
      StoreError: the record cannot be written.
    """
    if workdir.exists() and not workdir.is_dir():
        raise WorkdirError(f"workdir={workdir}: is a file; name a directory")
    with writing_to(workdir):
        make_folder(workdir)
        if not _is_begun(workdir):
            write_record(workdir, experiment, cut, {})
    _read_own(workdir, experiment, cut)


def _is_begun(workdir: epath.Path) -> bool:
    if is_there(workdir / RECORD):
        return True
    if any(path.name != LOCK and not path.name.startswith(".") for path in workdir.iterdir()):
        raise WorkdirError(f"workdir={workdir}: holds files but no {RECORD}; name an empty or new directory")
    return False


def _read_own(workdir: epath.Path, experiment: config.Experiment, cut: Cut | None) -> dict[str, Any]:
    """Read the record of a node that must be of this experiment and cut."""
    record = read_record(workdir)
    differing = differing_fields(read_experiment(record), experiment)
    if differing:
        grows = all(text.startswith(growth.GROWING) for text in differing)
        advice = "; to let the sweep grow, add --extend" if grows else ""
        raise WorkdirError(f"workdir={workdir}: belongs to another experiment: {'; '.join(differing)}{advice}")
    _refuse_another_reading(workdir, read_experiment(record), experiment)
    there = cut_of(record)
    if there != cut:
        raise WorkdirError(
            f"workdir={workdir}: is {there or 'not cut'}, asked for {cut or 'not cut'}; go on as it was begun, or "
            "name another directory"
        )
    return record


def _refuse_another_reading(workdir: epath.Path, there: config.Experiment, asked: config.Experiment) -> None:
    """Raise `WorkdirError` for another name or threshold, which training would take without any effect."""
    old, new = identity.reading_fields(there), identity.reading_fields(asked)
    differing = [f"{name} is {old[name]!r} there, {new[name]!r} asked" for name in old if old[name] != new[name]]
    if differing:
        advice = ", ".join(f"--{name}={new[name]}" for name in old if old[name] != new[name] and name != "name")
        raise WorkdirError(
            f"workdir={workdir}: {'; '.join(differing)}: training depends on neither, so a sweep keeps those of "
            f"its beginning{f'; read it with others: show, plot or report {advice}' if advice else ''}"
        )


def write_record(
    workdir: epath.Path, experiment: config.Experiment, cut: Cut | None, details: Mapping[str, Any]
) -> None:
    """Describe a node; `details` are what a leaf knows beside its experiment. It appears whole or not at all."""
    record = {
        "experiment": describe(experiment),
        "fingerprint": identity.fingerprint(experiment),
        "cut": cut and cut_record(cut),
        **details,
    }
    rewrite(workdir, record)


def rewrite(workdir: epath.Path, record: Mapping[str, Any]) -> None:
    """Write the record of a node, whole or not at all."""
    with storing(workdir / RECORD), replacing(workdir / RECORD) as path:
        path.write_text(json.dumps({**record, "crc32": _checksum(record)}, indent=1) + "\n")


def note_continuation(workdir: epath.Path, step: int, packing: Mapping[str, Any]) -> None:
    """Note in the record of a leaf who goes on from a step, if versions, machine or device are others than before.

    Raises:
      StoreError: the record cannot be written; it is as it was.
    """
    record = read_record(workdir)
    now = {"step": step, "device": device_of(packing), **packings.changed(record, packing), **software()}
    if differ(origins(record)[-1], now):
        continued = [*record.get("continued", []), now]
        rewrite(workdir, record | {"continued": continued})


def describe(experiment: config.Experiment) -> dict[str, Any]:
    """Return the experiment as JSON takes it; `read_experiment` is the inverse."""
    return dataclasses.asdict(experiment)


def attributes(experiment: config.Experiment) -> dict[str, str]:
    """Return what the results of an experiment say of it: its title, config and fingerprint."""
    return {
        "title": experiment.name,
        "experiment": json.dumps(describe(experiment)),
        "fingerprint": identity.fingerprint(experiment),
    }


def root_of(workdir: epath.Path) -> epath.Path:
    """Return the directory whose record describes the whole of a workdir, also where it has grown."""
    return workdir / GROWN if is_there(workdir / GROWN / RECORD) else workdir


def read_record(workdir: epath.Path) -> dict[str, Any]:
    """Read the record of a node.

    Raises:
      WorkdirError: there is none, it is not whole, or a later version wrote what this one does not know.
      StoreError: the system does not hand it out.
    """
    path = workdir / RECORD
    if not is_there(path):
        raise WorkdirError(f"workdir={workdir}: no sweep here, {RECORD} is missing")
    with storing(path, "read"):
        content = path.read_bytes()
    try:
        record = json.loads(content)
        expected = record.pop("crc32")
        if expected != _checksum(record):
            raise ValueError("checksum")
        if unknown := _unknown_fields(record):
            raise WorkdirError(
                f"workdir={workdir}: {RECORD} says {', '.join(unknown)}, of which this version of collapse_jax, "
                f"{software()['versions']['collapse_jax']}, knows nothing; it was written by {written_by(record)}: "
                "read and continue it with that or a later one"
            )
        read_experiment(record), cut_of(record)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WorkdirError(f"workdir={workdir}: {RECORD} is damaged") from None
    return record


def cut_record(cut: Cut) -> dict[str, Any]:
    """Describe a cut as JSON takes it; `cut_of` is the inverse."""
    stages = {"stages": [growth.grid_record(grid) for grid in cut.stages]} if cut.stages else {}
    return {"by": cut.by, "count": cut.count, **stages}


def cut_of(record: Mapping[str, Any]) -> Cut | None:
    """Return how the node of a record is cut; None for a leaf."""
    if not record.get("cut"):
        return None
    stages = tuple(growth.read_grid(stage) for stage in record["cut"].get("stages", ()))
    return Cut(**record["cut"] | {"stages": stages})


def recorded_packing(workdir: epath.Path) -> dict[str, int]:
    """Return the packing in which a leaf was last trained, {} for one that was not, or whose record is damaged."""
    try:
        return packings.bits_of(packings.last(read_record(workdir)))
    except (WorkdirError, KeyError):
        return {}


def _checksum(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(json.loads(json.dumps(record)), sort_keys=True).encode())


def read_experiment(record: dict[str, Any]) -> config.Experiment:
    """Build the experiment that a record, or the attributes of results, describe."""
    return own_only(_from_dict(config.Experiment, record["experiment"]))


def _unknown_fields(record: Mapping[str, Any]) -> list[str]:
    """Name the fields of a whole record that are none of this version, with their values."""
    known = {*identity.flatten(config.Experiment())} | {f"cut.{item.name}" for item in dataclasses.fields(Cut)}
    found = _flat(record["experiment"]) | _flat(record.get("cut") or {}, "cut.")
    return [f"{name}={value!r}" for name, value in found.items() if name not in known]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


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
            _from_dict(type(old), value) if is_config else tuple(value) if isinstance(value, list) else value
        )
    return kind(**built)


def refuse_other_sources(workdir: epath.Path, record: dict[str, Any], experiment: config.Experiment) -> None:
    """Raise `WorkdirError` when a file that the experiment names is not the one of the beginning."""
    begun = record.get("sources", {})
    for field, source in source_hashes(experiment).items():
        if begun.get(field) != source:
            raise WorkdirError(
                f"workdir={workdir}: the file of {field} has changed since it was begun: its hash is {source}, "
                f"not {begun.get(field)} as in {RECORD}"
            )


def refuse_other_data(
    workdir: epath.Path, record: dict[str, Any], data: dict[str, Any], *, part: bool = False
) -> None:
    """Raise `WorkdirError` when data has another checksum than at the beginning of the sweep, naming the arrays.

    Args:
      workdir: directory of the sweep.
      record: of its leaf.
      data: `tasks.record` of the data now.
      part: whether arrays of other shapes (another number of test examples) are passed over.
    """
    begun = record["data"]
    compared = [name for name in begun["sha256"] if not part or begun["shapes"][name] == data["shapes"][name]]
    changed = [name for name in compared if begun["sha256"][name] != data["sha256"][name]]
    if changed:
        raise WorkdirError(
            f"workdir={workdir}: the data of {record['experiment']['task']['dataset']!r} has changed since it was "
            f"begun: {', '.join(changed)} with other checksums than in {RECORD}"
        )
