"""The search of arXiv:2412.09810 by Bayesian optimisation, for one network and one distortion.

Objective, box and evaluations as the paper and its code have them: 2 probes, 10 random points, 50 of the optimiser;
tau in [0, 1] linear, Delta in [1e-3, 1] logarithmic; infeasible points count as -300,000 bytes. A point can be
evaluated operation by operation, as the code does it (singular values anew for the loss and for the bytes, ranks
that are Python integers), or in one compiled call (the same points, for sizes alone).
"""

import bz2
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

BOX, INFEASIBLE = (1e-3, 1.0), -3e5
PROBES = ((0.0, 1.0), (0.1, 0.98))  # (position of Delta in its box, tau)
RANDOM, GUIDED = 10, 50
Point = Callable[[float, float], tuple[float, Callable[[], int]]]  # (tau, Delta) -> loss, and the bytes if asked


def bayesian(point: Point, began: float, distortion: float, seed: int = 0) -> int:
    """Return the smallest size of the feasible points that Bayesian optimisation finds; -1 if there is none."""
    import bayes_opt

    feasible: list[int] = []

    def objective(position: float, tau: float) -> float:
        width = float(np.exp(np.log(BOX[0]) + position * np.log(BOX[1] / BOX[0])))
        loss, size = point(tau, width)
        if not abs(loss - began) < distortion:
            return INFEASIBLE
        feasible.append(size())
        return -float(feasible[-1])

    bounds = {"position": (0.0, 1.0), "tau": (0.0, 1.0)}
    optimiser = bayes_opt.BayesianOptimization(objective, bounds, random_state=seed, verbose=0)
    for position, tau in PROBES:
        optimiser.probe({"position": position, "tau": tau}, lazy=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimiser.maximize(init_points=RANDOM, n_iter=GUIDED)
    return min(feasible, default=-1)


def eager(params: Any, loss: Callable[[Any], jax.Array]) -> Point:
    """Points evaluated operation by operation."""

    def quantised(array: jax.Array, width: float) -> jax.Array:
        rounded = jnp.round(array / width) * width
        return jnp.where(rounded == 0, 0.0, rounded)

    def parts(leaf: jax.Array, tau: float, width: float) -> tuple[jax.Array, ...]:
        if leaf.ndim < 2:
            return (quantised(leaf, width),)
        left, values, right = jnp.linalg.svd(leaf, full_matrices=False)
        sums = jnp.cumsum(values)
        k = min(int(jnp.searchsorted(sums, tau * sums[-1])) + 1, len(values))
        m, n = leaf.shape
        if k * (m + n) >= m * n:
            return (quantised(leaf, width),)
        return quantised(left[:, :k] @ jnp.diag(values[:k]), width), quantised(right[:k], width)

    def whole(leaf: jax.Array, tau: float, width: float) -> jax.Array:
        told = parts(leaf, tau, width)
        coarse = told[0] @ told[1] if len(told) == 2 else told[0]
        if bool(jnp.any(jnp.isnan(coarse))):
            raise FloatingPointError
        return coarse

    def point(tau: float, width: float) -> tuple[float, Callable[[], int]]:
        value = float(loss(jax.tree.map(lambda leaf: whole(leaf, tau, width), params)))

        def size() -> int:
            told = [array for leaf in jax.tree.leaves(params) for array in parts(leaf, tau, width)]
            return len(bz2.compress(b"".join(np.asarray(array).astype("<f4").tobytes() for array in told)))

        return value, size

    return point
