"""PAC-Bayes: divergences of Gaussian posteriors on weights, and the bound on the risk."""

import jax
import jax.numpy as jnp


def gaussian_divergence(moved: jax.Array, sigma: jax.Array) -> jax.Array:
    """KL(N(q, sigma^2) || N(p, v)) in nats for the best v of each weight, sigma^2 + (q - p)^2.

    That is 1/2 sum log(1 + (q - p)^2 / sigma^2). The prior's variance depends on what was learnt, so that what
    follows compares networks and is no certificate.

    Args:
      moved: [P] q - p.
      sigma: a number or [P].
    """
    return 0.5 * jnp.sum(jnp.log1p((moved / sigma) ** 2))


def mask_cost(weights: int, pruned: jax.Array) -> jax.Array:
    """N H_b(lambda) in nats: what it costs to say which of N weights a share lambda is pruned.

    H_b(l) = -l ln l - (1 - l) ln(1 - l); 0 where none or all are.
    """
    share = pruned / max(weights, 1)
    entropy = jax.scipy.special.entr(share) + jax.scipy.special.entr(1 - share)
    return weights * entropy


def bound(risk: jax.Array, divergence: jax.Array, examples: int, delta: float) -> jax.Array:
    """Upper bound on the expected risk, which holds with probability 1 - delta over the draw of n examples.

    With B = (KL + ln(2 sqrt(n) / delta)) / n the lower of r + B + sqrt(B (B + 2 r)) and r + sqrt(B / 2).

    Args:
      risk: r, of the posterior on the n examples, in [0, 1].
      divergence: KL of posterior and prior, nats.
      examples: n.
      delta: in (0, 1).
    """
    excess = (divergence + jnp.log(2 * examples**0.5 / delta)) / examples
    return jnp.minimum(risk + excess + jnp.sqrt(excess * (excess + 2 * risk)), risk + jnp.sqrt(excess / 2))
