"""Features of inputs from outside the distribution: orthogonality NC5 and the NECO score.

Source: arXiv:2310.06823 (Ben Ammar et al., ICLR 2024), Equations 5 and 6, and its public code.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from collapse_jax.errors import require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.class_geometry import class_means, prepare, principal_axes, resolved
from collapse_jax.measures.estimators.permutation import (
    LESS,
    PERMUTATIONS,
    against_null,
    identity_first,
    null_variables,
    shuffles,
)
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.precision import at_least_float32, matmul

_NC5 = "mean over classes of |cosine of the class mean of the train features with the mean of the {} features|"
_NECO = "mean over the {} features of the fraction of their norm in the leading principal train directions"
VARIABLES = {
    "nc5_orthogonality": Variable("NC5", "1", _NC5.format("out-of-distribution")),
    "nc5_orthogonality_test": Variable("NC5, test features instead", "1", _NC5.format("test")),
    "neco": Variable("NECO score, in distribution", "1", _NECO.format("test (else train)")),
    "neco_ood": Variable("NECO score, out of distribution", "1", _NECO.format("out-of-distribution")),
    "neco_auroc": Variable(
        "NECO, area under the ROC curve",
        "1",
        "probability that an example of the distribution has the higher score",
    ),
    "neco_fpr95": Variable(
        "NECO, false positives at 95 %", "1", "fraction out of distribution above the score that 95 % inside reach"
    ),
}
_TAILS = {"nc5_orthogonality": LESS, "neco_fpr95": LESS}
_BROKEN = {
    "nc5_orthogonality": "labels permuted among the train examples",
    "neco_auroc": "scores permuted among the examples of both kinds",
    "neco_fpr95": "scores permuted among the examples of both kinds",
}
for _name, _broken in _BROKEN.items():
    VARIABLES |= null_variables({_name: VARIABLES[_name]}, _broken, _TAILS)


def ood(
    snapshot: Snapshot,
    *,
    directions: int | None = None,
    scaling: str = "none",
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Scalars:
    """How features of foreign inputs lie to those of the training classes; no units.

    * `nc5_orthogonality` = (1/K) sum_c |cos(mu_c, mu_ood)|, the class means mu_c of the train features and the mean
      mu_ood of the foreign ones, none of them centred; in [0, 1], towards 0 as NC5 holds.
      `nc5_orthogonality_test` has the mean of the test features in the place of mu_ood: what inputs of the
      distribution give. Features that are never negative have large cosines anyway: read one against the other.
    * NECO(x) = ||P g(x)|| / ||g(x)||, in [0, 1], with P the projection on the leading principal directions of the
      train features. `neco` and `neco_ood` are its means inside (test probe, else train) and outside.
    * `neco_auroc` = P(inside > outside) + P(equal) / 2. Chance: 1/2, whatever the scores.
    * `neco_fpr95` = fraction of foreign examples whose score reaches the largest threshold that at least 95 % of
      those inside reach. Chance: 0.95.

    `_null`, `_null_sd` and `_p` of `nc5_orthogonality` permute the train labels: class means that are all close to
    the mean of all train features. Those of the last two permute which of the examples come from outside; their
    scores stay.

    scaling "none" (default) is Equation 6 on the features as they are. "standard" divides features by their
    standard deviation after subtracting the mean, both of the train features, as the public code does for
    convolutional networks; it is then not unchanged by rotation. That code also multiplies by the largest logit
    for transformers, which is not done here. NC5 is never scaled.

    Limits:
      * K - 1 directions are what a collapsed network uses; with all D the score is 1 everywhere, and early in
        training a low score may only mean that K - 1 directions do not hold the features. Directions that the
        train features do not span, to 7.6e-6 of the widest in float32, are left out.
      * A feature vector of norm 0 has the score 0. Constant train features: NECO is nan. A mean of norm 0: NC5 nan.
      * Classes without a train member are left out of NC5. nan or infinite features make what reads them nan.

    Args:
      snapshot: `ood` (its labels are not read), `train`, `test` where it is there, `num_classes`.
      directions: of P, at least 1; None: K - 1, or 1 for a single class. More than min(N, D) are as many.
      scaling: "none" or "standard".
      permutations: of the null, at least 1.
      seed: of the permutations.

    Returns:
      The variables above; nothing without an `ood` probe. `nc5_orthogonality_test` needs `test`.
    """
    require_one_of("scaling", scaling, ("none", "standard"))
    if directions is None:
        directions = max(snapshot.num_classes - 1, 1)
    require_at_least("directions", directions, 1)
    require_at_least("permutations", permutations, 1)
    if snapshot.ood is None:
        return {}
    train, one_hot = prepare(snapshot.train, snapshot.num_classes)
    foreign = at_least_float32(snapshot.ood.features)
    inside = train.features if snapshot.test is None else at_least_float32(snapshot.test.features)
    directions_of = {"nc5_orthogonality": foreign}
    if snapshot.test is not None:
        directions_of["nc5_orthogonality_test"] = inside
    towards = {name: _unit_rows(_mean(features))[0] for name, features in directions_of.items()}
    reference, features = train.features, [inside, foreign]
    if scaling == "standard":
        centre = _mean(reference)
        deviation = jnp.sqrt(jnp.mean((reference - centre) ** 2, axis=0, keepdims=True))
        deviation = jnp.where(deviation > 0, deviation, 1)
        reference, *features = ((x - centre) / deviation for x in (reference, *features))
    values, axes = principal_axes(reference)
    axes = jnp.where(resolved(values)[:, None], axes, 0)[:directions]
    scores, foreign_scores = (_scores(x, axes) for x in features)
    known = jnp.isfinite(values[0])
    scores, foreign_scores = jnp.where(known, scores, jnp.nan), jnp.where(known, foreign_scores, jnp.nan)
    pooled = jnp.concatenate([scores, foreign_scores])

    def permuted(orders: tuple[jax.Array, jax.Array]) -> Scalars:
        of_labels, of_scores = orders
        means = class_means(train.features, train.labels[of_labels], one_hot[of_labels])
        units = _unit_rows(means.anchors + means.offsets)
        cosines = {name: jnp.abs(matmul(units, towards[name])) for name in towards}
        nc5 = {n: jnp.sum(jnp.where(means.present, c, 0)) / means.present.sum() for n, c in cosines.items()}
        return nc5 | _told_apart(*jnp.split(pooled[of_scores], [len(scores)]))

    keys = jax.random.split(jax.random.key(seed))
    kinds = (train.labels, jnp.zeros(len(pooled), jnp.int32))
    orders = [identity_first(shuffles(key, kind, permutations)[0]) for key, kind in zip(keys, kinds, strict=True)]
    found = lax.map(permuted, tuple(orders))
    result = {name: value[0] for name, value in found.items()}
    nulls = against_null(result, {name: found[name][1:] for name in _BROKEN}, _TAILS)
    return result | {"neco": jnp.mean(scores), "neco_ood": jnp.mean(foreign_scores)} | nulls


def _told_apart(inside: jax.Array, outside: jax.Array) -> Scalars:
    return {
        "neco_auroc": auroc(inside, outside),
        "neco_fpr95": false_positive_rate(inside, outside, 0.95),
    }


def auroc(inside: jax.Array, outside: jax.Array) -> jax.Array:
    """P(score inside > score outside) + P(equal) / 2 of scores [N] and [M]; nan if one of them is nan."""
    ordered = jnp.sort(outside)
    below = jnp.searchsorted(ordered, inside, side="left") + jnp.searchsorted(ordered, inside, side="right")
    area = jnp.mean(below / (2 * len(outside)), dtype=inside.dtype)
    return jnp.where(_any_nan(inside, outside), jnp.nan, area)


def false_positive_rate(inside: jax.Array, outside: jax.Array, recall: float) -> jax.Array:
    """Fraction of `outside` [M] at or above the largest threshold that a fraction `recall` of `inside` reaches."""
    threshold = jnp.sort(inside)[len(inside) - max(math.ceil(recall * len(inside) - 1e-9), 1)]
    rate = jnp.mean(outside >= threshold, dtype=inside.dtype)
    return jnp.where(_any_nan(inside, outside), jnp.nan, rate)


def _any_nan(*arrays: jax.Array) -> jax.Array:
    return jnp.any(jnp.stack([jnp.any(jnp.isnan(array)) for array in arrays]))


def _mean(features: jax.Array) -> jax.Array:
    return jnp.mean(features, axis=0, keepdims=True)


def _unit_rows(rows: jax.Array) -> jax.Array:
    """The rows divided by their norms; nan where that is 0."""
    # The largest entry first, so that squares neither overflow nor vanish.
    rows = rows / jnp.max(jnp.abs(rows), axis=1, keepdims=True)
    return rows / jnp.sqrt(jnp.sum(rows**2, axis=1, keepdims=True))


def _scores(features: jax.Array, axes: jax.Array) -> jax.Array:
    """[N] norm of the part of each row along the orthonormal `axes` [m, D], over the norm of the row; 0 for 0."""
    zero = jnp.all(features == 0, axis=1)
    parts = matmul(_unit_rows(jnp.where(zero[:, None], 1, features)), axes.T)
    return jnp.where(zero, 0, jnp.sqrt(jnp.sum(parts**2, axis=1)))


OOD = Measure("ood", ood, VARIABLES, needs=("train", "ood"))
