"""A straight line through right-censored points, by maximum likelihood, for many weightings at once."""

import numpy as np
from scipy.special import log_ndtr

# Residual scale that no data can undercut (0.1 % of a time). It keeps the likelihood finite when the few
# uncensored points lie exactly on a line, and leaves the least-squares line unchanged.
FLOOR = 1e-3


def fit_line(
    x: np.ndarray, y: np.ndarray, censored: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximum-likelihood line y = intercept + slope x + sigma e, e ~ N(0, 1), with right-censoring (Tobit).

    log L = sum_observed w log N(y; a + b x, s) + sum_censored w log P(N(a + b x, s) > y). Without censored
    points this is least squares, in closed form. Otherwise Newton with step halving in Olsen's parameters
    (a/s, b/s, 1/s), in which log L is concave, so that there is one maximum. Source: Tobin 1958; Olsen,
    "Note on the uniqueness of the maximum likelihood estimator for the Tobit model", Econometrica 1978.

    Args:
      x: [R] where the points are.
      y: [R] their heights.
      censored: [R] True where y is a lower bound.
      weights: [B, R] one weighting of the points per fit, such as bootstrap counts.

    Returns:
      slope, intercept, sigma: [B]; nan where the observed points have fewer than two distinct x, because
      then the likelihood is maximised by an infinite slope.
    """
    x, y, weights = (np.asarray(a, np.float64) for a in (x, y, weights))
    out = np.full((3, len(weights)), np.nan)
    determined = _spread(x, np.where(censored, 0.0, weights)) > 0
    if not determined.any():
        return out[0], out[1], out[2]
    w = weights[determined]
    # Around the means the three parameters are nearly independent.
    x_mean, y_mean = x.mean(), y.mean()
    u, v = x - x_mean, y - y_mean
    slope, intercept, sigma = _least_squares(u, v, w)
    if (w[:, censored] > 0).any():
        slope, intercept, sigma = _newton(u, v, censored, w, (slope, intercept, sigma))
    out[:, determined] = slope, intercept + y_mean - slope * x_mean, sigma
    return out[0], out[1], out[2]


def _spread(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[B] whether each weighting sees two distinct x (largest minus smallest, 0 for none or one)."""
    high = np.where(weights > 0, x, -np.inf).max(axis=1)
    low = np.where(weights > 0, x, np.inf).min(axis=1)
    return np.where(high > low, 1.0, 0.0)


def _least_squares(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    total = w.sum(axis=1)
    x_mean, y_mean = w @ x / total, w @ y / total
    dx, dy = x - x_mean[:, None], y - y_mean[:, None]
    slope = (w * dx * dy).sum(axis=1) / (w * dx * dx).sum(axis=1)
    residual = dy - slope[:, None] * dx
    sigma = np.sqrt((w * residual**2).sum(axis=1) / total + FLOOR**2)
    return slope, y_mean - slope * x_mean, sigma


def _newton(
    x: np.ndarray,
    y: np.ndarray,
    censored: np.ndarray,
    w: np.ndarray,
    start: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    slope, intercept, sigma = start
    # z = (a + b x - y) / s, linear in theta = (a/s, b/s, 1/s), for observed and censored points alike.
    design = np.stack([np.ones_like(x), x, -y], axis=1)
    outer = (design[:, :, None] * design[:, None, :]).reshape(len(x), 9)
    observed_weight = w[:, ~censored].sum(axis=1)
    theta = np.stack([intercept, slope, np.ones_like(slope)], axis=1) / sigma[:, None]

    def log_likelihood(theta: np.ndarray) -> np.ndarray:
        z = theta @ design.T
        terms = np.where(censored, log_ndtr(z), -0.5 * z**2)
        gamma = np.where(theta[:, 2] > 0, theta[:, 2], 1.0)
        value = (w * terms).sum(axis=1) + observed_weight * (np.log(gamma) - 0.5 * (FLOOR * gamma) ** 2)
        return np.where(theta[:, 2] > 0, value, -np.inf)

    value = log_likelihood(theta)
    for _ in range(100):
        z = theta @ design.T
        hazard = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(z))
        gamma = theta[:, 2]
        gradient = (w * np.where(censored, hazard, -z)) @ design
        gradient[:, 2] += observed_weight * (1 / gamma - FLOOR**2 * gamma)
        curvature = ((w * np.where(censored, hazard * (z + hazard), 1.0)) @ outer).reshape(-1, 3, 3)
        curvature[:, 2, 2] += observed_weight * (1 / gamma**2 + FLOOR**2)
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
    return theta[:, 1] / theta[:, 2], theta[:, 0] / theta[:, 2], 1 / theta[:, 2]
