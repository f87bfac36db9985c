"""Which examples a step sees: a function of the run's key and the step alone, so nothing of it is saved."""

import jax
import jax.numpy as jnp

from collapse_jax.tasks import Dataset


def batches_per_epoch(train_size: int, batch_size: int) -> int:
    """Return the number of batches of an epoch; the last one may be short."""
    return -(-train_size // batch_size)


def epoch_order(key: jax.Array, epoch: jax.Array, train_size: int, batch_size: int) -> jax.Array:
    """Return a fresh permutation of the training set, padded with -1 to whole batches."""
    order = jax.random.permutation(jax.random.fold_in(key, epoch), train_size)
    padding = batches_per_epoch(train_size, batch_size) * batch_size - train_size
    return jnp.pad(order, (0, padding), constant_values=-1)


def take_batch(
    data: Dataset, order: jax.Array, position: jax.Array, batch_size: int
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Return inputs [B, ...], labels [B] and weights [B] (0 on padding; None when no batch is short)."""
    chosen = jax.lax.dynamic_slice_in_dim(order, position * batch_size, batch_size)
    whole = len(order) == len(data.train_labels)
    weights = None if whole else (chosen >= 0).astype(jnp.float32)
    # An index is always in bounds (padding wraps to the last example), so no bounds check runs on the device.
    index = chosen % len(data.train_labels)

    def take(array: jax.Array) -> jax.Array:
        # Rows of numbers, because a gather of images takes longer.
        rows = array.reshape(len(array), -1)
        return rows.at[index].get(mode="promise_in_bounds").reshape(batch_size, *array.shape[1:])

    return take(data.train_inputs), take(data.train_labels), weights
