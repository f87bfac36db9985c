"""The noisy-channel estimate as the public code of arXiv:2509.20829 computes it, errors included."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import logsumexp

from collapse_jax.measures.base import Scalars, Variable
from collapse_jax.measures.precision import matmul

EVALUATED, REFERENCES, NOISE = 2000, 400, 0.1

_TEXT = "as the reference code has it: {}, absolute noise 0.1, too high by log(2000/400)"
REFERENCE_VARIABLES = {
    "noisy_zx_reference": Variable("I(Z;X), reference code", "nat", _TEXT.format("log of the wrong count")),
    "noisy_zx_given_y_reference": Variable(
        "I(Z;X|Y), reference code", "nat", _TEXT.format("unweighted mean over classes")
    ),
    "noisy_zy_reference": Variable(
        "I(Z;Y), reference code", "nat", "difference of the other two, in which log(2000/400) cancels"
    ),
}


def reference_information(features: jax.Array, labels: jax.Array, num_classes: int, key: jax.Array) -> Scalars:
    """I(Z;X), I(Z;X|Y) and their difference by the reference code, in nats.

    I(Z;X) = -mean_i( logsumexp_j(-|g_i - r_j|^2 / (2 0.1^2)) - log 2000 ), over 2000 features g_i and 400 r_j, both
    drawn with replacement; I(Z;X|Y) is the unweighted mean of the same over the classes that have a member.

    Three things differ from an estimate of the information: the count should be that of the references, 400, so
    that both are too high by log 5 = 1.609; g_i carries no noise, which makes this an upper bound (the pairwise
    one of `noisy_channel`); and the noise is absolute, so that scaling the features changes the values.

    Args:
      features: [N, D].
      labels: [N].
      num_classes: K.
      key: of the draws, which are fixed where the code's are not.
    """
    members = labels[None, :] == jnp.arange(num_classes)[:, None]
    groups = jnp.concatenate([jnp.ones_like(members[:1]), members])
    # A common offset would take digits from the products.
    features = features - jnp.mean(features, axis=0, keepdims=True)
    count = len(labels)

    def information(group: tuple[jax.Array, jax.Array]) -> jax.Array:
        mask, key = group
        share = mask / jnp.maximum(jnp.sum(mask), 1)
        evaluated_key, reference_key = jax.random.split(key)
        evaluated = features[jax.random.choice(evaluated_key, count, (EVALUATED,), p=share)]
        references = features[jax.random.choice(reference_key, count, (REFERENCES,), p=share)]
        squares = (
            jnp.sum(evaluated**2, axis=1)[:, None]
            + jnp.sum(references**2, axis=1)[None, :]
            - 2 * matmul(evaluated, references.T)
        )
        exponents = -jnp.maximum(squares, 0) / (2 * NOISE**2)
        return math.log(EVALUATED) - jnp.mean(logsumexp(exponents, axis=1))

    values = lax.map(information, (groups, jax.random.split(key, num_classes + 1)))
    present = jnp.any(members, axis=1)
    given_y = jnp.sum(jnp.where(present, values[1:], 0)) / jnp.sum(present)
    result = {
        "noisy_zx_reference": values[0],
        "noisy_zx_given_y_reference": given_y,
        "noisy_zy_reference": values[0] - given_y,
    }
    # On some devices the maximum of nan and 0 is 0.
    finite = jnp.all(jnp.isfinite(features))
    return {name: jnp.where(finite, value, jnp.nan) for name, value in result.items()}
