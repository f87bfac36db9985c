"""Pairwise geometry of classes: class-distance normalised variance, and how evenly class means fill a sphere.

Sources: arXiv:2112.15121 (Galanti, Gyorgy and Hutter: CDNV), arXiv:2303.06484 (Liu, Yu, Weller and Schoelkopf:
generalised neural collapse, minimal hyperspherical energy). The Riesz kernel of the latter has the exponent D - 2,
which leaves the range of float32 for D in the hundreds; here it has the exponents 0 (logarithm) and 1.
"""

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.class_geometry import (
    ClassMeans,
    centred_means,
    class_means,
    mean_squares,
    prepare,
    squared_distances_of_rows,
)
from collapse_jax.measures.splits import for_each_probe, of_each_probe

_ENERGY = "pairwise distance r of the directions of centred class means"
_TEXTS = {
    "cdnv": ("CDNV", "mean over pairs of classes of (v_c + v_c') / (2 ||mu_c - mu_c'||^2)"),
    "cdnv_max": ("CDNV, worst pair", "largest over pairs of classes of (v_c + v_c') / (2 ||mu_c - mu_c'||^2)"),
    "gnc2_log": ("G-NC2, log kernel", f"mean over pairs of -log r, {_ENERGY}"),
    "gnc2_log_std": ("G-NC2, log kernel, spread", f"standard deviation over pairs of -log r, {_ENERGY}"),
    "gnc2_log_excess": ("G-NC2, log kernel, excess", "gnc2_log minus its value for a simplex, the least possible"),
    "gnc2_inverse": ("G-NC2, inverse distance", f"mean over pairs of 1/r, {_ENERGY}"),
    "gnc2_inverse_std": ("G-NC2, inverse distance, spread", f"standard deviation over pairs of 1/r, {_ENERGY}"),
    "gnc2_inverse_excess": (
        "G-NC2, inverse distance, excess",
        "gnc2_inverse minus its value for a simplex, the least possible",
    ),
}
VARIABLES = for_each_probe({name: Variable(title, "1", text) for name, (title, text) in _TEXTS.items()})


def geometry(snapshot: Snapshot) -> Scalars:
    r"""Class-distance normalised variance and hyperspherical energy of the class means; no units.

    With class means mu_c, v_c = mean over class c of ||g_i - mu_c||^2, and u_c the direction of mu_c minus the
    unweighted average of the K means, all over unordered pairs c != c':

    * `cdnv` = mean, `cdnv_max` = largest of (v_c + v_c') / (2 ||mu_c - mu_c'||^2). 0 when classes are points;
      below 1/4 the balls of radius sqrt(v_c) of two equal classes do not touch. arXiv:2112.15121.
    * `gnc2_log` = mean, `gnc2_log_std` = standard deviation of -log ||u_c - u_c'||.
    * `gnc2_inverse`, `gnc2_inverse_std`: the same of 1 / ||u_c - u_c'||. arXiv:2303.06484.
    * `gnc2_log_excess` = gnc2_log + (1/2) log(2K/(K-1)), `gnc2_inverse_excess` = gnc2_inverse -
      sqrt((K-1)/(2K)): the distance to a simplex equiangular tight frame. Not below 0 (up to rounding) in any
      dimension, as the mean of ||u_c - u_c'||^2 is at most 2K/(K-1), and 0 for the simplex only, which needs
      D >= K-1. For more classes 0 is out of reach: there compare runs, and read the spread.

    The suffix `_test` is for the test features around their own class means. All are unchanged by scaling,
    rotation and shift of the features, and by the order of examples and classes.

    What chance gives: labels without any relation to the features have CDNV near n_c / 2 (n_c examples per
    class), and directions of means as even as random ones: G-NC2 says nothing about the features within a class.

    Limits:
      * Classes without a member are left out; K counts those that have one. Fewer than two: nan.
      * Two equal class means: CDNV is inf, or nan (0/0) when both classes are points. Two equal directions:
        G-NC2 is inf and its spread nan. A class mean equal to the average of all has no direction: G-NC2 is nan.
      * nan or infinite features give nan. Features beyond about 10^18 overflow when squared in float32, and
        differences of them below 10^-19 underflow.
      * Time grows with K^2 D, memory with K D.

    Args:
      snapshot: features and labels of `train`, and of `test` where it is there; `num_classes`.

    Returns:
      The eight variables, and their `_test` counterparts where there is a test probe.
    """
    return of_each_probe(snapshot, lambda probe: _geometry(probe, snapshot.num_classes))


def _geometry(probe: Probe, num_classes: int) -> Scalars:
    probe, one_hot = prepare(probe, num_classes)
    means = class_means(probe.features, probe.labels, one_hot)
    pairs = means.present[:, None] & means.present[None, :] & ~jnp.eye(num_classes, dtype=bool)
    variances = mean_squares(probe, one_hot, means)
    distances = squared_distances_of_rows(means.anchors, means.offsets)
    cdnv = (variances[:, None] + variances[None, :]) / (2 * distances)
    largest = jnp.max(jnp.where(pairs, cdnv, 0))
    result = {"cdnv": _mean(cdnv, pairs), "cdnv_max": jnp.where(jnp.any(pairs), largest, jnp.nan)}
    return result | _energies(means, pairs)


def _energies(means: ClassMeans, pairs: jax.Array) -> Scalars:
    count = means.present.sum()
    centred = centred_means(means, means.present / count)
    units = centred / jnp.where(means.present, jnp.sqrt(jnp.sum(centred**2, axis=1)), 1)[:, None]
    distances = jnp.sqrt(squared_distances_of_rows(units))
    simplex = jnp.sqrt(2 * count / (count - 1))
    kernels = {"log": (-jnp.log(distances), -jnp.log(simplex)), "inverse": (1 / distances, 1 / simplex)}
    result = {}
    for name, (values, least) in kernels.items():
        mean = _mean(values, pairs)
        result[f"gnc2_{name}"] = mean
        result[f"gnc2_{name}_std"] = jnp.sqrt(_mean((values - mean) ** 2, pairs))
        result[f"gnc2_{name}_excess"] = mean - least
    return result


def _mean(values: jax.Array, pairs: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(pairs, values, 0)) / pairs.sum()


GEOMETRY = Measure("geometry", geometry, VARIABLES)
