"""What a network with other parameters says of a probe: losses and errors, a few examples at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Probe, Snapshot

BATCH = 500  # as many as the engine evaluates at once


def in_batches(sums: Callable[[jax.Array, jax.Array], Any], inputs: jax.Array, labels: jax.Array) -> Any:
    """Add up `sums(inputs, labels)`, a tree of arrays, over batches of at most `BATCH` examples."""
    whole = len(labels) // BATCH * BATCH
    total = None
    if whole:
        stacked = [array[:whole].reshape(-1, BATCH, *array.shape[1:]) for array in (inputs, labels)]
        total = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), jax.lax.map(lambda pair: sums(*pair), stacked))
    if whole < len(labels):
        rest = sums(inputs[whole:], labels[whole:])
        total = rest if total is None else jax.tree.map(jnp.add, total, rest)
    return total


def evaluate(snapshot: Snapshot, params: Any, probe: Probe, mode: str) -> jax.Array:
    """[3] means over a probe: the loss, -log softmax(f)_y in nats, and the fraction of wrong predictions.

    The loss is that of the sweep; in the mode "reference" it is the log of the softmax, whose underflow gives inf.
    """
    assert snapshot.loss is not None
    assert probe.examples is not None
    loss = snapshot.loss

    def sums(inputs: jax.Array, labels: jax.Array) -> jax.Array:
        logits, _ = snapshot.apply(params, inputs)
        rows = jnp.arange(len(labels))
        nats = -jax.nn.log_softmax(logits)[rows, labels]
        own = -jnp.log(jax.nn.softmax(logits))[rows, labels] if mode == "reference" else loss(logits, labels)
        wrong = jnp.where(jnp.isnan(nats), jnp.nan, jnp.argmax(logits, axis=-1) != labels)
        return jnp.stack([jnp.sum(own), jnp.sum(nats), jnp.sum(wrong)])

    return in_batches(sums, probe.examples, probe.labels) / len(probe.labels)


def thinned(probe: Probe, count: int) -> Probe:
    """At most `count` examples at equal distances, so that sorted data give all classes."""
    step = max(1, -(-len(probe.labels) // count))
    assert probe.examples is not None
    return Probe(probe.features[::step], probe.labels[::step], examples=probe.examples[::step])
