"""What is to be measured: measures with their options, checked against what the snapshots hold."""

import dataclasses
import functools
import hashlib
import inspect
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from collapse_jax import measures
from collapse_jax.engine.compile import bind_measure
from collapse_jax.errors import ConfigError, unknown
from collapse_jax.experiment import extensions
from collapse_jax.measures import Measure, Scalars, Snapshot
from collapse_jax.measuring.options import allowed_options, read_option
from collapse_jax.measuring.snapshots import StoredSnapshots

SPLITS = ("train", "test")
Named = str | Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Request:
    """One measure with its options.

    Attributes:
      name: of the file and of the progress line; the measure's, and the label.
      measure: with the options of the experiment and the user bound.
      suffix: added to the names of its variables.
      record: what was asked, for the attributes of the file.
      key: changes with everything on which the values depend.
    """

    name: str
    measure: Measure
    suffix: str
    record: dict[str, Any]
    key: str

    def take(self, snapshot: Snapshot) -> Scalars:
        """Take the measure of one run."""
        return {name + self.suffix: value for name, value in self.measure.function(snapshot).items()}

    @property
    def layers(self) -> bool:
        """Whether the outputs of all layers are needed; a user's own measure may read anything."""
        return "layers" in self.measure.needs or not self.measure.variables


def make_requests(
    snapshots: StoredSnapshots,
    named: Sequence[Named],
    splits: Sequence[str],
    options: Mapping[str, Any],
    label: str,
) -> list[Request]:
    """Resolve what the user asked for.

    Raises:
      ConfigError: a measure, option, split or label is not allowed, or the snapshots lack what a measure needs.
    """
    if not named:
        raise ConfigError("measures", "", f"name at least one of {', '.join(measures.MEASURES)}")
    chosen = [_find(name) for name in named]
    bound = [bind_measure(snapshots.experiment, measure) for measure in chosen]
    for split in splits:
        if split not in SPLITS:
            raise ConfigError("splits", split, f"must be one of {', '.join(SPLITS)}")
    if not re.fullmatch(r"\w*", label):
        raise ConfigError("label", label, "must consist of letters, digits and _")
    _refuse_idle_options(bound, options)
    if splits and not any("split" in allowed_options(measure.function) for measure in bound):
        raise ConfigError("splits", ",".join(splits), "none of these measures has the option split")
    requests = []
    for name, measure in zip(named, bound, strict=True):
        takes = allowed_options(measure.function)
        own = {key: read_option(takes[key], value) for key, value in options.items() if key in takes}
        divided: list[dict[str, Any]] = [{"split": s} for s in splits] if "split" in takes and splits else [{}]
        for part in divided:
            suffix = "_".join(["", *(part.values() if len(divided) > 1 else ()), *([label] if label else [])])
            requests.append(_request(snapshots, name, measure, own | part, suffix))
    repeated = {r.name for r in requests if sum(other.name == r.name for other in requests) > 1}
    if repeated:
        raise ConfigError("measures", sorted(repeated)[0], "stands there twice")
    return requests


def _find(name: Named) -> Measure:
    if isinstance(name, str) and not extensions.is_extension(name) and name not in measures.MEASURES:
        raise ConfigError("measures", name, f"{unknown('measure', name, measures.MEASURES)}, or FILE.py:FUNCTION")
    return measures.get_measure(name)


def _refuse_idle_options(chosen: list[Measure], names: Iterable[str]) -> None:
    known = {key for measure in chosen for key in allowed_options(measure.function)}
    for name in names:
        if name not in known:
            what = unknown("option", name, known) if known else "these measures take no options"
            raise ConfigError("options", name, what)


def _request(
    snapshots: StoredSnapshots, named: Named, measure: Measure, options: dict[str, Any], suffix: str
) -> Request:
    _check_needs(snapshots, measure, options.get("split"))
    effective = {name: option.default for name, option in allowed_options(measure.function).items()} | options
    for name, value in effective.items():
        if value is inspect.Parameter.empty:
            raise ConfigError("options", "", f"the measure {measure.name!r} needs a value for {name}")
    if effective.get("codes") == "autoencoder":
        snapshots.encode_inputs()
    record = {
        "measure": measure.name,
        "options": effective,
        "test_size": len(snapshots.data.test_labels),
        "ood": snapshots.ood_hash,
        "source": _source(named),
        "suffix": suffix,
    }
    text = json.dumps(record | {"sweep": snapshots.fingerprint}, sort_keys=True, default=repr)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    bound = dataclasses.replace(
        measure,
        function=functools.partial(measure.function, **options) if options else measure.function,
    )
    return Request(measure.name + suffix, bound, suffix, json.loads(json.dumps(record, default=repr)), key)


def _source(named: Named) -> str:
    if isinstance(named, str):
        own = extensions.is_extension(named)
        return f"{pathlib.Path(named).name} {extensions.source_hash('measures', named)}" if own else ""
    try:
        return hashlib.sha256(inspect.getsource(named).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""


def _check_needs(snapshots: StoredSnapshots, measure: Measure, split: str | None) -> None:
    needs = [split if part == "probe" and split in SPLITS else part for part in measure.needs]
    for part in needs:
        if part in snapshots.available:
            continue
        if part == "ood" and snapshots.recomputed:
            raise ConfigError(
                "measures", measure.name, "needs examples from outside the distribution; give --ood=FILE.npz"
            )
        stored = {"layers": "parameters", "ood": "parameters", "probe": "test"}.get(str(part), str(part))
        held = ", ".join(snapshots.content)
        raise ConfigError(
            "measures", measure.name, f"needs {part!r}, the snapshots hold {held}; {snapshots.to_store(stored)}"
        )
