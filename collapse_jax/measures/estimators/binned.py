"""Information of features that are read through bins: plug-in estimates from counts of equal patterns."""

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.measures.base import Scalars


def binned_information(features: jax.Array, labels: jax.Array, shuffled: jax.Array, bins: int) -> Scalars:
    """I(T;X), I(T;Y) and I(T;X|Y) in nats of the pattern T of a row of `features` [N, D], one bin per unit.

    `bins` bins of equal width reach from the smallest to the largest number in `features`. T is a function of the
    input and inputs are different, so that with n_t the rows of a pattern, n_ty those of one class y, n_y its rows

        I(T;X) = H(T) = log N - mean_i log n_t,
        I(T;Y) = H(T) - H(T|Y) = log N + mean_i( log n_ty - log n_t - log n_y ),    I(T;X|Y) = I(T;X) - I(T;Y).

    Args:
      features: [N, D].
      labels: [N] classes.
      shuffled: [P, N] permutations of them, of the null of I(T;Y): `zy_null`, their mean.
      bins: per unit.
    """
    low, high = jnp.min(features), jnp.max(features)
    width = jnp.where(high > low, high - low, 1) / bins
    patterns = jnp.clip(jnp.floor((features - low) / width), 0, bins - 1).astype(jnp.uint32)
    # Two linear hashes of 32 bits stand for a pattern: different ones are one with probability 2^-50 a pair.
    factors = np.random.default_rng(0).integers(0, 2**31, size=(2, features.shape[1]), dtype=np.uint32) * 2 + 1
    keys = [jnp.sum(patterns * jnp.asarray(row)[None, :], axis=1, dtype=jnp.uint32) for row in factors]
    count = jnp.log(jnp.asarray(len(labels), features.dtype))
    of_pattern, of_class = (_mean_log_size(rows).astype(features.dtype) for rows in (keys, [labels]))

    def with_labels(classes: jax.Array) -> jax.Array:
        return count + _mean_log_size([*keys, classes]).astype(features.dtype) - of_pattern - of_class

    of_labels = with_labels(labels)
    result = {
        "zx": count - of_pattern,
        "zy": of_labels,
        "zy_null": jnp.mean(jax.lax.map(with_labels, shuffled)),
        "zx_given_y": count - of_pattern - of_labels,
    }
    finite = jnp.all(jnp.isfinite(features))
    return {name: jnp.where(finite, value, jnp.nan) for name, value in result.items()}


def _mean_log_size(keys: list[jax.Array]) -> jax.Array:
    """Mean over rows of the logarithm of how many rows have the same keys, each [N]."""
    order = jnp.lexsort(keys)
    ordered = [key[order] for key in keys]
    begins = jnp.any(jnp.stack([jnp.diff(key) != 0 for key in ordered]), axis=0)
    groups = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(begins, dtype=jnp.int32)])
    sizes = jnp.zeros(len(order), jnp.int32).at[groups].add(1)
    return jnp.mean(jnp.log(sizes[groups]))
