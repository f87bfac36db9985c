import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax import tasks
from collapse_jax.training.batches import batches_per_epoch, epoch_order, take_batch


def dataset(size):
    inputs = jnp.arange(size * 2, dtype=jnp.float32).reshape(size, 2)
    return tasks.Dataset(inputs, jnp.arange(size), inputs, jnp.arange(size), 3)


@pytest.mark.parametrize(("size", "batch"), [(12, 4), (13, 4), (3, 3), (5, 4)])
def test_an_epoch_sees_every_example_once_and_keeps_the_short_batch(size, batch):
    data = dataset(size)
    order = epoch_order(jax.random.key(0), 0, size, batch)
    seen, counts = [], []
    for position in range(batches_per_epoch(size, batch)):
        inputs, labels, weights = take_batch(data, order, position, batch)
        weights = np.ones(batch) if weights is None else weights
        labels = np.asarray(labels)
        np.testing.assert_array_equal(inputs, data.train_inputs[labels])
        seen += labels[np.asarray(weights) > 0].tolist()
        counts.append(int(np.sum(weights)))
    assert sorted(seen) == list(range(size))
    assert counts == [min(batch, size - i) for i in range(0, size, batch)]


def test_epochs_are_permuted_afresh():
    first, second = (np.asarray(epoch_order(jax.random.key(0), epoch, 50, 10)) for epoch in (0, 1))
    assert not np.array_equal(first, second)
