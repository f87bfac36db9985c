"""Which examples of a snapshot a measure of information reads, and in what form."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Probe, Snapshot


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


def choose_examples(snapshot: Snapshot, split: str = "auto", inputs: str = "inputs") -> Examples:
    """The examples of the probe that `split` names.

    Args:
      snapshot: where the probes are.
      split: "train", "test", or "auto": the test probe if it has inputs, else the train probe if that has
        inputs, else (for what needs labels only) the test probe if there is one, else the train probe.
      inputs: the field of a probe that stands for its inputs, "inputs" or "codes".

    Raises:
      ValueError: unknown split, or one whose probe is not there.
    """
    probes: dict[str, Probe | None] = {"test": snapshot.test, "train": snapshot.train}
    if split == "auto":
        present = [probe for probe in probes.values() if probe is not None]
        if not present:
            raise ValueError("split: 'auto'; the snapshot has neither a train nor a test probe")
        chosen: Probe | None = next((probe for probe in present if getattr(probe, inputs) is not None), present[0])
    elif split in probes:
        chosen = probes[split]
    else:
        raise ValueError(f"split: {split!r}; it must be 'auto', 'test' or 'train'")
    if chosen is None:
        raise ValueError(f"split: {split!r}; the snapshot has no {split} probe")
    held = getattr(chosen, inputs)
    return Examples(
        _floating(chosen.features),
        chosen.labels,
        None if held is None else _floating(held).reshape(len(chosen.labels), -1),
    )


def require_mode(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """ValueError unless the option `name` has one of the `allowed` values."""
    if value not in allowed:
        raise ValueError(f"{name}: {value!r}; it must be one of {', '.join(allowed)}")


def require_at_least(name: str, value: int, least: int) -> None:
    """ValueError unless the option `name` is an integer of at least `least`."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: {value!r}; it must be an integer of at least {least}")


def _floating(array: jax.Array) -> jax.Array:
    array = jnp.asarray(array)
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))
