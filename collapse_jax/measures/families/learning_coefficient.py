"""Local learning coefficient (LLC): how fast the volume of parameters of low loss grows around those of a run.

Sources: Watanabe, Algebraic Geometry and Statistical Learning Theory (2009); arXiv:2308.12108 (Lau, Furman, Wang,
Murfet and Wei: the local estimate by stochastic gradient Langevin dynamics).
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

from collapse_jax.errors import require
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.precision import at_least_float32

VARIABLES = {
    "llc": Variable(
        "Local learning coefficient", "1", "N beta (mean of L(w) over SGLD chains around the parameters - L)"
    ),
    "llc_error": Variable(
        "Local learning coefficient, error", "1", "standard deviation of llc over chains / sqrt(number of chains)"
    ),
    "llc_drift": Variable(
        "Local learning coefficient, drift", "1", "llc of the second half of the draws minus that of the first half"
    ),
}


def learning_coefficient(
    snapshot: Snapshot,
    *,
    chains: int = 4,
    burn_in: int = 100,
    draws: int = 200,
    step_size: float = 1e-5,
    localisation: float = 100.0,
    inverse_temperature: float = 0.0,
    batch_size: int = 100,
    seed: int = 0,
) -> Scalars:
    r"""Estimate the learning coefficient at the parameters w* by Langevin chains that begin there.

    With L(w) the mean loss of the N train examples and gamma the localisation, each chain moves by

        w <- w - (e / 2) (N beta grad L_B(w) + gamma (w - w*)) + sqrt(e) noise,

    L_B being the mean over a batch of examples drawn anew at each step, and so samples (for small e) the density
    proportional to exp(-N beta L(w) - gamma ||w - w*||^2 / 2):

    * `llc` = N beta (mean over draws and chains of L_B(w) - L(w*)), beta = 1 / log N
    * `llc_error` = standard deviation over chains / sqrt(chains): of the sampling, not of the examples
    * `llc_drift` = the same of the second half of the draws minus that of the first: far from 0 against the error,
      the chains have not settled

    What theory says: for a loss that is minus a log-likelihood and w* a minimum, N beta (E L - L(w*)) tends to the
    learning coefficient lambda, as N grows: d/2 for d parameters at a regular minimum, less at a singular one; it
    does not change with the parameters' coordinates. The squared error without 1/2 is one, of unit variance 1/2.
    What chance gives: 0 for parameters that the loss does not depend on; a regular minimum with curvatures h_i has
    sum_i a_i / (2 (a_i + gamma) (1 - e (a_i + gamma) / 4)), a_i = N beta h_i, so that directions flatter than
    gamma / (N beta) are not counted, and none is where e (a_i + gamma) >= 4: there the chain diverges.

    Limits: values depend on all settings, by orders of magnitude in e, gamma and the number of draws (they are
    recorded with the results): compare runs and steps under equal settings only, and choose e so that halving it
    changes nothing. Flat directions settle in 2 / (e gamma) steps: 2000 with the defaults, which are chosen for
    their time and stop before. Where `llc_drift` is not small the chains are still spreading, and the value is one
    of a time, not of a density. Early in training curvatures can be so large that every chain diverges. Before
    training has converged w* is no minimum, and `llc` can be negative. If the loss of any step of a chain is not
    finite, or the parameters are not, all values are nan; one chain has no error, one draw no drift. Pruned weights
    stay. With BatchNorm the running statistics are held, or taken of each batch, as the run evaluates. A step of a
    chain costs as much as one of training: (burn_in + draws) x chains of them.

    Calibration (benchmarks/results/learning_coefficient.txt): regular quadratics, w^4 (1/4), w_1^2 w_2^2 and
    reduced-rank regressions.

    Args:
      snapshot: reads `params`, `network`, `loss`, `mask` and the examples and labels of `train`.
      chains: number of chains, taken side by side.
      burn_in: steps of each chain that are not counted.
      draws: steps of each chain that are.
      step_size: e.
      localisation: gamma.
      inverse_temperature: beta; 0 means 1 / log N.
      batch_size: examples per step; 0, or N and more: all of them.
      seed: of the chains, which are the same for all runs and steps.

    Returns:
      The three variables; nothing without examples and loss.
    """
    for name, value, least in (("chains", chains, 1), ("burn_in", burn_in, 0), ("draws", draws, 1)):
        require_at_least(name, value, least)
    require_at_least("batch_size", batch_size, 0)
    require(step_size > 0, "step_size", step_size, "must be above 0")
    train, per_example = snapshot.train, snapshot.loss
    if train.examples is None or per_example is None:
        return {}
    examples, labels = train.examples, train.labels
    count = len(labels)
    heat = count * (inverse_temperature or 1 / math.log(count))
    centre, restore = ravel_pytree(jax.tree.map(at_least_float32, snapshot.params))
    kept = True if snapshot.mask is None else ravel_pytree(snapshot.mask)[0]

    def loss(parameters: jax.Array, inputs: jax.Array, targets: jax.Array) -> jax.Array:
        return jnp.mean(per_example(snapshot.apply(restore(parameters), inputs)[0], targets))

    def step(parameters: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        noise, batch = jax.random.split(key)
        rows = jax.random.randint(batch, (batch_size,), 0, count) if 0 < batch_size < count else jnp.arange(count)
        value, gradient = jax.value_and_grad(loss)(parameters, examples[rows], labels[rows])
        drift = heat * gradient + localisation * (parameters - centre)
        moved = parameters - step_size / 2 * drift
        moved += step_size**0.5 * jax.random.normal(noise, centre.shape, centre.dtype)
        return jnp.where(kept, moved, parameters), value

    def chain(key: jax.Array) -> jax.Array:
        return lax.scan(step, centre, jax.random.split(key, burn_in + draws))[1]

    losses = jax.vmap(chain)(jax.random.split(jax.random.key(seed), chains))
    return _summary(heat * (losses - loss(centre, examples, labels)), burn_in)


def _summary(excess: jax.Array, burn_in: int) -> Scalars:
    """The variables from N beta (L(w) - L(w*)) of all steps, [chains, steps]."""
    chains, counted = len(excess), excess[:, burn_in:]
    half = counted.shape[1] // 2
    own = jnp.mean(counted, axis=1)
    error = jnp.std(own, ddof=1) / chains**0.5 if chains > 1 else jnp.nan
    drift = jnp.mean(counted[:, half:]) - jnp.mean(counted[:, :half]) if half else jnp.nan
    finite = jnp.all(jnp.isfinite(excess))
    values = {"llc": jnp.mean(own), "llc_error": error, "llc_drift": drift}
    return {name: jnp.where(finite, value, jnp.nan) for name, value in values.items()}


LEARNING_COEFFICIENT = Measure(
    "learning_coefficient", learning_coefficient, VARIABLES, needs=("train", "parameters")
)
