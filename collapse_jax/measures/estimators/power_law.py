"""Fit of a power law to the tail of a sample, the beginning of the tail included (Clauset, Shalizi and Newman)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

LEAST_TAIL = 3  # values from the beginning of a tail on
LEAST_CHOICES = 2  # beginnings to choose from


class PowerLaw(NamedTuple):
    """A density proportional to x^-alpha from `begin` on; all nan where there is none.

    Attributes:
      alpha: maximum likelihood, 1 + n / sum log(x / begin).
      begin: the value x_min that makes `distance` smallest.
      distance: Kolmogorov and Smirnov's, as the source computes it.
      size: n, values in the tail.
    """

    alpha: jax.Array
    begin: jax.Array
    distance: jax.Array
    size: jax.Array

    @property
    def error(self) -> jax.Array:
        """Standard error of alpha for a given beginning, (alpha - 1) / sqrt(n)."""
        return (self.alpha - 1) / jnp.sqrt(self.size)


def fit_power_law(values: jax.Array, used: jax.Array) -> PowerLaw:
    """Fit the tail of those `values` [m] that are `used` [m], all of them positive (arXiv:0706.1062).

    Each value is tried as the beginning, but for the largest two; that one is taken whose fit is nearest to the
    tail: D = max_j |F(x_j) - j / n| over its values x_0 < x_1 < ..., F the fitted distribution. nan with fewer than
    four values or where one is not finite.

    Time and memory grow with m^2.
    """
    total = len(values)
    order = jnp.sort(jnp.where(used, values, 0))
    logs = jnp.log(jnp.where(order > 0, order, 1))
    places = jnp.arange(total)
    above = total - places
    # [m, m] log(x_j / x_i) of the tail that begins at i; differences first, which keeps the digits.
    inside = places[None, :] >= places[:, None]
    ratios = jnp.where(inside, logs[None, :] - logs[:, None], 0)
    sums = jnp.sum(ratios, axis=1)
    rates = above / sums  # alpha - 1
    empirical = (places[None, :] - places[:, None]) / above[:, None]
    fitted = -jnp.expm1(-rates[:, None] * ratios)
    distances = jnp.max(jnp.where(inside, jnp.abs(fitted - empirical), 0), axis=1)
    choices = (order > 0) & (above >= LEAST_TAIL) & (sums > 0)
    best = jnp.argmin(jnp.where(choices, distances, jnp.inf))
    defined = (jnp.sum(choices) >= LEAST_CHOICES) & jnp.all(jnp.isfinite(values))
    found = (1 + rates[best], order[best], distances[best], above[best].astype(values.dtype))
    return PowerLaw(*(jnp.where(defined, value, jnp.nan) for value in found))
