"""BatchNorm, with a derivative that goes through the activations as seldom as it can."""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

Moments = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def normalise(eps: float, x: jax.Array, gain: jax.Array, bias: jax.Array, weights: jax.Array | None) -> Moments:
    """Return y = (x - mean) gain / sqrt(var + eps) + bias of x [N, ..., C], with mean [C], var [C] (1/n) and n.

    Its derivative is written out, since autodiff goes through activations in twice as many passes: with
    z = (x - mean) / sqrt(var + eps) and means over examples that count,
    dy = gain / sqrt(var + eps) (dx - mean(dx) - z mean(z dx)) + z dgain + dbias. It is linear in what changes, so
    reverse mode and derivatives of any order follow from it. Nothing is derived by `weights`.
    """
    count = jnp.asarray(x.size // x.shape[-1], x.dtype)
    if weights is not None:
        count = jnp.sum(weights) * (x[0].size // x.shape[-1])
    mean = _sum(x, weights) / count
    centred = x - _spread(mean, x)
    var = _sum(jnp.square(centred), weights) / count
    factor = gain / jnp.sqrt(var + eps)
    return centred * _spread(factor, x) + _spread(bias, x), mean, var, count


@normalise.defjvp
def _(eps: float, at: tuple, tangents: tuple) -> tuple[Moments, Moments]:
    x, gain, _, weights = at
    dx, dgain, dbias, _ = tangents
    y, mean, var, count = normalise(eps, *at)
    deviation = jnp.sqrt(var + eps)
    z, factor = (x - _spread(mean, x)) / _spread(deviation, x), gain / deviation
    # Channels multiply sums over examples, not what is summed: gradients by gain and bias have the same sums.
    dmean, along = _sum(dx, weights) / count, _sum(dx * z, weights) / count
    dy = _spread(factor, x) * dx + _spread(dbias - factor * dmean, x) + z * _spread(dgain - factor * along, x)
    return (y, mean, var, count), (dy, dmean, 2 * deviation * along, jnp.zeros_like(count))


def _sum(x: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Sum [N, ..., C] over all axes but the last, examples by their weights."""
    axes = tuple(range(x.ndim - 1))
    return jnp.sum(x if weights is None else x * weights.reshape(-1, *(1,) * (x.ndim - 1)), axes)


def _spread(values: jax.Array, x: jax.Array) -> jax.Array:
    """Give values [C] the axes of x."""
    return values.reshape(*(1,) * (x.ndim - 1), -1)


class BatchNorm(nn.Module):
    """`torch.nn.BatchNorm`: (x - mean) / sqrt(var + eps) gain + bias per channel, the last axis.

    In training mean and var are those of the batch (var with 1/n), and the running ones in "batch_stats" move:
    running <- (1 - momentum) running + momentum batch, with the unbiased variance n / (n - 1) var. Otherwise mean
    and var are the running ones.

    Attributes:
      momentum: weight of a batch in the running statistics.
      eps: added to the variance.
    """

    momentum: float = 0.1
    eps: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False, weights: jax.Array | None = None) -> jax.Array:
        """Normalise x [N, ..., C].

        Args:
          x: activations.
          train: whether to use the statistics of the batch, and to move the running ones.
          weights: [N] 1 for the examples that count and 0 for padding; None: all count.
        """
        channels = x.shape[-1]
        gain = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        mean, var = running_mean.value, running_var.value
        if not train:
            factor = gain / jnp.sqrt(var + self.eps)
            return (x - _spread(mean, x)) * _spread(factor, x) + _spread(bias, x)
        y, mean, var, count = normalise(self.eps, x, gain, bias, weights)
        if not self.is_initializing():
            unbiased = var * (count / jnp.maximum(count - 1, 1))
            running_mean.value += self.momentum * (mean - running_mean.value)
            running_var.value += self.momentum * (unbiased - running_var.value)
        return y
