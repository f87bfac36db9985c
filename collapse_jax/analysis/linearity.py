"""Whether times lie on a line at all: the test of lack of fit, and the slopes between neighbouring values."""

from typing import NamedTuple

import numpy as np
from scipy.special import fdtrc

from collapse_jax.analysis import tobit

REJECTED = 0.05  # p below which a line is said to be rejected


class Linearity(NamedTuple):
    """How far times are from a line.

    Attributes:
      f: of lack of fit; nan where there is nothing to test.
      p: of it.
      places: [K - 1] x between neighbouring values, their mean.
      local: [K - 1] slope from one value to the next; nan next to one at which no time was seen.
    """

    f: float
    p: float
    places: np.ndarray
    local: np.ndarray


def linearity(x: np.ndarray, y: np.ndarray, censored: np.ndarray) -> Linearity:
    """Test a straight line against a mean of its own at each x, with the same scatter.

    F = ((s_line / s_means)^2 - 1) (n - k) / (k - 2) without censored points, the classical ratio of the lack of
    fit to the pure error, with n points at k values; F(k - 2, n - k) if the line is true and the points are
    independent. Points of one seed are not: what a seed adds at all x is in the pure error and not in the
    lack of fit, so the test then rejects too rarely rather than too often. With censored points the same of
    the likelihoods of both models, approximately: F = (exp(2 (L_means - L_line) / n) - 1) (n - m) / (k - 2),
    with n seen points at m of k values.

    Args:
      x: [R].
      y: [R], at least two of them seen at different x.
      censored: [R] True where y is a lower bound.
    """
    values, member = np.unique(x, return_inverse=True)
    places, seen = (values[1:] + values[:-1]) / 2, np.bincount(member[~censored], minlength=len(values)) > 0
    n, m, k = int((~censored).sum()), int(seen.sum()), len(values)
    # A mean without a time that was seen is infinite, and its points are as likely as can be: log 1 = 0.
    kept = seen[member]
    groups = (member[kept, None] == np.flatnonzero(seen)).astype(float)
    means = tobit.fit(groups, y[kept], censored[kept], np.ones((1, int(kept.sum()))))
    height = np.full(k, np.nan)
    height[seen] = means.coefficients[0]
    local = np.diff(height) / np.diff(values)
    if k < 3 or n <= m:
        return Linearity(np.nan, np.nan, places, local)
    design = np.stack([np.ones_like(x), x - x.mean()], axis=1)
    line = tobit.fit(design, y, censored, np.ones((1, len(x))))
    gain = max(2 * float(means.log_likelihood[0] - line.log_likelihood[0]), 0.0)
    f = float(np.expm1(gain / n) * (n - m) / (k - 2))
    return Linearity(f, float(fdtrc(k - 2, n - m, f)), places, local)
