"""Gaussian posteriors whose standard deviations, one for each weight, are trained on a PAC-Bayes bound by SGD.

Source: the code of arXiv:2205.07320, whose settings are the defaults.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from collapse_jax.measures.estimators.pac_bayes import bound, gaussian_divergence
from collapse_jax.measures.estimators.surviving import Surviving

START = -4.0  # of r; sigma = softplus(r)
LOWEST = 1e-4  # probability that the surrogate of the risk sees


class Posterior(NamedTuple):
    """What a bound pays for.

    Attributes:
      moved: [P] from the mean of the prior to that of the posterior.
      noisy: [P] 1 where there is noise, else 0.
      cost: nats beside the divergence of the Gaussians.
    """

    moved: jax.Array
    noisy: jax.Array
    cost: jax.Array

    def divergence(self, sigma: jax.Array) -> jax.Array:
        """Nats for standard deviations [P]."""
        return gaussian_divergence(self.moved, sigma) + self.cost


@dataclasses.dataclass(frozen=True)
class SGD:
    """SGD with momentum on r [P], one draw of the noise for each batch.

    Attributes:
      delta: of the bound.
      rate: of learning.
      momentum: of the gradient.
      batch: examples; the last batch of an epoch may be shorter.
      epochs: passes over the train set.
      seed: of batches and noise.
    """

    delta: float
    rate: float = 0.01
    momentum: float = 0.95
    batch: int = 256
    epochs: int = 256
    seed: int = 0

    def sigma(self, network: Surviving, posterior: Posterior) -> jax.Array:
        """Return the trained standard deviations [P]."""
        count, start = network.count, jnp.full_like(network.theta, START)
        per_epoch = -(-count // self.batch)

        def objective(r: jax.Array, step: jax.Array, order: jax.Array) -> jax.Array:
            sigma = jax.nn.softplus(r)
            moved = network.theta + sigma * posterior.noisy * self.noise(step, r)
            chosen, counts = self.chosen(order, step % per_epoch)
            risk = surrogate(network, moved, chosen, counts)
            return bound(risk, posterior.divergence(sigma), count, self.delta)

        def once(step: jax.Array, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            r, velocity, order = carry
            begins = step % per_epoch == 0
            order = jax.lax.cond(begins, lambda: self.order(step // per_epoch, count), lambda: order)
            velocity = self.momentum * velocity + jax.grad(objective)(r, step, order)
            return r - self.rate * velocity, velocity, order

        begun = (start, jnp.zeros_like(start), self.order(jnp.int32(0), count))
        return jax.nn.softplus(jax.lax.fori_loop(0, self.epochs * per_epoch, once, begun)[0])

    def order(self, epoch: jax.Array, count: int) -> jax.Array:
        """Return the order of the examples in an epoch, padded to whole batches by -1."""
        key = jax.random.fold_in(jax.random.key(self.seed), epoch)
        order = jax.random.permutation(key, count)
        return jnp.pad(order, (0, -count % self.batch), constant_values=-1)

    def chosen(self, order: jax.Array, position: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the examples of a batch, and 1 for those that count, 0 for the padding."""
        found = jax.lax.dynamic_slice(order, (position * self.batch,), (self.batch,))
        return jnp.maximum(found, 0), found >= 0

    def noise(self, step: jax.Array, like: jax.Array) -> jax.Array:
        """Return the noise [P] of a step."""
        return jax.random.normal(jax.random.fold_in(jax.random.key(self.seed + 1), step), like.shape, like.dtype)


def surrogate(network: Surviving, vector: jax.Array, chosen: jax.Array, counts: jax.Array) -> jax.Array:
    """Mean of -ln max(softmax(f)_y, 1e-4) / ln 10 over the examples of a batch: what stands for the 0-1 risk."""
    logits, labels = network.logits(vector, chosen)
    likely = jnp.take_along_axis(jax.nn.softmax(logits), labels[:, None], axis=1)[:, 0]
    losses = -jnp.log(jnp.clip(likely, LOWEST, 1)) / math.log(10)
    return jnp.sum(jnp.where(counts, losses, 0)) / jnp.sum(counts)
