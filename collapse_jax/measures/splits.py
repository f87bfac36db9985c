"""Variables that are the same of the train probe and of the test probe, there with the suffix `_test`."""

import dataclasses
from collections.abc import Callable, Mapping

from collapse_jax.measures.base import Probe, Scalars, Snapshot, Variable

SUFFIXES = {"train": "", "test": "_test"}


def of_each_probe(snapshot: Snapshot, measured: Callable[[Probe], Scalars]) -> Scalars:
    """Take `measured(probe)` of the train probe and, as `<variable>_test`, of the test probe, if they are there."""
    return {
        name + SUFFIXES[kind]: value
        for kind, probe in snapshot.probes.items()
        for name, value in measured(probe).items()
    }


def for_each_probe(variables: Mapping[str, Variable]) -> dict[str, Variable]:
    """Describe variables for the train probe and, as `<variable>_test`, for the test probe."""
    return {
        name + suffix: dataclasses.replace(
            v, long_name=f"{v.long_name}, {kind}", definition=f"{v.definition}; {kind} features"
        )
        for kind, suffix in SUFFIXES.items()
        for name, v in variables.items()
    }
