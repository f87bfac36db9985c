"""Logarithms of mixtures of normal densities around features: of all examples, of classes, without groups."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from collapse_jax.measures.estimators.neighbours import each_point
from collapse_jax.measures.precision import matmul

# Kinds of exponents, and the variables that they give.
KINDS = ("noisy", "kde_upper", "kde_lower")


class Mixtures(NamedTuple):
    """Means over examples i of -log (1/n) sum_j exp a_ij, for the three kinds of exponents a_ij and S noises.

    Attributes:
      values: [2, 3, S, 1 + C] over all j, and over those of the class of i; without the groups, see `kept`.
      slopes: [2, 3, S] derivatives of `values[..., 0]` by the logarithm of the noise.
      nulls: [3, S, P] over the j of the class of i after permutations of the labels.
    """

    values: jax.Array
    slopes: jax.Array
    nulls: jax.Array


def mixtures(
    features: jax.Array,
    within: jax.Array,
    labels: jax.Array,
    shuffled: jax.Array,
    kept: jax.Array,
    noise: jax.Array,
    key: jax.Array,
) -> Mixtures:
    """Mean logarithms of the mixtures, in one pass over pairs of examples.

    Of the exponents, with d_ij the distance of i and j and e_i standard normal,

    * "noisy": -d_ij^2 / (2 tau^2) -+ e_i.(g_i - g_j) / tau, the mean over both signs,
    * "kde_upper": -d_ij^2 / (2 tau^2), and "kde_lower": -d_ij^2 / (8 tau^2).

    Args:
      features: [M, D].
      within: [M, D] their deviations from the mean of their class: exact in a collapsed class, where differences of
        features are not.
      labels: [M].
      shuffled: [P, M] permutations of them.
      kept: [M, 1 + C] 1 for the examples that take part, as i and as j; ones in the first column.
      noise: [S] standard deviations tau.
      key: of the e_i.
    """
    centred = features - jnp.mean(features, axis=0, keepdims=True)
    centred_squares, within_squares = jnp.sum(centred**2, axis=1), jnp.sum(within**2, axis=1)
    errors = jax.random.normal(key, features.shape, features.dtype)
    everyone = jnp.sum(kept, axis=0)
    scale = noise[:, None]

    def of_row(index: jax.Array, error: jax.Array) -> Mixtures:
        same = labels == labels[index]
        squares = jnp.where(
            same,
            _squared_distances(within, within_squares, index),
            _squared_distances(centred, centred_squares, index),
        )
        shift_within, shift_centred = matmul(within, error), matmul(centred, error)
        shift = jnp.where(same, shift_within[index] - shift_within, shift_centred[index] - shift_centred)
        near, linear = squares[None] / (2 * scale**2), shift[None] / scale
        exponents = jnp.stack([-near - linear, -near + linear, -near, -near / 4])
        falls = jnp.stack([-2 * near - linear, -2 * near + linear, -2 * near, -near / 2])
        # Each sum holds the example itself, with exponent 0, and the largest exponent is a squared normal deviate
        # of M: no sum falls out of the range of float32.
        largest = jnp.max(exponents, axis=-1, keepdims=True)
        terms = jnp.exp(exponents - largest)
        terms = jnp.stack([terms, jnp.where(same[None, None], terms, 0)])
        sums = matmul(terms, kept)
        fellows = matmul(same.astype(kept.dtype)[None], kept)[0]
        counts = jnp.stack([everyone, fellows])[:, None, None]
        takes_part = kept[index][None, None, None] > 0
        values = jnp.log(jnp.where(takes_part, counts, 1)) - jnp.log(sums) - largest[None]
        values = jnp.where(takes_part, values, 0)
        slopes = jnp.sum(terms * falls[None], axis=-1) / sums[..., 0]
        permuted = (shuffled == shuffled[:, index][:, None]).astype(kept.dtype)
        nulls = jnp.log(jnp.sum(permuted, axis=1))[None, None] - jnp.log(matmul(terms[0], permuted.T)) - largest
        return Mixtures(_both_signs(values, 1), _both_signs(slopes, 1), _both_signs(nulls, 0))

    rows = each_point(of_row, errors)
    # A row that does not take part has the value 0.
    return Mixtures(
        jnp.sum(rows.values, axis=0) / everyone[None, None, None],
        jnp.mean(rows.slopes, axis=0),
        jnp.mean(rows.nulls, axis=0),
    )


def _both_signs(values: jax.Array, axis: int) -> jax.Array:
    """The mean of the first two along an axis of four, then the others."""
    minus, plus, *others = jnp.moveaxis(values, axis, 0)
    return jnp.stack([0.5 * (minus + plus), *others], axis=axis)


def _squared_distances(points: jax.Array, squares: jax.Array, index: jax.Array) -> jax.Array:
    """[M] squared distances of row `index` of `points` [M, D] to all; `squares` [M] are the squared norms."""
    distances = squares[index] + squares - 2 * matmul(points, points[index])
    # nan and infinite rows stay visible in their distance to themselves.
    return jnp.where(jnp.arange(len(points)) == index, distances * 0, jnp.maximum(distances, 0))
