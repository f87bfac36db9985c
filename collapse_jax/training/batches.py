"""Which examples a step sees: a function of the run's key and the step alone, so nothing of it is saved."""

import jax
import jax.numpy as jnp

from collapse_jax.tasks import Dataset


def batches_per_epoch(train_size: int, batch_size: int) -> int:
    """Return the number of batches of an epoch; the last one may be short."""
    return -(-train_size // batch_size)


def epoch_order(key: jax.Array, epoch: jax.Array, train_size: int, batch_size: int) -> jax.Array:
    """Return a fresh permutation of the training set, uint32, padded with 0 to whole batches."""
    order = jax.random.permutation(jax.random.fold_in(key, epoch), train_size)
    padding = batches_per_epoch(train_size, batch_size) * batch_size - train_size
    return jnp.pad(order.astype(jnp.uint32), (0, padding))


def take_batch(
    data: Dataset, order: jax.Array, position: jax.Array, batch_size: int
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Return inputs [B, ...], labels [B] and weights [B] (0 on padding; None when no batch is short)."""
    # Unsigned indices that are in bounds: nothing of them is wrapped or checked once more per pixel.
    first = jnp.uint32(position) * jnp.uint32(batch_size)
    index = jax.lax.dynamic_slice_in_dim(order, first, batch_size)
    whole = len(order) == len(data.train_labels)
    places = first + jnp.arange(batch_size, dtype=jnp.uint32)
    weights = None if whole else (places < len(data.train_labels)).astype(jnp.float32)

    def take(array: jax.Array) -> jax.Array:
        # Rows of numbers, because a gather of images takes longer.
        rows = array.reshape(len(array), -1)
        return rows.at[index].get(mode="promise_in_bounds").reshape(batch_size, *array.shape[1:])

    return take(data.train_inputs), take(data.train_labels), weights
