"""Class means, and deviations from them, that stay accurate when the features have collapsed.

Late in training the spread of a class is 10^-5 of the feature norm or less, so that a class mean rounded
to float32 is itself too coarse. Here a class mean is kept as the sum of two terms: the first member of the
class, from which collapsed features differ by an exactly representable amount, and the mean of those
differences. Squared deviations are summed after subtraction (two passes): they cannot be negative, and
identical features give exactly zero.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from collapse_jax.measures.base import Probe
from collapse_jax.measures.precision import at_least_float32, matmul

# Singular values of rank-deficient float32 features come out below 42 eps of the largest (N to 50,000, D to 512). A
# floor of max(N, D) eps would bound the worst case, and erase what classes still tell after their collapse.
ROUNDING = 64


class ClassMeans(NamedTuple):
    """The means of K classes: `anchors + offsets`.

    Attributes:
      anchors: [K, D] the first member of each class (any finite row for an absent class).
      offsets: [K, D] mean of the class minus its anchor.
      present: [K] True for the classes that have a member.
    """

    anchors: jax.Array
    offsets: jax.Array
    present: jax.Array


def prepare(probe: Probe, num_classes: int) -> tuple[Probe, jax.Array]:
    """The probe with features of at least float32, and its labels one-hot [N, K] in that type."""
    if num_classes < 1:
        raise ValueError(f"snapshot.num_classes: {num_classes}; it must be at least 1")
    features = at_least_float32(probe.features)
    one_hot = jax.nn.one_hot(probe.labels, num_classes, dtype=features.dtype)
    return dataclasses.replace(probe, features=features), one_hot


def class_means(features: jax.Array, labels: jax.Array, one_hot: jax.Array) -> ClassMeans:
    """Means of the rows of `features` [N, D] by class; `one_hot` [N, K] is the encoding of `labels` [N]."""
    counts = one_hot.sum(0)
    anchors = features[jnp.argmax(one_hot, axis=0)]
    differences = features - anchors[labels]
    offsets = matmul(one_hot.T, differences) / jnp.maximum(counts, 1)[:, None]
    return ClassMeans(anchors, offsets, counts > 0)


def deviations(features: jax.Array, labels: jax.Array, means: ClassMeans) -> jax.Array:
    """[N, D] each row of `features` minus the mean of its class."""
    # In this order the first subtraction is exact for collapsed features.
    return (features - means.anchors[labels]) - means.offsets[labels]


def relative_means(means: ClassMeans) -> tuple[jax.Array, jax.Array]:
    """A reference point [1, D] inside the data, and the class means [K, D] relative to it."""
    reference = means.anchors[jnp.argmax(means.present)][None, :]
    return reference, (means.anchors - reference) + means.offsets


def centred_means(means: ClassMeans, weights: jax.Array) -> jax.Array:
    """[K, D] class means minus their average under `weights` [K] (sum 1); zero rows where a weight is 0."""
    _, relative = relative_means(means)
    centred = relative - matmul(weights[None, :], relative)
    return jnp.where(weights[:, None] > 0, centred, 0)


def thin_svd(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Singular values [m], descending, and right singular vectors [m, D]; nan if `matrix` is not finite."""
    # Solvers differ in what they do with nan (some loop to their limit), so none of them sees one.
    finite = jnp.all(jnp.isfinite(matrix))
    _, values, vectors = jnp.linalg.svd(jnp.where(finite, matrix, 0), full_matrices=False)
    # LAPACK may return -0, which would turn an infinite condition number negative.
    return jnp.where(finite, jnp.abs(values), jnp.nan), jnp.where(finite, vectors, jnp.nan)


def resolved(values: jax.Array) -> jax.Array:
    """[m] which singular values `values`, descending, exceed the rounding error of the largest; nan counts as one.

    The floor is `ROUNDING` times the spacing of numbers near 1, 7.6e-6 in float32, for any number of rows.
    """
    return ~(values <= ROUNDING * jnp.finfo(values.dtype).eps * values[0])


def nearest_mean(features: jax.Array, means: ClassMeans) -> tuple[jax.Array, jax.Array]:
    """[N] class of the nearest mean in Euclidean distance, and whether every distance is a number.

    Absent classes are never the nearest; a tie goes to the lower class index.
    """
    reference, relative = relative_means(means)
    # argmin |g - m|^2 = argmax (g - r).(m - r) - |m - r|^2 / 2 for any r; an r inside the data keeps the
    # digits that a large common offset of the features would take.
    scores = matmul(features - reference, relative.T) - 0.5 * jnp.sum(relative**2, axis=1)[None, :]
    finite = jnp.all(jnp.isfinite(scores))
    return jnp.argmax(jnp.where(means.present[None, :], scores, -jnp.inf), axis=1), finite


def mean_squares(probe: Probe, one_hot: jax.Array, means: ClassMeans) -> jax.Array:
    """[K] mean squared distance of the members of each class to its mean; 0 for an absent class."""
    squares = jnp.sum(deviations(probe.features, probe.labels, means) ** 2, axis=1)
    return matmul(squares, one_hot) / jnp.maximum(one_hot.sum(0), 1)


def squared_distances_of_rows(first: jax.Array, second: jax.Array | None = None) -> jax.Array:
    """[K, K] squared distances of the rows of `first` [K, D], or of `first + second`, by explicit differences."""
    # Row by row: [K, K, D] differences at once would not fit for many classes.
    rows = (first, jnp.zeros_like(first) if second is None else second)

    def one(row: tuple[jax.Array, jax.Array]) -> jax.Array:
        return jnp.sum(((rows[0] - row[0][None, :]) + (rows[1] - row[1][None, :])) ** 2, axis=1)

    return lax.map(one, rows)


def principal_axes(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Singular values [m], descending, and right singular vectors [m, D] of the centred features [N, D].

    The values are relative to the largest absolute difference from the first row, so that no square leaves the
    range of float32. Equal rows, and features that are not finite, give nan.
    """
    # Differences from one row first: the mean of equal rows would be off by its rounding error.
    differences = features - features[:1]
    scaled = differences / jnp.max(jnp.abs(differences))
    centred = scaled - jnp.mean(scaled, axis=0, keepdims=True)
    finite = jnp.all(jnp.isfinite(centred))
    if centred.shape[0] > centred.shape[1]:
        # R of QR has the same singular values, at the price of a D x D decomposition, and none are squared.
        reduced = jnp.linalg.qr(jnp.where(finite, centred, 0), mode="r")
        centred = jnp.where(finite, reduced, jnp.nan)
    return thin_svd(centred)
