"""How many directions the features use: entropy, effective rank, participation ratio and stable rank.

Sources: Roy and Vetterli, EUSIPCO 2007 (effective rank), arXiv:2408.11804 (its use along training),
arXiv:2604.13123 (normalised spectral entropy of the penultimate covariance before grokking).
"""

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.class_geometry import principal_axes
from collapse_jax.measures.estimators.spectral_entropy import spectral_entropy
from collapse_jax.measures.precision import at_least_float32
from collapse_jax.measures.splits import for_each_probe, of_each_probe

_TEXTS = {
    "spectral_entropy": (
        "Spectral entropy",
        "nat",
        "entropy of the fractions of the variance along the principal directions",
    ),
    "spectral_entropy_normalised": ("Normalised spectral entropy", "1", "spectral entropy over log D, in [0, 1]"),
    "effective_rank": ("Effective rank", "1", "exp of the entropy of the singular values of the centred features"),
    "participation_ratio": ("Participation ratio", "1", "(sum of eigenvalues)^2 / sum of squared eigenvalues"),
    "stable_rank": ("Stable rank", "1", "sum of eigenvalues of the covariance over the largest"),
}
VARIABLES = for_each_probe({name: Variable(*text) for name, text in _TEXTS.items()})


def spectrum(snapshot: Snapshot) -> Scalars:
    r"""Spectrum of the covariance of the features, classes ignored.

    With s_i the singular values of the centred features [N, D] and lambda_i = s_i^2 (eigenvalues of the
    covariance, times N), p_i = lambda_i / sum lambda and q_i = s_i / sum s:

    * `spectral_entropy` = -sum p_i log p_i, in nats, 0 (one direction) to log min(D, N-1)
    * `spectral_entropy_normalised` = spectral_entropy / log D
    * `effective_rank` = exp(-sum q_i log q_i) (Roy and Vetterli), which weak directions raise more than they raise
      exp(spectral_entropy)
    * `participation_ratio` = (sum lambda)^2 / sum lambda^2
    * `stable_rank` = sum lambda / max lambda

    The last three lie between 1 and min(D, N-1). n equal eigenvalues: log n, and n three times. Collapsed balanced
    classes at a simplex or at orthogonal means: n = K - 1. Nothing changes under scaling, rotation or shift.

    What chance gives: N examples of isotropic noise have a participation ratio of N D / (N + D + 1), not D, so
    compare equal N only. Low rank is necessary for collapse, not sufficient: a network that ignores the labels may
    have it too.

    Limits: constant features (all rows equal, so also a single example, and all zero) have no spectrum: nan. D = 1:
    the normalised entropy is nan (0/0). nan or infinite features give nan. Singular values below about 10^-7 of the
    largest are rounding errors in float32; two hundred of them raise `effective_rank` by less than 0.01.

    Args:
      snapshot: features of `train`, and of `test` where it is there.

    Returns:
      The five variables, and their `_test` counterparts where there is a test probe.
    """
    return of_each_probe(snapshot, lambda probe: _spectrum(probe.features))


def _spectrum(features: jax.Array) -> Scalars:
    values, _ = principal_axes(at_least_float32(features))
    # Relative to the largest first, so that squares neither overflow nor vanish.
    values = values / values[0]
    eigenvalues = values**2
    entropy = spectral_entropy(eigenvalues)
    return {
        "spectral_entropy": entropy,
        "spectral_entropy_normalised": entropy / jnp.log(jnp.asarray(features.shape[1], values.dtype)),
        "effective_rank": jnp.exp(spectral_entropy(values)),
        "participation_ratio": jnp.sum(eigenvalues) ** 2 / jnp.sum(eigenvalues**2),
        "stable_rank": jnp.sum(eigenvalues),
    }


SPECTRUM = Measure("spectrum", spectrum, VARIABLES)
