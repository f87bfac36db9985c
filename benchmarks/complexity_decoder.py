"""The decoder of arXiv:2412.09810 on addition modulo 113 in plain JAX: checkpoints for benchmarks.complexity.

Kept apart from the engine's own task and model, so that the numbers of the benchmark do not change with them.
"""

import pathlib
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from collapse_jax.measures import Probe, Snapshot
from collapse_jax.models.losses import cross_entropy

MODULUS, TRAIN, BATCH, EPOCHS = 113, 2553, 512, 600
WIDTH, HEADS = 128, 4
NOISE, DECAY, RATE = 1e-2, 1.0, 1e-3


class Block(nn.Module):
    """Attention without a mask and a feed-forward layer, each followed by LayerNorm of the residual sum."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [N, T, D] to [N, T, D]."""
        n, t, d = x.shape
        q, k, v = (nn.Dense(d, name=name)(x).reshape(n, t, HEADS, -1) for name in "qkv")
        scores = jax.nn.softmax(jnp.einsum("nqhd,nkhd->nhqk", q, k) * q.shape[-1] ** -0.5)
        mixed = jnp.einsum("nhqk,nkhd->nqhd", scores, v).reshape(n, t, d)
        x = nn.LayerNorm(name="norm1")(x + nn.Dense(d, name="out")(mixed))
        hidden = nn.gelu(nn.Dense(4 * d, name="linear1")(x))
        return nn.LayerNorm(name="norm2")(x + nn.Dense(d, name="linear2")(hidden))


class Decoder(nn.Module):
    """Tokens and learned positions (as many as tokens), one block, the head on the last token."""

    vocabulary: int = MODULUS + 2

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Map tokens [N, T] to logits [N, V] and the representation."""
        positions = nn.Embed(self.vocabulary, WIDTH, name="positions")(jnp.arange(x.shape[1]))
        h = Block(name="layer_0")(nn.Embed(self.vocabulary, WIDTH, name="tokens")(x) + positions[None])[:, -1]
        return nn.Dense(self.vocabulary, name="head")(h), (h,)


def data() -> tuple[np.ndarray, ...]:
    """Train and test tokens [N, 4] and sums [N]."""
    a, b = np.divmod(np.arange(MODULUS**2), MODULUS)
    plus, equals = np.full_like(a, MODULUS), np.full_like(a, MODULUS + 1)
    tokens = np.stack([a, plus, b, equals], axis=1).astype(np.int32)
    sums = ((a + b) % MODULUS).astype(np.int32)
    order = np.random.RandomState(0).permutation(len(a))
    first, rest = order[:TRAIN], order[TRAIN:]
    return tokens[first], sums[first], tokens[rest], sums[rest]


def snapshot(params: Any, held: tuple[np.ndarray, ...]) -> Snapshot:
    """Return a checkpoint as the measure takes it, on its training set."""
    inputs, labels = map(jnp.asarray, held[:2])
    probe = Probe(jnp.zeros((len(labels), 0)), labels, examples=inputs)
    return Snapshot(
        train=probe, params=jax.tree.map(jnp.asarray, params), network=_network, loss=cross_entropy, num_classes=115
    )


def _network(params: Any, stats: Any, inputs: jax.Array) -> Any:
    return Decoder().apply({"params": params}, inputs)


def train(file: pathlib.Path) -> None:
    """Train, print accuracies, and write {"params": {epoch: tree}, "data": arrays}."""
    held = data()
    inputs, labels, test_inputs, test_labels = map(jnp.asarray, held)
    params = Decoder().init(jax.random.key(0), inputs[:1])["params"]
    optimizer = optax.adamw(RATE, b1=0.9, b2=0.98, weight_decay=DECAY)

    @jax.jit
    def step(params: Any, state: Any, key: jax.Array, x: jax.Array, y: jax.Array) -> tuple[Any, Any]:
        leaves, tree = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        noisy = [w + NOISE * jax.random.normal(k, w.shape) for w, k in zip(leaves, keys, strict=True)]
        loss = lambda p: jnp.mean(cross_entropy(_network(p, None, x)[0], y))  # noqa: E731
        updates, state = optimizer.update(jax.grad(loss)(jax.tree.unflatten(tree, noisy)), state, params)
        return optax.apply_updates(params, updates), state

    accuracy = jax.jit(lambda p, x, y: jnp.mean(jnp.argmax(_network(p, None, x)[0], axis=1) == y))
    kept, state, rng = {}, optimizer.init(params), np.random.default_rng(0)
    log = sorted({int(1.3**n) for n in range(40)} & set(range(EPOCHS)))
    for epoch in range(max(log) + 1):
        order = rng.permutation(TRAIN)
        for start in range(0, TRAIN, BATCH):
            rows = order[start : start + BATCH]
            key = jax.random.fold_in(jax.random.key(1), epoch * TRAIN + start)
            params, state = step(params, state, key, inputs[rows], labels[rows])
        if epoch in log:
            kept[epoch] = jax.tree.map(np.asarray, params)
            print(epoch, float(accuracy(params, inputs, labels)), float(accuracy(params, test_inputs, test_labels)))
    file.write_bytes(pickle.dumps({"params": kept, "data": held}))
