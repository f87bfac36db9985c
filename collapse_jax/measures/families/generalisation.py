"""Bounds on the test error and on the variance of unseen features: Theorems 3.2 and 4.1 of arXiv:2509.20829."""

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.class_geometry import ClassMeans, class_means, deviations
from collapse_jax.measures.estimators.dense_layers import dense_layers, is_dense_chain, operator_norm
from collapse_jax.measures.precision import at_least_float32, matmul

VARIABLES = {
    name: Variable(f"{kind.capitalize()} {title}", "1", f"{text}; means and variances of the {kind} features")
    for kind in ("train", "test")
    for name, title, text in (
        (f"{kind}_error", "error", "fraction of examples whose largest logit is not that of the label"),
        (
            f"{kind}_error_bound",
            "error bound",
            "Theorem 3.2: sum_c p_c sum_{k != c} 1 / (1 + max(m_ck, 0)^2 / v_c), v_c the variance of class c",
        ),
        (
            f"{kind}_error_bound_directional",
            "error bound (directional)",
            "Theorem 3.2 with the variance along w_c - w_k alone in place of v_c",
        ),
    )
} | {
    "variance_train": Variable(
        "Variance of train features",
        "1",
        "within-class variance of the train features / B_g^2, B_g the largest norm of a train or test feature",
    ),
    "variance_test": Variable(
        "Variance of test features",
        "1",
        "within-class variance V(g) of the test features around their own class means / B_g^2, B_g as above",
    ),
    "variance_gap": Variable("Variance gap", "1", "|variance_test - variance_train|: left side of Theorem 4.1"),
    "smallest_class": Variable(
        "Smallest class", "examples", "n_c of Theorem 4.1: train examples of the smallest class that has any"
    ),
    "spectral_complexity": Variable(
        "Spectral complexity",
        "1",
        "Pi(g) B_x / B_g of Theorem 4.1: spectral norms of the hidden layers, largest input, largest feature",
    ),
}


def generalisation(snapshot: Snapshot) -> Scalars:
    r"""Measures what Theorems 3.2 and 4.1 of arXiv:2509.20829 compare.

    **Theorem 3.2.** With p_c the frequency of class c, mu_c the mean of its features, and for k != c
    m_ck = (<mu_c, w_c - w_k> + b_c - b_k) / ||w_c - w_k|| the distance of the mean to the boundary,

        Pr[argmax_k f_k(x) != y] <= sum_c p_c sum_{k != c} 1 / (1 + max(m_ck, 0)^2 / v_ck).

    * `*_error_bound`: v_ck = E ||g - mu_c||^2 given y = c, as in the theorem. (B_g cancels.)
    * `*_error_bound_directional`: v_ck = u^T Cov_c u with u = (w_c - w_k) / ||w_c - w_k||, the variance that
      its proof (Cantelli's inequality for each pair, then a union bound) needs: never larger, still a bound.

    p, mu and v are those of the probe, so for the distribution that is uniform on the probe both hold
    exactly, for any network: error <= directional bound <= bound <= K - 1, up to rounding. A value above 1
    says nothing. As statements on the population they hold up to sampling error; train features give a
    bound on the *train* error only. The theorem has no bias; a bias moves the boundary, hence b_c - b_k.

    **Theorem 4.1.** |V(g) - V_train(g)| = O(1 / sqrt(n_c)) uniformly over networks, with a constant that
    contains Pi(g) B_x / B_g. Its constants are not reproduced here, so there is no bound to compare with:

    * `variance_gap` = |`variance_test` - `variance_train`|, each sum_c p_c E ||g - mu_c||^2 / B_g^2 with
      means and frequencies of its own set, and B_g the largest feature norm of *both* sets (which `rnc1` and
      `rnc1_test` do not share).
    * `smallest_class`: the theorem's n_c, classes of equal size; here the smallest.
    * `spectral_complexity` = prod_l ||W_l||_op * max ||x|| / B_g over the hidden layers. At least 1 without
      biases, for activations with |s(x)| <= |x|; biases are not in the theorem and not in the product.

    All but `spectral_complexity` are unchanged by scaling of features (with biases: of features and biases)
    and by a rotation of features and kernel.

    Limits: nan features, logits or head give nan, and logits that are nan a nan error. A class without a member in
    a probe counts nothing there. All features zero: the variances are nan (0/0). Where w_c = w_k the term
    is 0 if b_c > b_k and 1 otherwise; where both the spread and m_ck are 0 it is 1.

    Args:
      snapshot: reads features, labels and logits of the probes, the head, and for `spectral_complexity` the
        inputs of a probe and parameters that are a chain of dense layers.

    Returns:
      The variables that the snapshot allows.
    """
    result: Scalars = {}
    held = snapshot.probes
    features_of = {kind: at_least_float32(probe.features) for kind, probe in held.items()}
    largest = jnp.max(jnp.stack([jnp.sqrt(jnp.max(jnp.sum(g**2, axis=1))) for g in features_of.values()]))
    for kind, probe in held.items():
        features = features_of[kind] / jnp.where(largest > 0, largest, 1)
        one_hot = jax.nn.one_hot(probe.labels, snapshot.num_classes, dtype=features.dtype)
        means = class_means(features, probe.labels, one_hot)
        spread = deviations(features, probe.labels, means)
        variances = _class_mean(jnp.sum(spread**2, axis=1)[:, None], one_hot)[:, 0]
        shares = one_hot.sum(0) / one_hot.sum()
        result[f"variance_{kind}"] = jnp.where(largest == 0, jnp.nan, jnp.sum(shares * variances))
        if probe.logits is not None:
            wrong = jnp.mean(jnp.argmax(probe.logits, axis=1) != probe.labels, dtype=features.dtype)
            result[f"{kind}_error"] = jnp.where(jnp.any(jnp.isnan(probe.logits)), jnp.nan, wrong)
        if snapshot.head_kernel is not None:
            kernel = jnp.asarray(snapshot.head_kernel, features.dtype)
            bias = _bias(snapshot, kernel) / jnp.where(largest > 0, largest, 1)
            plain, directional = error_bounds(means, spread, probe.labels, one_hot, variances, kernel, bias)
            result |= {f"{kind}_error_bound": plain, f"{kind}_error_bound_directional": directional}
    sizes = jnp.bincount(snapshot.train.labels, length=snapshot.num_classes)
    smallest = jnp.min(jnp.where(sizes > 0, sizes, sizes.sum()))
    result["smallest_class"] = smallest.astype(result["variance_train"].dtype)
    if "variance_test" in result:
        result["variance_gap"] = jnp.abs(result["variance_test"] - result["variance_train"])
    inputs = [p.inputs for p in held.values() if p.inputs is not None]
    if inputs and is_dense_chain(snapshot.params):
        lengths = [
            jnp.sqrt(jnp.max(jnp.sum(x.reshape(len(x), -1).astype(largest.dtype) ** 2, axis=1))) for x in inputs
        ]
        norms = [operator_norm(layer.kernel) for layer in dense_layers("generalisation", snapshot.params)[:-1]]
        result["spectral_complexity"] = jnp.prod(jnp.stack(norms)) * jnp.max(jnp.stack(lengths)) / largest
    return result


def error_bounds(
    means: ClassMeans,
    spread: jax.Array,
    labels: jax.Array,
    one_hot: jax.Array,
    variances: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The two bounds of Theorem 3.2.

    Args:
      means: of the features by class.
      spread: [N, D] features minus the mean of their class.
      labels: [N].
      one_hot: [N, K] the same.
      variances: [K] mean squared norm of `spread` by class.
      kernel: [D, K] of the head.
      bias: [K] of the head.

    Returns:
      The bound with the whole variance of a class, and the one with its variance along w_c - w_k.
    """
    # Both sides of the fraction times ||w_c - w_k||^2, so that equal class weights divide nothing by zero.
    outputs = matmul(means.anchors, kernel) + matmul(means.offsets, kernel) + bias[None, :]
    distances = jnp.diagonal(outputs)[:, None] - outputs
    differences = kernel.T[:, None, :] - kernel.T[None, :, :]
    projections = matmul(spread, kernel)
    projections = jnp.take_along_axis(projections, labels[:, None], axis=1) - projections
    directional = _class_mean(projections**2, one_hot)
    shares = one_hot.sum(0) / one_hot.sum()
    pairs = (shares[:, None] > 0) & ~jnp.eye(len(shares), dtype=bool)

    def total(scatter: jax.Array) -> jax.Array:
        signal = jnp.maximum(distances, 0) ** 2
        whole = scatter + signal
        terms = jnp.where(whole == 0, 1, scatter / jnp.where(whole == 0, 1, whole))
        return jnp.sum(jnp.where(pairs, shares[:, None] * terms, 0))

    return total(variances[:, None] * jnp.sum(differences**2, axis=2)), total(directional)


def _class_mean(values: jax.Array, one_hot: jax.Array) -> jax.Array:
    """[K, M] means of the rows of `values` [N, M] by class; 0 for a class without a member."""
    return matmul(one_hot.T, values) / jnp.maximum(one_hot.sum(0), 1)[:, None]


def _bias(snapshot: Snapshot, kernel: jax.Array) -> jax.Array:
    if snapshot.head_bias is None:
        return jnp.zeros(kernel.shape[1], kernel.dtype)
    return jnp.asarray(snapshot.head_bias, kernel.dtype)


GENERALISATION = Measure("generalisation", generalisation, VARIABLES, needs=("train", "test", "head"))
