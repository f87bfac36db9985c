"""Information of features that are read through bins: plug-in estimates from counts of equal patterns."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from collapse_jax.measures.base import Scalars
from collapse_jax.measures.estimators.jackknife import jackknife_errors, remaining
from collapse_jax.measures.estimators.permutation import against_null, shuffles

GROUPS = 10


def binned_information(
    features: jax.Array, labels: jax.Array, bins: int, key: jax.Array, permutations: int, partitions: int
) -> Scalars:
    """I(T;X), I(T;Y) and I(T;X|Y) in nats of the pattern T of a row of `features` [N, D], one bin per unit.

    `bins` bins of equal width reach from the smallest to the largest number in `features`. T is a function of the
    input and inputs are different, so that with n_t the rows of a pattern, n_ty those of one class y, n_y its rows

        I(T;X) = H(T) = log N - mean_i log n_t,
        I(T;Y) = H(T) - H(T|Y) = log N + mean_i( log n_ty - log n_t - log n_y ),    I(T;X|Y) = I(T;X) - I(T;Y).

    Args:
      features: [N, D].
      labels: [N] classes.
      bins: per unit.
      key: of the permutations and partitions.
      permutations: of the labels, of the null of I(T;Y); 0 leaves it out.
      partitions: that the error is the mean over, bins laid anew; 0 leaves it out.

    Returns:
      `zx`, `zy`, `zx_given_y`, their errors and what `against_null` says of `zy`.
    """
    null_key, group_key = jax.random.split(key)
    orders, _ = shuffles(null_key, labels, permutations)
    values, draws = _information(features, labels, labels[orders], bins)
    result = dict(values)
    if permutations:
        result |= against_null(values, {"zy": draws})
    if partitions:
        rows = remaining(group_key, len(labels), min(GROUPS, len(labels)), partitions)
        parts = lax.map(
            lambda kept: _information(features[kept], labels[kept], labels[kept][None][:0], bins)[0],
            rows.reshape(-1, rows.shape[-1]),
        )
        result |= jackknife_errors({name: part.reshape(rows.shape[:2]) for name, part in parts.items()})
    finite = jnp.all(jnp.isfinite(features))
    return {name: jnp.where(finite, value, jnp.nan) for name, value in result.items()}


def _information(
    features: jax.Array, labels: jax.Array, shuffled: jax.Array, bins: int
) -> tuple[Scalars, jax.Array]:
    """The three values, and I(T;Y) [P] for permuted labels `shuffled` [P, N]."""
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

    of_labels = lax.map(with_labels, jnp.concatenate([labels[None], shuffled]))
    of_inputs = count - of_pattern
    return {"zx": of_inputs, "zy": of_labels[0], "zx_given_y": of_inputs - of_labels[0]}, of_labels[1:]


def _mean_log_size(keys: list[jax.Array]) -> jax.Array:
    """Mean over rows of the logarithm of how many rows have the same keys, each [N]."""
    order = jnp.lexsort(keys)
    ordered = [key[order] for key in keys]
    begins = jnp.any(jnp.stack([jnp.diff(key) != 0 for key in ordered]), axis=0)
    groups = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(begins, dtype=jnp.int32)])
    sizes = jnp.zeros(len(order), jnp.int32).at[groups].add(1)
    return jnp.mean(jnp.log(sizes[groups]))
