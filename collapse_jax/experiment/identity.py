"""Which experiment is which: the fields that bind a workdir, and the fingerprint that names them."""

import dataclasses
import hashlib
import json
from typing import Any

from collapse_jax.experiment.choices import filled
from collapse_jax.experiment.config import Experiment

# Fields that say how a sweep is called and read. No number of it depends on them (with a stop rule: on its name),
# but its record and its results hold them: they stay as it was begun, and whoever reads it may give others.
READING_FIELDS = ("name", "thresholds.")

# Fields that change neither the numbers of a sweep nor what it stores, so a workdir may be continued with others.
# Where data lies is free: the checksums of what was loaded bind instead.
FREE_FIELDS = (
    "checkpoint_seconds",
    "chunk_seconds",
    "packing.",
    "task.data_dir",
    "task.vocabulary",
)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Map dotted field names to values: {"grid.seed": (0,), "steps": 100000, ...}."""
    flat: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            flat |= flatten(value, f"{prefix}{item.name}.")
        else:
            flat[prefix + item.name] = value
    return flat


def binding_fields(experiment: Experiment) -> dict[str, Any]:
    """Return the fields on which the numbers of a sweep depend, as JSON would give them back."""
    every = flatten(filled(experiment))
    # By the thresholds a stop rule says which steps are taken.
    reading = READING_FIELDS if experiment.stop.events is None else ("name",)
    flat = {name: value for name, value in every.items() if not name.startswith((*FREE_FIELDS, *reading))}
    # An axis without values and an option that is not given are as if there were no such field.
    flat = {name: v for name, v in flat.items() if v is not None and (v != () or not name.startswith("grid."))}
    return json.loads(json.dumps(flat))


def reading_fields(experiment: Experiment) -> dict[str, Any]:
    """Return the fields that say how a sweep is called, and with which thresholds it is read by default."""
    return {name: value for name, value in flatten(experiment).items() if name.startswith(READING_FIELDS)}


def fingerprint(experiment: Experiment) -> str:
    """Return 16 hexadecimal digits that name the experiment: equal if and only if `binding_fields` are."""
    text = json.dumps(binding_fields(experiment), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
