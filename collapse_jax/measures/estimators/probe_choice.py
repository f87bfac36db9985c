"""Which examples of a snapshot a measure of information reads, and in what form."""

from collections.abc import Mapping
from typing import NamedTuple

import jax

from collapse_jax.errors import require, require_one_of
from collapse_jax.measures.base import Snapshot
from collapse_jax.measures.precision import at_least_float32


class Examples(NamedTuple):
    """N examples in at least float32.

    Attributes:
      features: [N, D] representation g(x).
      labels: [N] integer classes.
      inputs: [N, P] the flattened inputs, or None where the snapshot has none.
    """

    features: jax.Array
    labels: jax.Array
    inputs: jax.Array | None


def choose_examples(
    snapshot: Snapshot, split: str = "auto", inputs: Mapping[str, jax.Array] | None = None
) -> Examples:
    """The examples of the probe that `split` names.

    Args:
      snapshot: where the probes are.
      split: "train", "test", or "auto": the test probe if it has inputs, else the train probe if that has
        inputs, else (for what needs labels only) the test probe if there is one, else the train probe.
      inputs: rows by the name of the probe, in the place of its inputs; None: its own.

    Raises:
      ConfigError: unknown split, or one whose probe is not there or has a single example.
    """
    require_one_of("split", split, ("auto", "test", "train"))
    probes = snapshot.probes
    rows = {kind: probe.inputs for kind, probe in probes.items()} if inputs is None else inputs
    order = [kind for kind in ("test", "train") if kind in probes and split in ("auto", kind)]
    require(bool(order), "split", split, f"the snapshot has no {'probe' if split == 'auto' else f'{split} probe'}")
    chosen = next((kind for kind in order if rows.get(kind) is not None), order[0])
    probe, held = probes[chosen], rows.get(chosen)
    require(len(probe.labels) > 1, "split", chosen, "1 example; information is measured of 2 at least")
    return Examples(
        at_least_float32(probe.features),
        probe.labels,
        None if held is None else at_least_float32(held).reshape(len(probe.labels), -1),
    )
