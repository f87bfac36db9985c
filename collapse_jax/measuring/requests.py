"""What is to be measured: measures with their options, checked against what the snapshots hold."""

import dataclasses
import hashlib
import inspect
import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax import measures
from collapse_jax.engine.compile import bind_measure
from collapse_jax.errors import ConfigError, require, require_one_of
from collapse_jax.experiment import extensions
from collapse_jax.measures import Measure, Scalars, Snapshot
from collapse_jax.measures.needs import lacking
from collapse_jax.measures.options import bind, complete, options_of, refuse_idle
from collapse_jax.measuring.snapshots import StoredSnapshots

SPLITS = ("train", "test")
Named = str | Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Request:
    """One measure with its options.

    Attributes:
      name: of the file and of the progress line; the measure's, and the label.
      measure: with all of its options bound.
      suffix: added to the names of its variables.
      record: what was asked, for the attributes of the file.
      key: changes with everything on which the values depend.
      prepared: what the measure's `prepare` made of the data; None without one.
      own: whether it is a function of the user's, of which nobody knows what it needs.
    """

    name: str
    measure: Measure
    suffix: str
    record: dict[str, Any]
    key: str
    prepared: Any
    own: bool

    def take(self, snapshot: Snapshot) -> Scalars:
        """Take the measure of one run; traced."""
        return self.measure.function(snapshot if not self.measure.dtype else _in(self.measure.dtype, snapshot))

    @property
    def layers(self) -> bool:
        """Whether the outputs of all layers are needed; a user's own measure may read anything."""
        return "layers" in self.measure.needs or self.own


def _in(dtype: str, snapshot: Snapshot) -> Snapshot:
    """The snapshot with all of its floating-point numbers in one type; the network has been applied by then."""
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if _is_floating(leaf) else leaf, snapshot)


def _is_floating(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def make_requests(
    snapshots: StoredSnapshots,
    named: Sequence[Named],
    splits: Sequence[str],
    options: Mapping[str, Any],
    label: str,
) -> list[Request]:
    """Resolve what the user asked for, and prepare it.

    Raises:
      ConfigError: a measure, option, split or label is not allowed, or the snapshots lack what a measure needs.
    """
    require(len(named) > 0, "measures", "", f"name at least one of {', '.join(measures.MEASURES)}")
    bound = [bind_measure(snapshots.experiment, measures.get_measure(name)) for name in named]
    for measure in bound:  # it names a file
        plain = pathlib.PurePath(measure.name).name == measure.name
        require(plain, "measures", measure.name, "the name of a measure must have no /")
    for split in splits:
        require_one_of("splits", split, SPLITS)
    require(re.fullmatch(r"\w*", label) is not None, "label", label, "must consist of letters, digits and _")
    refuse_idle(bound, options)
    divisible = any("split" in options_of(measure) for measure in bound)
    require(not splits or divisible, "splits", ",".join(splits), "none of these measures has the option split")
    requests = []
    for name, measure in zip(named, bound, strict=True):
        divided: list[dict[str, Any]] = [{}]
        if splits and "split" in options_of(measure):
            divided = [{"split": split} for split in splits]
        for part in divided:
            suffix = "_".join(["", *(part.values() if len(divided) > 1 else ()), *([label] if label else [])])
            requests.append(_request(snapshots, name, measure, {**options, **part}, suffix))
    repeated = [r.name for r in requests if sum(other.name == r.name for other in requests) > 1]
    require(not repeated, "measures", repeated[:1], "stands there twice")
    return requests


def _request(
    snapshots: StoredSnapshots, named: Named, measure: Measure, given: Mapping[str, Any], suffix: str
) -> Request:
    options = complete(measure, given)
    _check_needs(snapshots, measure, options.get("split"))
    record = {
        "measure": measure.name,
        "options": options,
        "test_size": len(snapshots.data.test_labels),
        "ood": snapshots.ood_hash,
        "source": _source(named),
        "suffix": suffix,
    }
    text = json.dumps(record | {"sweep": snapshots.fingerprint}, sort_keys=True, default=repr)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    record = json.loads(json.dumps(record, default=repr))
    bound = bind(measure, options)
    prepared = bound.prepare(snapshots.data_alone) if bound.prepare else None
    once = "is prepared once for all runs, and here each draws examples or labels of its own"
    require(prepared is None or not snapshots.drawn_per_run, "measures", measure.name, once)
    return Request(measure.name + suffix, bound, suffix, record, key, prepared, own=not measure.variables)


def _source(named: Named) -> str:
    if isinstance(named, str):
        own = extensions.is_extension(named)
        return f"{pathlib.Path(named).name} {extensions.source_hash('measures', named)}" if own else ""
    try:
        return hashlib.sha256(inspect.getsource(named).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""


def _check_needs(snapshots: StoredSnapshots, measure: Measure, split: str | None) -> None:
    part = lacking(measure, snapshots.available, split)
    if part == "ood" and snapshots.recomputed:
        allowed = "needs examples from outside the distribution; give --ood=FILE.npz"
    elif part and (snapshots.recomputed or part in snapshots.content):
        allowed = f"needs {part!r}, which this network does not have"
    elif part:
        stored = {"layers": "parameters", "ood": "parameters", "probe": "test", "weights": "head"}.get(part, part)
        allowed = f"needs {part!r}, {snapshots.what_is_held}; {snapshots.to_store(stored)}"
    else:
        return
    raise ConfigError("measures", measure.name, allowed)
