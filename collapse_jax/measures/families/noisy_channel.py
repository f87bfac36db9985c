"""Information that features keep when noise of a known size is added to them: estimates and bounds."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from collapse_jax.errors import require, require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.channel_bounds import conditional_information_bounds
from collapse_jax.measures.estimators.class_geometry import class_means, deviations
from collapse_jax.measures.estimators.jackknife import ERROR, PARTITIONS, jackknife_errors
from collapse_jax.measures.estimators.mixtures import KINDS, mixtures
from collapse_jax.measures.estimators.permutation import (
    LOWER,
    PERMUTATIONS,
    against_null,
    identity_first,
    null_variables,
    shuffles,
)
from collapse_jax.measures.estimators.probe_choice import choose_examples
from collapse_jax.measures.estimators.reference_channel import REFERENCE_VARIABLES, reference_information
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.splits import varied

# Noise relative to the largest feature norm, and how the names of the variables write it.
SIGMAS = {"sigma003": 0.03, "sigma010": 0.1, "sigma030": 0.3}

_TEXTS = {
    "noisy_zx": ("I(Z;X)", "Monte Carlo, Z = g(X) + B_g sigma E, X uniform on the sample"),
    "kde_lower_zx": ("I(Z;X), lower bound", "pairwise bound of Kolchinsky & Tracey, Bhattacharyya distance"),
    "kde_upper_zx": ("I(Z;X), upper bound", "pairwise bound of Kolchinsky & Tracey, relative entropy"),
    "noisy_zy": ("I(Z;Y)", "Monte Carlo, Z = g(X) + B_g sigma E"),
    "noisy_zx_given_y": ("I(Z;X|Y)", "Monte Carlo superfluous information, I(Z;X) - I(Z;Y)"),
    "kde_lower_zx_given_y": ("I(Z;X|Y), lower bound", "the pairwise lower bound within classes"),
    "kde_upper_zx_given_y": ("I(Z;X|Y), upper bound", "the pairwise upper bound within classes"),
}
_BOUNDS = {
    "log_det_bound": ("I(Z;X|Y), log-det bound", "1/2 E_y log det(Cov_y / (B_g sigma)^2 + I)"),
    "trace_bound": ("I(Z;X|Y), trace bound", "Tr(Sigma_W) / (2 (B_g sigma)^2)"),
}
# What permuted labels change, and whether little of it is the evidence. I(Z;X) depends on no pairing.
_TAILS = {name: LOWER for name in _TEXTS if name.endswith("given_y")}
_COMPARED = ("noisy_zy", *_TAILS)


def _described() -> dict[str, Variable]:
    """Every variable at one noise."""
    own, bounds = (
        {name: Variable(title, "nat", text) for name, (title, text) in texts.items()} for texts in (_TEXTS, _BOUNDS)
    )
    nulls = null_variables({name: own[name] for name in _COMPARED}, "labels permuted", _TAILS)
    return {**own, **varied(own, {"_error": (", error", f"{{}}: {ERROR}")}), **nulls, **bounds}


VARIABLES = {
    f"{name}{suffix}": dataclasses.replace(v, long_name=f"{v.long_name}, sigma {sigma}")
    for suffix, sigma in {
        **{f"_{name}": f"{value:g}" for name, value in SIGMAS.items()},
        "": "of the options",
    }.items()
    for name, v in _described().items()
}
VARIABLES |= REFERENCE_VARIABLES
GROUPS = 10


def noisy_channel(
    snapshot: Snapshot,
    *,
    mode: str = "channel",
    sigma: float | None = None,
    samples: int | None = 2000,
    permutations: int = PERMUTATIONS,
    partitions: int = PARTITIONS,
    split: str = "auto",
    seed: int = 0,
) -> Scalars:
    """Information about X and Y in Z = g(X) + tau E, E ~ N(0, I), in nats, between its bounds.

    tau = B_g sigma with B_g the largest feature norm of the probe: scaling the features changes nothing, and
    sigma is the precision at which the representation is read (0.03, 0.1, 0.3). X is uniform on the M sampled
    examples, so that every p(z) is a mixture of normal densities and, with z_i = g_i + tau e_i and
    a_ij = -|g_i - g_j|^2 / (2 tau^2) - e_i.(g_i - g_j) / tau = log p(z_i|x_j) - log p(z_i|x_i),

    * noisy_zx = -mean_i log (1/M) sum_j exp a_ij        in [0, log M]
    * noisy_zx_given_y = -mean_i log (1/n_i) sum_{j: y_j = y_i} exp a_ij,    n_i examples in the class of i
    * noisy_zy = noisy_zx - noisy_zx_given_y (the chain rule, as Y - X - Z is a Markov chain).

    Each e_i is used with both signs, so that the term linear in it cancels. The pairwise bounds (Kolchinsky &
    Tracey 2017, arXiv:1706.02419) have exp(-d_ij^2 / (2 tau^2)), upper, and exp(-d_ij^2 / (8 tau^2)), lower, in
    the place of exp a_ij. For I(Z;X|Y) there are also the bounds of Theorem 3.4 of arXiv:2509.20829:
    estimate <= log_det_bound <= trace_bound, up to the error of the estimate.

    `_null`, `_null_sd` and `_p` compare with permuted labels: what a partition without meaning tells (I(Z;Y), more
    is evidence) or leaves (I(Z;X|Y), value and bounds, less is evidence: by the chain rule the p-value is that of
    I(Z;Y)). Within classes nothing can be permuted: I(Z;X) and I(Z;X|Y) are limits of the channel and not estimates
    from pairs, so that they do not depend on how X and Z are paired, and I(Z;X) has no null.

    `_error` is for a fresh sample of as many examples, labels, noise and largest norm included
    (`jackknife_errors`): without one of 10 groups, for the norm by the derivative along the noise.

    mode "reference": `reference_information`, its absolute noise and its wrong constant.

    Limits: I(Z;X) saturates at log M, where it says only that sigma separates the examples. Many classes of few
    examples give noisy_zy a positive bias, which its null shows. Zero, nan or infinite features give nan.
    Differences within a class keep their digits, however far it has collapsed.

    Args:
      snapshot: features and labels of the chosen probe (inputs are not read); `num_classes`.
      mode: "channel" or "reference".
      sigma: one noise in the place of the three, greater than 0; the variables then have no suffix: `noisy_zx`.
        (Keep several apart with `label`.)
      samples: M, a random subset of the examples (time grows with its square); None: all.
      permutations: of the null; 0 leaves it out.
      partitions: into groups, that the error is the mean over; 0 leaves it out.
      split: "train", "test" or "auto" (test if its inputs are there, else train).
      seed: of the sample, the noise, the null and the groups.

    Returns:
      The variables above for each sigma, or the three `_reference` ones.
    """
    require_one_of("mode", mode, ("channel", "reference"))
    positive = sigma is None or (isinstance(sigma, int | float) and 0 < sigma < math.inf)
    require(positive, "sigma", sigma, "must be a finite number > 0, in units of the largest feature norm")
    require_at_least("permutations", permutations, 0)
    require_at_least("partitions", partitions, 0)
    sigmas = SIGMAS if sigma is None else {"": sigma}
    features, labels, _ = choose_examples(snapshot, split)
    sample_key, noise_key, order_key = jax.random.split(jax.random.key(seed), 3)
    if mode == "reference":
        return reference_information(features, labels, snapshot.num_classes, sample_key)
    features = features / jnp.max(jnp.abs(features))
    norms = jnp.sqrt(jnp.sum(features**2, axis=1))
    noise = jnp.max(norms) * jnp.asarray(list(sigmas.values()), features.dtype)
    if samples is not None and samples < len(labels):
        require_at_least("samples", samples, 2)
        order = jax.random.permutation(sample_key, len(labels))
        features, labels, norms = features[order[:samples]], labels[order[:samples]], norms[order]
    one_hot = jax.nn.one_hot(labels, snapshot.num_classes, dtype=features.dtype)
    within = deviations(features, labels, class_means(features, labels, one_hot))
    log_det, trace = conditional_information_bounds(within, one_hot, noise)
    orders, _ = shuffles(order_key, labels, permutations + partitions)
    kept, shifts = _left_out(orders[permutations:], norms)
    shuffled = labels[identity_first(orders[:permutations])]
    found = mixtures(features, within, labels, shuffled, kept, noise, noise_key)
    values = _by_name(found.values)
    result = {name: value[:, 0] for name, value in values.items()} | {
        "log_det_bound": log_det,
        "trace_bound": trace,
    }
    if partitions:
        slopes = _by_name(found.slopes)
        result |= jackknife_errors(
            {name: value[:, 1:].T.reshape(*shifts.shape, -1) for name, value in values.items()},
            {name: shifts[..., None] * slope[None, None] for name, slope in slopes.items()},
        )
    if permutations:
        # I(Z;X) is the same for any labels.
        everything = found.values[0, :, :, :1]
        nulls = found.nulls[..., 1:]
        draws = _by_name(jnp.stack([jnp.broadcast_to(everything, nulls.shape), nulls]))
        result |= against_null(result, {name: draws[name].T for name in _COMPARED}, _TAILS)
    suffixes = [f"_{suffix}" if suffix else "" for suffix in sigmas]
    return {
        name + suffix: result[name][s]
        for s, suffix in enumerate(suffixes)
        for name in _described()
        if name in result
    }


def _left_out(orders: jax.Array, norms: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Who takes part in the estimates without one group each, and what the largest norm becomes there.

    Args:
      orders: [P, M] random permutations, each a partition into groups.
      norms: [N] of the M examples and, in random order, of all others.

    Returns:
      [M, 1 + P G] with everyone in the first column, and changes [P, G] of log B_g.
    """
    number, count = orders.shape
    groups = min(GROUPS, count)
    others = jnp.broadcast_to(jnp.arange(len(norms) - count) % groups, (number, len(norms) - count))
    member = jnp.concatenate([orders % groups, others], axis=1)
    kept = member[:, None] != jnp.arange(groups)[None, :, None]
    shifts = jnp.log(jnp.max(jnp.where(kept, norms[None, None], 0), axis=-1) / jnp.max(norms))
    columns = kept[..., :count].reshape(number * groups, count).T
    return jnp.concatenate([jnp.ones((count, 1), bool), columns], axis=1).astype(norms.dtype), shifts


def _by_name(values: jax.Array) -> Scalars:
    """Values of `mixtures` [2, 3, ...], of all examples and within classes, by the names of variables."""
    names = [f"{kind}_{which}" for which in ("zx", "zx_given_y") for kind in KINDS]
    result = dict(zip(names, values.reshape(len(names), *values.shape[2:]), strict=True))
    return result | {"noisy_zy": result["noisy_zx"] - result["noisy_zx_given_y"]}


NOISY_CHANNEL = Measure("noisy_channel", noisy_channel, VARIABLES, needs=("probe",))
