"""Angles of class means and class weights, their duality class by class, CDNV with another exponent.

Sources: arXiv:2008.08186 (Papyan, Han and Donoho: equal norms and equal angles, also of the classifier),
arXiv:2405.17767 (Wu and Papyan: uniform duality UNC3; its code has an exponent of the distance in CDNV).
"""

import jax
import jax.numpy as jnp

from collapse_jax.errors import require
from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.class_geometry import (
    centred_means,
    class_means,
    mean_squares,
    prepare,
    squared_distances_of_rows,
)
from collapse_jax.measures.precision import matmul
from collapse_jax.measures.splits import for_each_probe, of_each_probe

_TEXTS = {
    "nc2_equiangularity": (
        "NC2 (equal angles)",
        "1",
        "standard deviation over pairs of the cosine of centred class means",
    ),
    "nc3_cosine": ("NC3 (cosine)", "1", "mean over classes of the cosine of class weight and centred class mean"),
    "unc3": (
        "UNC3 (uniform duality)",
        "1",
        "standard deviation over classes of the cosine of class weight and centred class mean",
    ),
    "cdnv_power": (
        "CDNV, exponent of the distance",
        "feature^(2 - 2 exponent)",
        "mean over pairs of classes of (v_c + v_c') / (2 ||mu_c - mu_c'||^(2 exponent))",
    ),
}
_HEAD = {
    "nc2_equinorm_head": ("NC2 (equinorm), head", "standard deviation over mean of the norms of the class weights"),
    "nc2_equiangularity_head": (
        "NC2 (equal angles), head",
        "standard deviation over pairs of the cosine of class weights",
    ),
    "nc2_etf_error_head": ("NC2 (largest angle), head", "mean over pairs of |cosine of class weights + 1/(K-1)|"),
}
VARIABLES = for_each_probe({name: Variable(*text) for name, text in _TEXTS.items()}) | {
    name: Variable(title, "1", text) for name, (title, text) in _HEAD.items()
}


def angles(snapshot: Snapshot, *, exponent: float = 2.0) -> Scalars:
    r"""How equal angles and norms are, and how evenly weights point to their class means.

    With m_c the class means minus their unweighted average, w_c the columns of the head kernel, v_c = mean over
    class c of ||g_i - mu_c||^2, over unordered pairs c != c':

    * `nc2_equiangularity` = standard deviation of cos(m_c, m_c'); 0 for equal angles, be they those of a simplex or
      not: `nc2_etf_error` of `collapse` compares with -1/(K-1), its `nc2_equinorm` norms
    * `nc2_equinorm_head` = standard deviation over mean of ||w_c||, `nc2_equiangularity_head` as above of w_c,
      `nc2_etf_error_head` = mean of |cos(w_c, w_c') + 1/(K-1)|, with w_c as they are, not centred
    * `nc3_cosine` = mean over classes of cos(w_c, m_c), 1 for self-duality; `unc3` = their standard deviation,
      0 where all classes are equally well aligned
    * `cdnv_power` = mean of (v_c + v_c') / (2 ||mu_c - mu_c'||^(2p)), p the `exponent`; p = 1 is `cdnv` of
      `geometry`, a larger p weighs close pairs more

    Standard deviations are those of a population. The suffix `_test` is for the test features around their own
    class means; the head has none. All but `cdnv_power` are unchanged by scaling, and by rotating features and head
    together; `cdnv_power` scales with the features to the power 2 - 2p, so that weight decay alone moves it.

    What chance gives: independent directions in D dimensions have cosines of spread 1/sqrt(D), and so `unc3` and
    `nc2_equiangularity_head` of about 1/sqrt(D), `nc3_cosine` 0: equal angles come with width alone.
    `nc2_equiangularity` is small for two and three classes whatever is learnt (0 for two).

    Limits: classes without a member are left out of all, the head's too. Fewer than two classes, a class mean equal
    to the average of all, a zero class weight, two equal class means (`cdnv_power`: inf or nan) and features that
    are not finite give nan. Features beyond about 10^18 overflow when squared; with p = 2 beyond 10^9.

    Args:
      snapshot: features and labels of `train`, and of `test`; `head_kernel`; `num_classes`.
      exponent: p, above 0.

    Returns:
      The variables that the snapshot allows: those of the head, NC3 and UNC3 need `head_kernel`.
    """
    require(exponent > 0, "exponent", exponent, "must be above 0")
    result = of_each_probe(snapshot, lambda probe: _of_probe(probe, snapshot, exponent))
    if snapshot.head_kernel is not None:
        _, one_hot = prepare(snapshot.train, snapshot.num_classes)
        result |= _of_head(snapshot.head_kernel.T.astype(one_hot.dtype), one_hot.sum(0) > 0)
    return result


def _of_probe(probe: Probe, snapshot: Snapshot, exponent: float) -> Scalars:
    probe, one_hot = prepare(probe, snapshot.num_classes)
    means = class_means(probe.features, probe.labels, one_hot)
    present = means.present
    units = _units(centred_means(means, present / present.sum()), present)
    variances = mean_squares(probe, one_hot, means)
    squares = squared_distances_of_rows(means.anchors, means.offsets)
    ratios = (variances[:, None] + variances[None, :]) / (2 * squares**exponent)
    result = {
        "nc2_equiangularity": _spread(matmul(units, units.T), _pairs(present))[1],
        "cdnv_power": _spread(ratios, _pairs(present))[0],
    }
    if snapshot.head_kernel is not None:
        weights = _units(snapshot.head_kernel.T.astype(units.dtype), present)
        result["nc3_cosine"], result["unc3"] = _spread(jnp.sum(weights * units, axis=1), present)
    return result


def _of_head(weights: jax.Array, present: jax.Array) -> Scalars:
    lengths, units = jnp.sqrt(jnp.sum(weights**2, axis=1)), _units(weights, present)
    cosines, pairs = matmul(units, units.T), _pairs(present)
    mean, deviation = _spread(lengths, present)
    return {
        "nc2_equinorm_head": deviation / mean,
        "nc2_equiangularity_head": _spread(cosines, pairs)[1],
        "nc2_etf_error_head": _spread(jnp.abs(cosines + 1 / (present.sum() - 1)), pairs)[0],
    }


def _units(rows: jax.Array, present: jax.Array) -> jax.Array:
    """Rows [K, D] of length 1; nan where a class that is there has none."""
    return rows / jnp.where(present, jnp.sqrt(jnp.sum(rows**2, axis=1)), 1)[:, None]


def _pairs(present: jax.Array) -> jax.Array:
    return present[:, None] & present[None, :] & ~jnp.eye(len(present), dtype=bool)


def _spread(values: jax.Array, counted: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of the values that count."""
    mean = jnp.sum(jnp.where(counted, values, 0)) / counted.sum()
    return mean, jnp.sqrt(jnp.sum(jnp.where(counted, (values - mean) ** 2, 0)) / counted.sum())


ANGLES = Measure("angles", angles, VARIABLES)
