"""Geometry of neural collapse: within-class variance, RNC1, and NC1 to NC4.

Sources: arXiv:2509.20829 (RNC1, NC1, NC2 as a condition number), arXiv:2008.08186 (Papyan, Han and Donoho:
NC1 with a pseudo-inverse, equal norms, equal angles, self-duality NC3, nearest-centre agreement NC4),
arXiv:2410.04887 (Jacot et al.: the trace ratio).
"""

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot
from collapse_jax.measures.estimators.class_geometry import (
    ClassMeans,
    centred_means,
    class_means,
    deviations,
    mean_squares,
    nearest_mean,
    prepare,
    resolved,
    thin_svd,
)
from collapse_jax.measures.families.collapse_variables import VARIABLES
from collapse_jax.measures.precision import matmul


def collapse(snapshot: Snapshot) -> Scalars:
    r"""Measures how far the features of each class have collapsed, and how their means are arranged.

    With features g_i [N, D], classes c of n_c members and mean mu_c, mu_w = sum_c (n_c/N) mu_c, and M [K, D]
    the class means minus their unweighted average:

    * `within_class_variance` = Tr(Sigma_W) = (1/N) sum_i ||g_i - mu_{y_i}||^2
    * `between_class_variance` = Tr(Sigma_B) = sum_c (n_c/N) ||mu_c - mu_w||^2
    * `rnc1` = Tr(Sigma_W) / max_i ||g_i||^2, in [0, 1] around own means (arXiv:2509.20829)
    * `rnc1_mean_norm` = Tr(Sigma_W) / (mean_i ||g_i||)^2, not below `rnc1` (as that paper's plots compute it)
    * `rnc1_q95` = Tr(Sigma_W) / (95 % quantile of ||g_i||)^2, not below `rnc1`; a few large rows hardly move it
    * `nc1` = Tr(Sigma_W) / Tr(Sigma_B)
    * `nc1_pinv` = Tr(Sigma_W pinv(M^T M / K)) / K (arXiv:2008.08186)
    * `class_mean_rank` = how many directions of M `nc1_pinv` inverts, K-1 where it reads them all
    * `nc2_condition` = s_max / s_min of the uncentred class means; 1 when orthogonal with equal norms
    * `nc2_equinorm` = population standard deviation over mean of the K norms of the rows of M
    * `nc2_etf_error` = mean over c != c' of |cos(M_c, M_c') + 1/(K-1)|; 0 for a simplex equiangular tight
      frame, whose norms `nc2_equinorm` checks
    * `nc3_self_duality` = || W / ||W||_F - M^T / ||M||_F ||_F in [0, 2], W the head kernel [D, K]
    * `nc4_agreement` = fraction of i with argmin_c ||g_i - mu_c|| = argmax_k f_k(x_i)

    No suffix: train features. `_test`: test features, with means from the test set. `_test_around_train`:
    test features around the class means of the *train* set; here the between-class variance is that of the
    train means under the class frequencies of the test set, and what describes means alone (NC2, NC3,
    `nc1_pinv`) is not repeated. The norms in the three RNC1 are those of the features being measured.

    Variances scale with the square of the features; everything else is unchanged by scaling and (NC3: of
    features and head together) by rotation. No constant is added to a denominator. The average in M is
    unweighted so that M has rank K-1 at most for unequal classes too; the frequency-weighted average would
    hand the pseudo-inverse one more direction, nearly singular when classes are nearly balanced.

    Limits:
      * Classes without a member are left out of everything, and K is the number of those that have one. A
        test sample whose class has no train mean counts in the norms and in NC4, not in the variances.
      * `rnc1` reads one row alone in its denominator: that row times 3 makes it 3.5 times smaller, and nothing else
        has changed. `rnc1_q95` and `rnc1_mean_norm` are above 1 for features with heavy tails.
      * All features zero: the RNC1 are nan. All class means equal, or one class only: `nc1` is inf, or nan
        (0/0) when the within-class variance is zero too; `nc1_pinv`, `nc2_equinorm`, `nc2_etf_error` and
        `nc3_self_duality` are nan.
      * `nc1_pinv` inverts at most K-1 directions, and only singular values of M above 64 eps times the largest
        (7.6e-6 in float32): what float32 does not resolve is no direction. It then says nothing of the spread
        along the others, however small it makes the value; `class_mean_rank` below K-1 tells so.
      * `nc2_condition` is inf for D < K, and for means of which one depends on the others to 64 eps. One class
        only, or all means zero: nan.
      * NC4 gives a tie, in distance or in logits, to the lower class.
      * nan or infinite features make every variable that reads them nan; nan logits make NC4 nan. Features
        beyond about 10^18 overflow when squared in float32, and those below 10^-19 underflow.

    Args:
      snapshot: needs `num_classes`; half-precision features are measured in float32.

    Returns:
      The variables of `VARIABLES` that the snapshot allows: `_test*` needs `test`, NC3 needs `head_kernel`,
      NC4 needs the logits of the probe.
    """
    train, labels_one_hot = prepare(snapshot.train, snapshot.num_classes)
    train_means = class_means(train.features, train.labels, labels_one_hot)
    result = _spread(train, labels_one_hot, train_means)
    result |= _arrangement(train, train_means, snapshot.head_kernel)
    if snapshot.test is None:
        return result
    test, labels_one_hot = prepare(snapshot.test, snapshot.num_classes)
    test_means = class_means(test.features, test.labels, labels_one_hot)
    own = _spread(test, labels_one_hot, test_means) | _arrangement(test, test_means, snapshot.head_kernel)
    around_train = _spread(test, labels_one_hot, train_means)
    result |= {f"{name}_test": value for name, value in own.items()}
    return result | {f"{name}_test_around_train": value for name, value in around_train.items()}


def _spread(probe: Probe, one_hot: jax.Array, means: ClassMeans) -> Scalars:
    """The variables of `SPREAD`: features against the class centres `means`."""
    counts = jnp.where(means.present, one_hot.sum(0), 0)
    frequencies = counts / counts.sum()
    # Class by class first: a float32 sum loses digits with its length.
    within = jnp.sum(frequencies * mean_squares(probe, one_hot, means))
    between = jnp.sum(frequencies * jnp.sum(centred_means(means, frequencies) ** 2, axis=1))
    norms = jnp.sqrt(jnp.sum(probe.features**2, axis=1))
    result = {
        "within_class_variance": within,
        "between_class_variance": between,
        "rnc1": within / jnp.max(norms) ** 2,
        "rnc1_mean_norm": within / jnp.mean(norms) ** 2,
        "rnc1_q95": within / jnp.quantile(norms, 0.95) ** 2,
        "nc1": within / between,
    }
    if probe.logits is not None:
        nearest, finite = nearest_mean(probe.features, means)
        agreement = jnp.mean(nearest == jnp.argmax(probe.logits, axis=1), dtype=within.dtype)
        result["nc4_agreement"] = jnp.where(finite & ~jnp.any(jnp.isnan(probe.logits)), agreement, jnp.nan)
    return result


def _arrangement(probe: Probe, means: ClassMeans, head_kernel: jax.Array | None) -> Scalars:
    """The variables of `MEANS`: how the class means of the features lie to one another and to the head."""
    classes, dim = means.anchors.shape
    present = means.present
    count = present.sum()
    centred = centred_means(means, present / count)
    values, directions = thin_svd(centred)
    used = resolved(values) & (jnp.arange(values.size) < count - 1)
    # Sigma_B = M^T M / K has eigenvalues s^2 / K, so the two factors K of the definition cancel.
    projections = matmul(deviations(probe.features, probe.labels, means), directions.T)
    whitened = projections / jnp.where(used, values, 1)[None, :]
    nc1_pinv = jnp.mean(jnp.sum(jnp.where(used[None, :], whitened**2, 0), axis=1))

    uncentred = jnp.where(present[:, None], means.anchors + means.offsets, 0)
    spectrum, _ = thin_svd(uncentred)
    smallest = jnp.minimum(count, spectrum.size) - 1
    full_rank = resolved(spectrum)[smallest] & (count <= dim)
    # Where all are zero 0/0 is nan, as it is where one is nan.
    defined = full_rank | ~(spectrum[0] > 0)
    condition = jnp.where(defined, spectrum[0] / spectrum[smallest], jnp.inf)

    lengths = jnp.sqrt(jnp.sum(centred**2, axis=1))
    mean_length = lengths.sum() / count
    deviation = jnp.where(present, lengths - mean_length, 0)
    units = centred / jnp.where(present, lengths, 1)[:, None]
    pairs = present[:, None] & present[None, :] & ~jnp.eye(classes, dtype=bool)
    angle_errors = jnp.abs(matmul(units, units.T) + 1 / (count - 1))
    result = {
        "nc1_pinv": jnp.where(jnp.any(used), nc1_pinv, jnp.nan),
        "class_mean_rank": jnp.where(jnp.isfinite(values[0]), used.sum(), jnp.nan),
        "nc2_condition": jnp.where(count > 1, condition, jnp.nan),
        "nc2_equinorm": jnp.sqrt(jnp.sum(deviation**2) / count) / mean_length,
        "nc2_etf_error": jnp.sum(jnp.where(pairs, angle_errors, 0)) / pairs.sum(),
    }
    if head_kernel is not None:
        kernel = jnp.where(present[None, :], head_kernel.astype(centred.dtype), 0)
        difference = kernel / jnp.linalg.norm(kernel) - centred.T / jnp.linalg.norm(centred)
        result["nc3_self_duality"] = jnp.linalg.norm(difference)
    return result


COLLAPSE = Measure("collapse", collapse, VARIABLES)
