"""How far the parameters are from where they began."""

from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.precision import at_least_float32

VARIABLES = {
    "distance_from_initial": Variable(
        "Distance from initial parameters", "1", "||theta - theta_0||, all parameters as one vector"
    ),
    "relative_distance": Variable(
        "Relative distance from initial parameters", "1", "||theta - theta_0|| / ||theta_0||"
    ),
    "cosine_to_initial": Variable("Cosine to initial", "1", "<theta, theta_0> / (||theta|| ||theta_0||)"),
}


def distance(snapshot: Snapshot) -> Scalars:
    """Distance of the parameters from theta_0, the run's initial ones, biases included.

    * `distance_from_initial` = ||theta - theta_0||
    * `relative_distance` = ||theta - theta_0|| / ||theta_0||
    * `cosine_to_initial` = <theta, theta_0> / (||theta|| ||theta_0||)

    At step 0 they are 0, 0 and 1 (up to rounding). Pruned weights count as 0 in both vectors, so that what is gone
    has no distance. Running statistics of BatchNorm are no parameters. The distance has the scale of the
    weights: it grows with the initialisation scale and the number of parameters.

    Limits: all initial parameters zero: nan; nan parameters give nan.

    Args:
      snapshot: reads `params`, `initial` and, where it is there, `mask`.
    """
    now, first = _vector(snapshot.params, snapshot.mask), _vector(snapshot.initial, snapshot.mask)
    moved, size, began = (jnp.linalg.norm(v) for v in (now - first, now, first))
    return {
        "distance_from_initial": moved,
        "relative_distance": moved / began,
        "cosine_to_initial": jnp.dot(now, first) / (size * began),
    }


def _vector(params: Any, mask: Any) -> jax.Array:
    if mask is not None:
        params = jax.tree.map(lambda kept, leaf: jnp.where(kept, leaf, 0), mask, params)
    return jnp.concatenate([jnp.ravel(at_least_float32(leaf)) for leaf in jax.tree.leaves(params)])


DISTANCE = Measure("distance", distance, VARIABLES, needs=("parameters",))
