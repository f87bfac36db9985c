"""Linear models of right-censored points, by maximum likelihood, for many weightings at once."""

from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr

# Residual scale that no data can undercut (0.1 % of a time). It keeps the likelihood finite when the few
# uncensored points lie exactly on a line, and leaves the least-squares line unchanged.
FLOOR = 1e-3


class Fit(NamedTuple):
    """A linear model, one for each weighting.

    Attributes:
      coefficients: [B, P].
      sigma: [B] residual scale.
      log_likelihood: [B] up to a constant that depends on the weights alone.
    """

    coefficients: np.ndarray
    sigma: np.ndarray
    log_likelihood: np.ndarray


def fit_line(
    x: np.ndarray, y: np.ndarray, censored: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximum-likelihood line y = intercept + slope x + sigma e, e ~ N(0, 1), with right-censoring (Tobit).

    See `fit`.

    Args:
      x: [R] where the points are.
      y: [R] their heights.
      censored: [R] True where y is a lower bound.
      weights: [B, R] one weighting of the points per fit, such as 0 for those that are left out.

    Returns:
      slope, intercept, sigma: [B]; nan where the observed points have fewer than two distinct x, because
      then the likelihood is maximised by an infinite slope.
    """
    x, y, weights = (np.asarray(a, np.float64) for a in (x, y, weights))
    out = np.full((3, len(weights)), np.nan)
    determined = _spread(x, np.where(censored, 0.0, weights)) > 0
    if determined.any():
        # Around its mean the parameters are nearly independent.
        centre = x.mean()
        found = fit(np.stack([np.ones_like(x), x - centre], axis=1), y, censored, weights[determined])
        intercept, slope = found.coefficients.T
        out[:, determined] = slope, intercept - slope * centre, found.sigma
    return out[0], out[1], out[2]


def fit(design: np.ndarray, y: np.ndarray, censored: np.ndarray, weights: np.ndarray) -> Fit:
    """Maximum-likelihood model y = design @ coefficients + sigma e, e ~ N(0, 1), with right-censoring.

    log L = sum_observed w log N(y; mu, s) + sum_censored w log P(N(mu, s) > y). Without censored points this is
    least squares, in closed form. Otherwise Newton with step halving in Olsen's parameters (coefficients / s,
    1 / s), in which log L is concave, so that there is one maximum. Source: Tobin 1958; Olsen, "Note on the
    uniqueness of the maximum likelihood estimator for the Tobit model", Econometrica 1978.

    Args:
      design: [R, P], of full rank on the observed points of each weighting.
      y: [R].
      censored: [R] True where y is a lower bound.
      weights: [B, R].
    """
    shift = y.mean()
    start = _least_squares(design, y - shift, weights)
    found = _newton(design, y - shift, censored, weights, start)
    # The models here all hold a constant, as a column or as the sum of their columns.
    constant = np.linalg.lstsq(design, np.ones(len(y)), rcond=None)[0]
    return found._replace(coefficients=found.coefficients + shift * constant)


def _spread(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[B] whether each weighting sees two distinct x (largest minus smallest, 0 for none or one)."""
    high = np.where(weights > 0, x, -np.inf).max(axis=1)
    low = np.where(weights > 0, x, np.inf).min(axis=1)
    return np.where(high > low, 1.0, 0.0)


def _least_squares(design: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    normal = np.einsum("br,rp,rq->bpq", w, design, design)
    coefficients = np.linalg.solve(normal, np.einsum("br,rp,r->bp", w, design, y)[..., None])[..., 0]
    residual = y - coefficients @ design.T
    return coefficients, np.sqrt((w * residual**2).sum(axis=1) / w.sum(axis=1) + FLOOR**2)


def _newton(
    design: np.ndarray,
    y: np.ndarray,
    censored: np.ndarray,
    w: np.ndarray,
    start: tuple[np.ndarray, np.ndarray],
) -> Fit:
    coefficients, sigma = start
    # z = (mu - y) / s, linear in theta = (coefficients / s, 1 / s), for observed and censored points alike.
    linear = np.concatenate([design, -y[:, None]], axis=1)
    size = linear.shape[1]
    outer = (linear[:, :, None] * linear[:, None, :]).reshape(len(y), size * size)
    observed_weight = w[:, ~censored].sum(axis=1)
    theta = np.concatenate([coefficients, np.ones_like(sigma)[:, None]], axis=1) / sigma[:, None]

    def log_likelihood(theta: np.ndarray) -> np.ndarray:
        z = theta @ linear.T
        terms = np.where(censored, log_ndtr(z), -0.5 * z**2)
        gamma = np.where(theta[:, -1] > 0, theta[:, -1], 1.0)
        value = (w * terms).sum(axis=1) + observed_weight * (np.log(gamma) - 0.5 * (FLOOR * gamma) ** 2)
        return np.where(theta[:, -1] > 0, value, -np.inf)

    value = log_likelihood(theta)
    for _ in range(100 if (w[:, censored] > 0).any() else 0):
        z = theta @ linear.T
        hazard = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(z))
        gamma = theta[:, -1]
        gradient = (w * np.where(censored, hazard, -z)) @ linear
        gradient[:, -1] += observed_weight * (1 / gamma - FLOOR**2 * gamma)
        curvature = ((w * np.where(censored, hazard * (z + hazard), 1.0)) @ outer).reshape(-1, size, size)
        curvature[:, -1, -1] += observed_weight * (1 / gamma**2 + FLOOR**2)
        step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
        # Newton decrement: twice the log likelihood still to be gained.
        open_rows = (step * gradient).sum(axis=1) > 1e-12
        if not open_rows.any():
            break
        scale = np.where(open_rows, 1.0, 0.0)
        for _ in range(40):
            trial = theta + scale[:, None] * step
            trial_value = log_likelihood(trial)
            worse = ~(trial_value >= value) & (scale > 0)
            if not worse.any():
                break
            scale = np.where(worse, 0.5 * scale, scale)
        # A row that found no better point is at its maximum up to rounding.
        better = trial_value > value
        if not better.any():
            break
        theta = np.where(better[:, None], trial, theta)
        value = np.where(better, trial_value, value)
    return Fit(theta[:, :-1] / theta[:, -1:], 1 / theta[:, -1], value)
