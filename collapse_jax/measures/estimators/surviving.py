"""The parameters of a network as one vector, of which some weights may be pruned."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.estimators.coarse_graining import is_kernel, named
from collapse_jax.measures.estimators.evaluation import evaluate, in_batches
from collapse_jax.measures.precision import at_least_float32


class Surviving:
    """A network's parameters theta [P], which of them are there, and losses of any other vector on the train set.

    Attributes:
      theta: [P], 0 where a weight was pruned.
      initial: [P] theta_0, 0 there too.
      kept: [P] of 1 and 0.
      count: number of train examples, n.
      weights: number of weights, elements of kernels, which alone can be pruned; N.
      pruned: how many of them were.
    """

    def __init__(self, snapshot: Snapshot):
        """Read `params`, `initial`, `mask` and the train examples of a snapshot."""
        self._snapshot = snapshot
        self.count = len(snapshot.train.labels)
        ones = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), snapshot.params)
        mask = ones if snapshot.mask is None else snapshot.mask
        theta, self._restore = ravel_pytree(jax.tree.map(at_least_float32, snapshot.params))
        self.kept = ravel_pytree(mask)[0].astype(theta.dtype)
        self.theta = theta * self.kept
        self.initial = ravel_pytree(snapshot.initial)[0].astype(theta.dtype) * self.kept
        kernels = [kept for name, kept in named(mask).items() if is_kernel(name)]
        self.weights = sum(leaf.size for leaf in kernels)
        gone = [jnp.sum(~leaf, dtype=theta.dtype) for leaf in kernels]
        self.pruned = jnp.sum(jnp.stack(gone)) if gone else jnp.zeros((), theta.dtype)

    def loss(self, vector: jax.Array) -> jax.Array:
        """Mean training loss of a vector [P], to be differentiated.

        Batches are computed again for derivatives, which so hold one at a time.
        """
        train, per_example, params = self._snapshot.train, self._snapshot.loss, self._restore(vector)
        assert train.examples is not None
        assert per_example is not None

        @jax.checkpoint
        def total(inputs: jax.Array, labels: jax.Array) -> jax.Array:
            return jnp.sum(per_example(self._snapshot.apply(params, inputs)[0], labels))

        return in_batches(total, train.examples, train.labels) / len(train.labels)

    def logits(self, vector: jax.Array, chosen: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Logits [M, K] of a vector [P] for some train examples, by their places [M], and their labels."""
        train = self._snapshot.train
        assert train.examples is not None
        inputs, labels = (jnp.take(array, chosen, axis=0) for array in (train.examples, train.labels))
        return self._snapshot.apply(self._restore(vector), inputs)[0], labels

    def evaluated(self, vector: jax.Array, probe: Probe | None = None) -> tuple[jax.Array, jax.Array]:
        """Mean loss of a vector [P], and the share of examples that it gets wrong; of the train set by default."""
        loss, _, error = evaluate(self._snapshot, self._restore(vector), probe or self._snapshot.train, "corrected")
        return loss, error


def is_there(snapshot: Snapshot) -> bool:
    """Whether a snapshot holds a network, its examples and its loss."""
    return snapshot.train.examples is not None and snapshot.loss is not None and snapshot.initial is not None
