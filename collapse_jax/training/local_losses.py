"""Losses of single blocks that look at embeddings of the examples rather than at logits, and nHSIC of a batch."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from collapse_jax.measures.estimators.kernels import smoother, squared_distances
from collapse_jax.training.local_heads import rows_of, spread_of

TEMPERATURE, BASE_TEMPERATURE = 0.1, 0.07
TINY = 1e-12
GOODNESS, MARKED_VIEWS = 2.0, 3  # the threshold of forward-forward, and with right, wrong and no labels
SIGMA, EPSILON = 5.0, 1e-5  # of nHSIC, mode "reference" of the measure

Weights = jax.Array | None


@dataclasses.dataclass(frozen=True)
class Embedding:
    """A loss of embeddings.

    Attributes:
      function: (embeddings [N, D], labels [N], weights [N] of 0 and 1 or None) -> scalar.
      views: how many augmented copies of a batch it is taken of, one below the other.
      marked: whether the first of them has the labels in its pixels and the second wrong ones (`augment.marked`);
        the last, of which the classifier of the network is trained, has none.
      bare: what it takes of the output of a block without a head: [N, ...] -> embeddings.
    """

    function: Callable[[jax.Array, jax.Array, Weights], jax.Array]
    views: int = 1
    marked: bool = False
    bare: Callable[[jax.Array], jax.Array] = rows_of


def _pairs(weights: Weights, count: int, dtype: jnp.dtype) -> jax.Array:
    """Return [N, N], 1 where both examples count."""
    w = jnp.ones(count, dtype) if weights is None else weights.astype(dtype)
    return w[:, None] * w[None, :]


def _same(labels: jax.Array) -> jax.Array:
    return labels[:, None] == labels[None, :]


def unit_rows(rows: jax.Array) -> jax.Array:
    """Divide each row by sqrt(|row|^2 + 1e-12), so that a row of zeros has a slope."""
    return rows / jnp.sqrt(jnp.sum(rows**2, axis=1, keepdims=True) + TINY)


def similarity_matching(embeddings: jax.Array, labels: jax.Array, weights: Weights) -> jax.Array:
    """Return the mean of (S_ij - [y_i = y_j])^2 over all pairs of examples (Noekland & Eidnes 2019, 1901.06656).

    S = clip(F F^T, -1, 1), with the rows of F centred over the features and of unit length.
    """
    rows = unit_rows(embeddings - jnp.mean(embeddings, axis=1, keepdims=True))
    similarity = jnp.clip(rows @ rows.T, -1, 1)
    pairs = _pairs(weights, len(labels), rows.dtype)
    return jnp.sum(pairs * (similarity - _same(labels).astype(rows.dtype)) ** 2) / jnp.sum(pairs)


def supervised_contrastive(embeddings: jax.Array, labels: jax.Array, weights: Weights) -> jax.Array:
    """Return the mean over anchors i of -(T / T_0) mean_p log(exp(s_ip / T) / sum_{k != i} exp(s_ik / T)).

    Positives p are the other examples of the class, s = F F^T of rows of unit length, T = 0.1, T_0 = 0.07 (Khosla
    et al. 2020, 2004.11362; their code). An anchor without a positive does not count.
    """
    rows = unit_rows(embeddings)
    scores = rows @ rows.T / TEMPERATURE
    others = _pairs(weights, len(labels), rows.dtype) * (1 - jnp.eye(len(labels), dtype=rows.dtype))
    # Scores are at most 1 / T, so that this leaves no exponential infinite.
    sums = jnp.sum(others * jnp.exp(scores - 1 / TEMPERATURE), axis=1, keepdims=True)
    log_probability = scores - 1 / TEMPERATURE - jnp.log(sums + TINY)
    positives = others * _same(labels)
    count = jnp.sum(positives, axis=1)
    each = jnp.sum(positives * log_probability, axis=1) / jnp.maximum(count, 1)
    return -(TEMPERATURE / BASE_TEMPERATURE) * jnp.sum(each) / jnp.maximum(jnp.sum(count > 0), 1)


def forward_forward(rows: jax.Array, labels: jax.Array, weights: Weights) -> jax.Array:
    """Return the mean of log(1 + e^(theta - g(right))) + log(1 + e^(g(wrong) - theta)) (Hinton 2022, 2212.13345).

    g is the goodness of an example, the mean square of its outputs, theta = 2 (code of arXiv:2402.09050); of three
    views the first carries the right label, the second a wrong one, and the third has no part.
    """
    right, wrong, _ = jnp.split(jnp.mean(rows**2, axis=1), MARKED_VIEWS)
    each = jax.nn.softplus(GOODNESS - right) + jax.nn.softplus(wrong - GOODNESS)
    w = jnp.ones_like(each) if weights is None else weights[: len(each)].astype(each.dtype)
    return jnp.sum(w * each) / jnp.sum(w)


def batch_nhsic(first: jax.Array, second: jax.Array) -> jax.Array:
    """Return trace(R_A R_B) of two sets of N rows: `nhsic`, mode "reference", of one batch, with a gradient."""

    def smoothed(rows: jax.Array) -> jax.Array:
        rows = rows.reshape(len(rows), -1)
        kernel = jnp.expm1(-squared_distances(rows) / (2 * SIGMA**2 * rows.shape[1]))
        return smoother(kernel, EPSILON * len(rows), one_sided=True)

    return jnp.sum(smoothed(first) * smoothed(second).T)


EMBEDDINGS: dict[str, Embedding] = {
    "similarity": Embedding(similarity_matching, bare=spread_of),
    "supervised_contrastive": Embedding(supervised_contrastive, views=2),
    "forward_forward": Embedding(forward_forward, MARKED_VIEWS, marked=True),
}
