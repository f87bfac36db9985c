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
    return varied(variables, {suffix: (f", {k}", f"{{}}; {k} features") for k, suffix in SUFFIXES.items()})


def varied(variables: Mapping[str, Variable], kinds: Mapping[str, tuple[str, str]]) -> dict[str, Variable]:
    """Describe variables that come in several kinds.

    Args:
      variables: by name.
      kinds: suffix of the name -> what is added to the long name, and the definition, where {} is the variable's.
    """
    return {
        name + suffix: dataclasses.replace(v, long_name=v.long_name + title, definition=text.format(v.definition))
        for suffix, (title, text) in kinds.items()
        for name, v in variables.items()
    }
