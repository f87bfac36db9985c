"""Mutual information of features with inputs and labels, each with a null and an error."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from collapse_jax.errors import ConfigError, require, require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.codes import principal_components, unit_variance, whiten
from collapse_jax.measures.estimators.jackknife import ERROR, PARTITIONS, jackknife_errors, remaining
from collapse_jax.measures.estimators.kl_entropy import conditional_entropy, weighted_entropy
from collapse_jax.measures.estimators.ksg import ksg_information, ross_information
from collapse_jax.measures.estimators.permutation import (
    PERMUTATIONS,
    against_null,
    compared_variables,
    identity_first,
    shuffles,
)
from collapse_jax.measures.estimators.probe_choice import Examples, choose_examples
from collapse_jax.measures.options import require_at_least

_INFORMATION = {
    "mi_zx": Variable("I(Z;X)", "nat", "mutual information of features and inputs, as principal components"),
    "mi_zy": Variable("I(Z;Y)", "nat", "mutual information of features, as principal components, and labels"),
}
_SUPERFLUOUS = {"superfluous_information": Variable("I(Z;X) - I(Z;Y)", "nat", "mi_zx - mi_zy")}
VARIABLES = compared_variables(
    _INFORMATION,
    _SUPERFLUOUS,
    "rows of the features permuted",
    "rows of the features permuted within their class",
    error=ERROR,
)
GROUPS = 4
# Principal components of the whole sample among which those of its parts are sought, in multiples of `dim`.
_CANDIDATES = 8


def mutual_information(
    snapshot: Snapshot,
    *,
    mode: str = "ksg",
    codes: str = "pca",
    k: int = 5,
    dim: int = 4,
    samples: int | None = None,
    permutations: int = PERMUTATIONS,
    null_rows: int = 128,
    partitions: int = PARTITIONS,
    split: str = "auto",
    seed: int = 0,
) -> Scalars:
    """Estimates I(Z;X), I(Z;Y) and their difference from neighbours of low-dimensional codes, in nats.

    Z is coded by its first `dim` principal components, refitted at every snapshot; X likewise (codes "pca"), or by
    the autoencoder of `input_codes` (codes "autoencoder", as in arXiv:2509.20829: trained once, or read from the
    cache; `snapshot.prepared` holds its codes by probe, see `probe_codes`). Components of
    `dim` columns or fewer are a rotation, so that any other codes can be given as `inputs`. Rows are paired. By the
    data processing inequality the codes share no more information than features and inputs do.

    * mode "ksg" (default): components of unit variance; `ksg_information` for X, `ross_information` for labels.
    * mode "reference": the estimator of arXiv:2509.20829 on paired rows (its code pairs them wrongly). Components
      are whitened with 1e-6 I added to the covariance, and with `weighted_entropy` h

          I(Z;X) = h(Z) + h(X) - h(Z, X),    I(Z;Y) = h(Z) - sum_y (n_y / N) h(Z | Y = y).

      When classes collapse the errors of these entropies no longer cancel and I(Z;X) falls without limit, without
      any dependence too: then the null moves away from 0, which is how to see it.

    `_null`, `_null_sd` and `_p` compare with permutations of the rows of Z; those of `superfluous_information` stay
    within their class: what is left where the features know the label and nothing else of X, which is 0 for a
    sound estimator and a good code of X, and -0.1 to -0.5 for 4 components. Permuted and not, the terms of
    `null_rows` random rows are averaged (their neighbours are among all): `_null_sd` is that of so few.

    `_error` is for a fresh sample of as many examples (`jackknife_errors`): without one of 4 groups, components
    refitted, sought among the first 8 `dim` of the whole. It knows nothing of the bias.

    Limits: nan for nan or infinite features; k >= N is refused. A class of n <= k examples has n - 1 neighbours in
    the place of k, one of a single example is left out of I(Z;Y). Inputs that determine features make I(Z;X)
    infinite: a finite estimate then reflects N and k. float32 resolves components down to 7.6e-6 of the largest,
    and rounds the members of a class that has shrunk to 10^-6 of the norm of its features to a grid: mode "ksg"
    treats equal distances as random in order, and I(Z;Y) stays right, what it still tells of X is lost;
    mode "reference" is -inf for equal rows. Constant features give 0 in mode "ksg".

    Args:
      snapshot: features and labels, for `mi_zx` also inputs, of the chosen probe.
      mode: "ksg" or "reference".
      codes: of X, "pca" or "autoencoder".
      k: which neighbour.
      dim: number of principal components of Z, and of X.
      samples: measure a random subset of so many examples (time grows with its square); None: all.
      permutations: of the null; 0 leaves it out.
      null_rows: over how many rows the null is averaged (time grows with permutations x null_rows x N).
      partitions: into groups, that the error is the mean over; 0 leaves it out.
      split: "train", "test" or "auto" (test if its inputs are there, else train).
      seed: of the permutations, rows and groups.

    Returns:
      `mi_zy` and, where there are inputs, `mi_zx` and `superfluous_information`, each with null and error.
    """
    require_one_of("mode", mode, ("ksg", "reference"))
    require_one_of("codes", codes, ("pca", "autoencoder"))
    least_values = {"k": (k, 1), "dim": (dim, 1), "permutations": (permutations, 0), "null_rows": (null_rows, 1)}
    for name, (value, least) in {**least_values, "partitions": (partitions, 0)}.items():
        require_at_least(name, value, least)
    trained = codes == "autoencoder"
    examples = choose_examples(snapshot, split, snapshot.prepared or {} if trained else None)
    made = examples.inputs is not None or not trained
    require(made, "codes", codes, "snapshot.prepared holds no codes of the probe (see `probe_codes`)")
    sample_key, null_key, group_key = jax.random.split(jax.random.key(seed), 3)
    if samples is not None and samples < len(examples.labels):
        require_at_least("samples", samples, 2)
        chosen = jax.random.permutation(sample_key, len(examples.labels))[:samples]
        examples = jax.tree.map(lambda rows: rows[chosen], examples)
    count = len(examples.labels)
    require(k < count, "k", k, f"must be below the number of examples, {count}")
    candidates = _components(examples, _CANDIDATES * dim)
    coded = _coded(candidates, dim, mode)
    result = _estimate(coded, k, mode)
    if partitions:
        kept = remaining(group_key, count, min(GROUPS, count), partitions)

        def of_rows(rows: jax.Array) -> Scalars:
            return _estimate(_coded(jax.tree.map(lambda array: array[rows], candidates), dim, mode), k, mode)

        values = lax.map(of_rows, kept.reshape(-1, kept.shape[-1]))
        result |= jackknife_errors({name: value.reshape(kept.shape[:2]) for name, value in values.items()})
    if permutations:
        result |= _null(null_key, coded, permutations, null_rows, k, mode)
    # Neighbours of rows that are no numbers are no nan by themselves.
    features_finite = jnp.all(jnp.isfinite(coded.features))
    both_finite = features_finite
    if coded.inputs is not None:
        both_finite &= jnp.all(jnp.isfinite(coded.inputs))
    finite = {name: features_finite if name.startswith("mi_zy") else both_finite for name in result}
    return {name: jnp.where(finite[name], result[name], jnp.nan) for name in VARIABLES if name in result}


def _null(key: jax.Array, coded: Examples, permutations: int, rows: int, k: int, mode: str) -> Scalars:
    """What `against_null` says of the terms of some rows."""
    row_key, order_key = jax.random.split(key)
    count = len(coded.labels)
    chosen = jax.random.choice(row_key, count, (min(rows, count),), replace=False)
    everywhere, within = shuffles(order_key, coded.labels, permutations)
    values = lax.map(
        lambda order: _estimate(coded._replace(features=coded.features[order]), k, mode, chosen),
        identity_first(everywhere, within),
    )
    draws = {
        name: value[1 + permutations :] if name in _SUPERFLUOUS else value[1 : 1 + permutations]
        for name, value in values.items()
    }
    return against_null({name: value[0] for name, value in values.items()}, draws)


def _components(examples: Examples, dim: int) -> Examples:
    """The examples with the principal components [N, <= dim] in the place of features and inputs."""
    inputs = None if examples.inputs is None else principal_components(examples.inputs, dim)
    return Examples(principal_components(examples.features, dim), examples.labels, inputs)


def _coded(examples: Examples, dim: int, mode: str) -> Examples:
    """The examples with codes [N, dim] in the place of features and inputs."""
    scale = whiten if mode == "reference" else unit_variance
    z, labels, x = _components(examples, dim)
    return Examples(scale(z), labels, None if x is None else scale(x))


def _estimate(codes: Examples, k: int, mode: str, rows: jax.Array | None = None) -> Scalars:
    """The estimates, their averages over `rows` (None: all)."""
    z, labels, x = codes
    result = {}
    if mode == "ksg":
        if x is not None:
            result["mi_zx"] = ksg_information(z, x, k, rows)
        result["mi_zy"] = ross_information(z, labels, k, rows)
    else:
        entropy = weighted_entropy(z, k, rows)
        if x is not None:
            joint = jnp.concatenate([z, x], axis=1)
            result["mi_zx"] = entropy + weighted_entropy(x, k, rows) - weighted_entropy(joint, k, rows)
        result["mi_zy"] = entropy - conditional_entropy(z, labels, k, rows)
    if x is not None:
        result["superfluous_information"] = result["mi_zx"] - result["mi_zy"]
    return result


def prepare(snapshot: Snapshot, *, codes: str) -> dict[str, Any] | None:
    """Codes of the inputs by the autoencoder, where it is asked for: trained once, then read from the cache."""
    if codes != "autoencoder":
        return None
    # What trains a network is imported by those who need it.
    from collapse_jax.measures.estimators.input_codes import probe_codes

    try:
        return probe_codes(snapshot)
    except ValueError as error:
        raise ConfigError("codes", codes, str(error)) from None


MUTUAL_INFORMATION = Measure("mutual_information", mutual_information, VARIABLES, needs=("probe",), prepare=prepare)
