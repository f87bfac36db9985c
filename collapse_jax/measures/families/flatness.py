"""Flatness of the minimum: expected sharpness, trace and extreme eigenvalues of the Hessian, among what was kept.

Source: arXiv:2205.07320 (Sakamoto and Sato: lottery tickets and PAC-Bayes), for the Hessian Hutchinson (1989) and
Lanczos (1950).
"""

import math

import jax
import jax.numpy as jnp

from collapse_jax.errors import require
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.curvature import extreme_eigenvalues, hessian_product, traces
from collapse_jax.measures.estimators.surviving import Surviving, is_there
from collapse_jax.measures.options import require_at_least

SIGMA = math.log1p(math.exp(-4.0))  # softplus(-4) = 0.018150

VARIABLES = {
    "density": Variable("Density", "1", "share of the weights, elements of kernels, that was not pruned"),
    "distance_per_weight": Variable(
        "Distance from initial, per weight", "1", "||theta - theta_0|| / sqrt(number of parameters not pruned)"
    ),
    "expected_sharpness": Variable(
        "Expected sharpness", "loss", "mean over draws of L(theta + sigma noise) - L(theta)"
    ),
    "expected_sharpness_error": Variable(
        "Expected sharpness, error", "loss", "standard deviation of expected_sharpness over draws / sqrt(draws)"
    ),
    "expected_sharpness_01": Variable(
        "Expected sharpness, 0-1",
        "1",
        "the same of the train error: share of examples that are misclassified",
    ),
    "hessian_trace": Variable("Trace of the Hessian", "loss", "mean over probes v of random signs of v^T H v"),
    "hessian_trace_error": Variable(
        "Trace of the Hessian, error", "loss", "standard deviation of v^T H v over probes / sqrt(probes)"
    ),
    "hessian_top": Variable("Largest eigenvalue of the Hessian", "loss", "highest Ritz value of Lanczos"),
    "hessian_bottom": Variable("Lowest eigenvalue of the Hessian", "loss", "lowest Ritz value of Lanczos"),
}


def flatness(
    snapshot: Snapshot, *, sigma: float = SIGMA, draws: int = 30, probes: int = 20, lanczos: int = 30, seed: int = 0
) -> Scalars:
    r"""How the training loss rises around the parameters, in the directions that were not pruned.

    L is the mean loss of the train set, m the mask, H the Hessian of L among the directions with m = 1, biases
    and scales of normalisation among them:

    * `density`: kept weights / weights; 1 for a network never pruned
    * `distance_per_weight` = ||m (theta - theta_0)|| / sqrt(number of parameters with m = 1)
    * `expected_sharpness` = E L(theta + sigma m e) - L(theta), e standard normal; `_01` the same of the 0-1 error
    * `hessian_trace` = tr H by Hutchinson's estimator
    * `hessian_top`, `hessian_bottom`: extreme eigenvalues by Lanczos, so that a network at a saddle shows both
      (power iteration finds the one of larger magnitude, whatever its sign)

    For small sigma `expected_sharpness` is sigma^2 tr H / 2.

    Limits: none of them is invariant: a ReLU network keeps its outputs where one layer is doubled and the next is
    halved, and all of these change. Compare runs of equal scale, or with their norms. For ReLU the Hessian leaves
    out the kinks. Eigenvalues are Ritz values: too low for the highest, too high for the lowest, by little after 30
    steps where they stand apart from the bulk. The draws are the same for all runs and steps. With BatchNorm the
    running statistics are held.

    Args:
      snapshot: reads `params`, `initial`, `mask`, `network`, `loss` and the examples and labels of `train`.
      sigma: standard deviation of the noise; softplus(-4) in the authors' code.
      draws: of noise.
      probes: vectors of random signs.
      lanczos: products of the Hessian that Lanczos takes.
      seed: of noise, probes and the first vector of Lanczos.

    Returns:
      The variables; nothing where there is no network with examples and loss.
    """
    require(sigma > 0, "sigma", sigma, "must be above 0")
    for name, value in (("draws", draws), ("probes", probes), ("lanczos", lanczos)):
        require_at_least(name, value, 1)
    if not is_there(snapshot):
        return {}
    network = Surviving(snapshot)
    theta, kept = network.theta, network.kept
    noise, signs, start = jax.random.split(jax.random.key(seed), 3)

    def shaken(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        moved = theta + sigma * kept * jax.random.normal(key, theta.shape, theta.dtype)
        return network.evaluated(moved)

    (loss, error), (losses, errors) = network.evaluated(theta), jax.lax.map(shaken, jax.random.split(noise, draws))
    product = hessian_product(network.loss, theta, kept)
    found = traces(product, kept, signs, probes)
    low, high = extreme_eigenvalues(product, kept * jax.random.normal(start, theta.shape, theta.dtype), lanczos)
    return {
        "density": 1 - network.pruned / max(network.weights, 1),
        "distance_per_weight": jnp.linalg.norm(theta - network.initial) / jnp.sqrt(jnp.sum(kept)),
        "expected_sharpness": jnp.mean(losses) - loss,
        "expected_sharpness_error": _error(losses),
        "expected_sharpness_01": jnp.mean(errors) - error,
        "hessian_trace": jnp.mean(found),
        "hessian_trace_error": _error(found),
        "hessian_top": high,
        "hessian_bottom": low,
    }


def _error(values: jax.Array) -> jax.Array:
    """Standard error of a mean; nan of one value."""
    return jnp.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else jnp.full((), jnp.nan)


FLATNESS = Measure("flatness", flatness, VARIABLES, needs=("train", "parameters"))
