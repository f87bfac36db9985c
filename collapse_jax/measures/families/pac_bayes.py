"""PAC-Bayes bounds with Gaussian and with spike-and-slab distributions around a pruned network.

Source: arXiv:2205.07320 (Sakamoto and Sato: lottery tickets and PAC-Bayes).
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.errors import require, require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators import pac_bayes as bounds
from collapse_jax.measures.estimators import posterior_sgd
from collapse_jax.measures.estimators.surviving import Surviving, is_there
from collapse_jax.measures.families.flatness import SIGMA
from collapse_jax.measures.options import require_at_least

MODES = GRID, _ = "grid", "sgd"
KINDS = {
    "slab": "spike-and-slab: Gaussian around theta_0 on what was kept, a spike at 0 on what was pruned",
    "gaussian": "Gaussian around theta_0 on all parameters, pruned ones too",
    "gaussian_zero": "Gaussian around 0 on all parameters, pruned ones too",
}
_BY_SIGMA = ("posterior_sigma",)
VARIABLES = {
    "mask_cost": Variable(
        "Cost of the mask", "nats", "N H_b(lambda), N weights of which the share lambda is pruned"
    ),
    "slab_divergence": Variable(
        "KL of the slab",
        "nats",
        "1/2 sum log(1 + (theta - theta_0)^2 / sigma^2) of what was kept",
        _BY_SIGMA,
    ),
    "zero_divergence": Variable("KL to 0", "nats", "1/2 sum log(1 + theta^2 / sigma^2)", _BY_SIGMA),
    "posterior_risk": Variable(
        "Risk of the posterior", "1", "train error of theta + sigma noise on what was kept", _BY_SIGMA
    ),
    "posterior_risk_all": Variable(
        "Risk of the posterior, all parameters",
        "1",
        "train error of theta + sigma noise on all",
        _BY_SIGMA,
    ),
    **{
        f"pac_bound_{kind}": Variable(
            f"PAC-Bayes bound, {kind}", "1", f"lowest bound on the test error over sigma; {what}"
        )
        for kind, what in KINDS.items()
    },
    "pac_bound_without_mask": Variable(
        "PAC-Bayes bound, mask for free", "1", "pac_bound_slab without the cost of the mask: no bound, a comparison"
    ),
    **{
        f"trained_{name}_{kind}": Variable(f"{title}, {kind}", unit, f"{text}; standard deviations trained by SGD")
        for kind in KINDS
        for name, title, unit, text in (
            ("sigma", "Trained sigma", "1", "mean of sigma over the parameters that have noise"),
            ("divergence", "Trained divergence", "nats", "KL to the prior, with the cost of the mask"),
            ("risk", "Risk of the trained posterior", "1", "train error of theta + sigma noise"),
            ("test_error", "Test error of the trained posterior", "1", "test error of theta + sigma noise"),
        )
    },
    "tolerated_sigma": Variable(
        "Tolerated sigma", "1", "sigma at which posterior_risk has risen by `rise` over the train error of theta"
    ),
}


def pac_bayes(
    snapshot: Snapshot,
    *,
    mode: str = GRID,
    sigmas: Sequence[float] = (),
    draws: int = 10,
    rise: float = 0.05,
    delta: float = 0.01,
    seed: int = 0,
    epochs: int = 256,
) -> Scalars:
    r"""Bounds of the test error of a network whose parameters are blurred by Gaussian noise of one sigma.

    With n train examples, q = theta, p = theta_0 (both 0 where pruned), r the 0-1 train error of q + sigma noise
    (mean of the draws) and B = (KL + ln(2 sqrt(n) S / delta)) / n for S values of sigma,

        bound = min(r + B + sqrt(B (B + 2 r)), r + sqrt(B / 2)),

    each variable of a bound the lowest over the values of sigma, which is what the factor S pays for:

    * `pac_bound_slab`: KL = `slab_divergence` + `mask_cost`, noise on what was kept
    * `pac_bound_gaussian`: KL = `slab_divergence`, noise on all parameters
    * `pac_bound_gaussian_zero`: KL = `zero_divergence`, noise on all parameters
    * `tolerated_sigma`: where r first exceeds the train error of q by `rise`, between values of sigma by
      interpolation in log sigma; nan where no value or already the lowest does

    In the mode "sgd" sigma = softplus(r) is a vector, and r is trained on the bound as in the authors' code: from
    -4, for `epochs` epochs of batches of 256, SGD at 0.01 with momentum 0.95, one draw of the noise for each batch,
    -ln max(softmax(f)_y, 1e-4) / ln 10 in the place of r; one posterior for each bound. Values are then
    `pac_bound_*` at the trained sigma (S = 1), its parts as `trained_*`, and `mask_cost`. At that rate sigma hardly
    leaves 0.018, so that the start decides: the grid is the default.

    Limits: an analysis, no certificate: the variance of the prior is the best one for what was learnt, and r is a
    mean of few draws. Bounds above 1 say nothing of the error (the mask alone costs 17,000 nats for 50,000 weights
    at density 0.1); the order of networks may still be read. Bounds are not invariant to rescaling layers.

    Args:
      snapshot: reads `params`, `initial`, `mask`, `network`, `loss` and the examples and labels of `train`.
      mode: "grid" or "sgd".
      sigmas: of the mode "grid", ascending; () takes 16 from 0.001 to 1, and softplus(-4) = 0.01815 among them.
      draws: of noise for each value.
      rise: of the train error, in the mode "grid".
      delta: bounds fail with this probability.
      seed: of the noise, which is the same for all runs and steps.
      epochs: of the mode "sgd".

    Returns:
      The variables; nothing where there is no network with examples.
    """
    require_one_of("mode", mode, MODES)
    values = _sigmas(sigmas)
    require_at_least("draws", draws, 1)
    require_at_least("epochs", epochs, 1)
    require(0 < delta < 1, "delta", delta, "must be in (0, 1)")
    require(0 < rise < 1, "rise", rise, "must be in (0, 1)")
    if not is_there(snapshot):
        return {}
    if mode == "sgd":
        return _trained(snapshot, posterior_sgd.SGD(delta, epochs=epochs, seed=seed), draws)
    network = Surviving(snapshot)
    theta, count = network.theta, len(snapshot.train.labels)
    sigma = jnp.asarray(values, theta.dtype)

    def risks(kept: jax.Array) -> jax.Array:
        def shaken(key: jax.Array) -> jax.Array:
            noise = kept * jax.random.normal(key, theta.shape, theta.dtype)  # of one draw the same for all sigma
            return jax.lax.map(lambda s: network.evaluated(theta + s * noise)[1], sigma)

        return jnp.mean(jax.lax.map(shaken, jax.random.split(jax.random.key(seed), draws)), axis=0)

    risk = risks(network.kept)
    risk_all = risk if snapshot.mask is None else risks(jnp.ones_like(theta))
    slab = jax.vmap(lambda s: bounds.gaussian_divergence(theta - network.initial, s))(sigma)
    zero = jax.vmap(lambda s: bounds.gaussian_divergence(theta, s))(sigma)
    cost = bounds.mask_cost(network.weights, network.pruned)

    def lowest(risk: jax.Array, divergence: jax.Array) -> jax.Array:
        return jnp.min(bounds.bound(risk, divergence, count, delta / len(values)))

    return {
        "mask_cost": cost,
        "slab_divergence": slab,
        "zero_divergence": zero,
        "posterior_risk": risk,
        "posterior_risk_all": risk_all,
        "pac_bound_slab": lowest(risk, slab + cost),
        "pac_bound_without_mask": lowest(risk, slab),
        "pac_bound_gaussian": lowest(risk_all, slab),
        "pac_bound_gaussian_zero": lowest(risk_all, zero),
        "tolerated_sigma": _crossing(risk - network.evaluated(theta)[1], sigma, rise),
    }


def _trained(snapshot: Snapshot, sgd: posterior_sgd.SGD, draws: int) -> Scalars:
    """The mode "sgd"."""
    network, test = Surviving(snapshot), snapshot.test
    theta, everywhere = network.theta, jnp.ones_like(network.theta)
    cost = bounds.mask_cost(network.weights, network.pruned)
    moved, free = theta - network.initial, jnp.zeros_like(cost)
    posteriors = [
        posterior_sgd.Posterior(moved, network.kept, cost),
        posterior_sgd.Posterior(moved, everywhere, free),
        posterior_sgd.Posterior(theta, everywhere, free),
    ]
    probes = {"risk": snapshot.train} | ({} if test is None or test.examples is None else {"test_error": test})

    def one(posterior: posterior_sgd.Posterior) -> Scalars:
        sigma = sgd.sigma(network, posterior)

        def errors(key: jax.Array) -> Scalars:
            shaken = theta + sigma * posterior.noisy * jax.random.normal(key, theta.shape, theta.dtype)
            return {name: network.evaluated(shaken, probe)[1] for name, probe in probes.items()}

        drawn = jax.lax.map(errors, jax.random.split(jax.random.key(sgd.seed), draws))
        found = {name: jnp.mean(values) for name, values in drawn.items()}
        divergence = posterior.divergence(sigma)
        mean = jnp.sum(sigma * posterior.noisy) / jnp.sum(posterior.noisy)
        paid = bounds.bound(found["risk"], divergence, network.count, sgd.delta)
        unpaid = bounds.bound(found["risk"], divergence - posterior.cost, network.count, sgd.delta)
        return found | {"sigma": mean, "divergence": divergence, "bound": paid, "without_mask": unpaid}

    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *posteriors)
    found = jax.lax.map(one, stacked)
    bound, unpaid = found.pop("bound"), found.pop("without_mask")
    parts = {f"trained_{name}_{kind}": v[i] for name, v in found.items() for i, kind in enumerate(KINDS)}
    paid = {f"pac_bound_{kind}": bound[i] for i, kind in enumerate(KINDS)}
    return {"mask_cost": cost, **paid, "pac_bound_without_mask": unpaid[0], **parts}


def _sigmas(sigmas: Sequence[float]) -> tuple[float, ...]:
    values = tuple(sigmas) or tuple(sorted({*np.geomspace(1e-3, 1, 15).tolist(), SIGMA}))
    ascending = all(a < b for a, b in itertools.pairwise(values))
    require(values[0] > 0 and ascending, "sigmas", values, "must be above 0 and ascend")
    return values


def _crossing(rises: jax.Array, sigma: jax.Array, level: float) -> jax.Array:
    """Where rises [S] first exceed a level, in log sigma between the last value below and the first above."""
    above = rises > level
    first = jnp.argmax(above)
    before = jnp.maximum(first - 1, 0)
    share = (level - rises[before]) / (rises[first] - rises[before])
    found = jnp.exp((1 - share) * jnp.log(sigma[before]) + share * jnp.log(sigma[first]))
    return jnp.where(jnp.any(above) & (first > 0), found, jnp.nan)


def _coordinates(snapshot: Snapshot, *, sigmas: Sequence[float] = ()) -> dict[str, Sequence[float]]:
    return {"posterior_sigma": _sigmas(sigmas)}


PAC_BAYES = Measure("pac_bayes", pac_bayes, VARIABLES, needs=("train", "parameters"), coords=_coordinates)
