"""Information that features keep when noise of a known size is added to them: estimates and bounds."""

import math

import jax
import jax.numpy as jnp

from collapse_jax.errors import require, require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.channel_bounds import conditional_information_bounds
from collapse_jax.measures.estimators.class_geometry import class_means, deviations
from collapse_jax.measures.estimators.neighbours import each_point
from collapse_jax.measures.estimators.probe_choice import choose_examples
from collapse_jax.measures.estimators.reference_channel import REFERENCE_VARIABLES, reference_information
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.precision import matmul

# Noise relative to the largest feature norm, and how the names of the variables write it.
SIGMAS = {"sigma003": 0.03, "sigma010": 0.1, "sigma030": 0.3}

_ERROR = "standard error of the Monte Carlo average over examples and noise"
_SPREAD = "standard error of the average over examples"
_NULL = "the same with permuted labels: what a random partition of the examples into classes leaves"
_TEXTS = {
    "noisy_zx": ("I(Z;X)", "Monte Carlo, Z = g(X) + B_g sigma E, X uniform on the sample"),
    "noisy_zx_error": ("I(Z;X), error", _ERROR),
    "noisy_zy": ("I(Z;Y)", "Monte Carlo, Z = g(X) + B_g sigma E"),
    "noisy_zy_error": ("I(Z;Y), error", _ERROR),
    "noisy_zy_null": ("I(Z;Y), null", "the same with permuted labels: what chance explains"),
    "noisy_zx_given_y": ("I(Z;X|Y)", "Monte Carlo superfluous information, I(Z;X) - I(Z;Y)"),
    "noisy_zx_given_y_error": ("I(Z;X|Y), error", _ERROR),
    "noisy_zx_given_y_null": ("I(Z;X|Y), null", _NULL),
    "kde_lower_zx": ("I(Z;X), lower bound", "pairwise bound of Kolchinsky & Tracey, Bhattacharyya distance"),
    "kde_lower_zx_error": ("I(Z;X), lower bound, error", _SPREAD),
    "kde_upper_zx": ("I(Z;X), upper bound", "pairwise bound of Kolchinsky & Tracey, relative entropy"),
    "kde_upper_zx_error": ("I(Z;X), upper bound, error", _SPREAD),
    "kde_lower_zx_given_y": ("I(Z;X|Y), lower bound", "the pairwise lower bound within classes"),
    "kde_lower_zx_given_y_error": ("I(Z;X|Y), lower bound, error", _SPREAD),
    "kde_lower_zx_given_y_null": ("I(Z;X|Y), lower bound, null", _NULL),
    "kde_upper_zx_given_y": ("I(Z;X|Y), upper bound", "the pairwise upper bound within classes"),
    "kde_upper_zx_given_y_error": ("I(Z;X|Y), upper bound, error", _SPREAD),
    "kde_upper_zx_given_y_null": ("I(Z;X|Y), upper bound, null", _NULL),
    "log_det_bound": ("I(Z;X|Y), log-det bound", "1/2 E_y log det(Cov_y / (B_g sigma)^2 + I)"),
    "trace_bound": ("I(Z;X|Y), trace bound", "Tr(Sigma_W) / (2 (B_g sigma)^2)"),
}
VARIABLES = {
    f"{name}_{suffix}": Variable(f"{title}, sigma {sigma:g}", "nat", text)
    for suffix, sigma in SIGMAS.items()
    for name, (title, text) in _TEXTS.items()
}
VARIABLES |= {
    name: Variable(f"{title}, sigma of the options", "nat", text) for name, (title, text) in _TEXTS.items()
}
VARIABLES |= REFERENCE_VARIABLES


def noisy_channel(
    snapshot: Snapshot,
    *,
    mode: str = "channel",
    sigma: float | None = None,
    samples: int | None = 2000,
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

    The nulls permute the labels: what a partition without meaning tells (I(Z;Y)) or leaves (I(Z;X|Y), value and
    bounds). I(Z;X) and its bounds have no null: they do not depend on how X and Z are paired, being limits of the
    channel and not estimates from pairs.

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
      split: "train", "test" or "auto" (test if its inputs are there, else train).
      seed: of the sample, the noise and the null.

    Returns:
      The variables above for each sigma, or the three `_reference` ones.
    """
    require_one_of("mode", mode, ("channel", "reference"))
    positive = sigma is None or (isinstance(sigma, int | float) and 0 < sigma < math.inf)
    require(positive, "sigma", sigma, "must be a finite number > 0, in units of the largest feature norm")
    sigmas = SIGMAS if sigma is None else {"": sigma}
    features, labels, _ = choose_examples(snapshot, split)
    sample_key, noise_key, null_key = jax.random.split(jax.random.key(seed), 3)
    if mode == "reference":
        return reference_information(features, labels, snapshot.num_classes, sample_key)
    scale = jnp.max(jnp.abs(features))
    features = features / scale
    norm = jnp.sqrt(jnp.max(jnp.sum(features**2, axis=1)))
    if samples is not None and samples < len(labels):
        require_at_least("samples", samples, 2)
        chosen = jax.random.permutation(sample_key, len(labels))[:samples]
        features, labels = features[chosen], labels[chosen]
    one_hot = jax.nn.one_hot(labels, snapshot.num_classes, dtype=features.dtype)
    within = deviations(features, labels, class_means(features, labels, one_hot))
    noise = norm * jnp.asarray(list(sigmas.values()), features.dtype)
    log_det, trace = conditional_information_bounds(within, one_hot, noise)
    shuffled = labels[jax.random.permutation(null_key, len(labels))]
    terms = _local_terms(features, within, labels, shuffled, noise, noise_key)
    result = {"log_det_bound": log_det, "trace_bound": trace}
    for name, values in terms.items():
        result[name] = jnp.mean(values, axis=0)
        if f"{name}_error" in _TEXTS:
            result[f"{name}_error"] = jnp.std(values, axis=0, ddof=1) / len(labels) ** 0.5
    suffixes = [f"_{suffix}" if suffix else "" for suffix in sigmas]
    return {f"{name}{suffix}": result[name][s] for s, suffix in enumerate(suffixes) for name in _TEXTS}


def _local_terms(
    features: jax.Array,
    within: jax.Array,
    labels: jax.Array,
    shuffled: jax.Array,
    noise: jax.Array,
    key: jax.Array,
) -> Scalars:
    """[M, S] the contribution of every example to each average, for every noise of `noise` [S]."""
    centred = features - jnp.mean(features, axis=0, keepdims=True)
    centred_squares, within_squares = jnp.sum(centred**2, axis=1), jnp.sum(within**2, axis=1)
    errors = jax.random.normal(key, features.shape, features.dtype)

    def local(index: jax.Array, error: jax.Array) -> Scalars:
        same = labels == labels[index]
        # Deviations from the class mean are exact in a collapsed class, where differences of features are not.
        squares = jnp.where(
            same,
            _squared_distances(within, within_squares, index),
            _squared_distances(centred, centred_squares, index),
        )
        shift_within, shift_centred = matmul(within, error), matmul(centred, error)
        shift = jnp.where(same, shift_within[index] - shift_within, shift_centred[index] - shift_centred)
        fellows = shuffled == shuffled[index]
        groups = {"zx": jnp.ones_like(same), "zx_given_y": same, "zx_given_y_null": fellows}
        rows = []
        for s in range(len(noise)):
            quadratic, linear = squares / (2 * noise[s] ** 2), shift / noise[s]
            row = {}
            for kind, exponents in (
                ("minus", -quadratic - linear),
                ("plus", -quadratic + linear),
                ("kde_upper", -quadratic),
                ("kde_lower", -quadratic / 4),
            ):
                for name, value in _minus_log_means(exponents, groups).items():
                    row[f"{kind}_{name}"] = value
            for name in groups:
                row[f"noisy_{name}"] = 0.5 * (row[f"minus_{name}"] + row[f"plus_{name}"])
            row["noisy_zy"] = row["noisy_zx"] - row["noisy_zx_given_y"]
            row["noisy_zy_null"] = row["noisy_zx"] - row["noisy_zx_given_y_null"]
            rows.append({name: row[name] for name in _TEXTS if name in row})
        return jax.tree.map(lambda *values: jnp.stack(values), *rows)

    return each_point(local, errors)


def _squared_distances(points: jax.Array, squares: jax.Array, index: jax.Array) -> jax.Array:
    """[M] squared distances of row `index` of `points` [M, D] to all; `squares` [M] are the squared norms."""
    distances = squares[index] + squares - 2 * matmul(points, points[index])
    # nan and infinite rows stay visible in their distance to themselves.
    return jnp.where(jnp.arange(len(points)) == index, distances * 0, jnp.maximum(distances, 0))


def _minus_log_means(exponents: jax.Array, groups: dict[str, jax.Array]) -> Scalars:
    """-log of the mean of exp(exponents) over the members of each group."""
    # One exponential serves all groups. Each holds the example itself, with exponent 0, and the largest exponent is
    # a squared normal deviate of M: no group's sum falls out of the range of float32.
    largest = jnp.max(exponents)
    terms = jnp.exp(exponents - largest)
    sums = {name: jnp.sum(jnp.where(group, terms, 0)) for name, group in groups.items()}
    return {name: jnp.log(jnp.sum(groups[name])) - jnp.log(total) - largest for name, total in sums.items()}


NOISY_CHANNEL = Measure("noisy_channel", noisy_channel, VARIABLES, needs=("probe",))
