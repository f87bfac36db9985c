"""Bounds on within-class variance from fit and balancedness: Theorem 3.1 of arXiv:2410.04887 (Jacot et al.)."""

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.class_geometry import class_means, deviations, thin_svd
from collapse_jax.measures.estimators.dense_layers import dense_layers, operator_norm
from collapse_jax.measures.precision import matmul

VARIABLES = {
    "within_class_variance_bound": Variable(
        "Bound on within-class variance",
        "feature^2",
        "min_k (e1 / s_k + sqrt(D e2 + t_k) ||Z_{L-2}||_op + e3)^2 / N, above Tr(Sigma_W) of the train features",
    ),
    "within_class_variance_bound_jacot": Variable(
        "Bound on within-class variance (Jacot)", "feature^2", "Psi^2 / N, above Tr(Sigma_W) of the train features"
    ),
    "rnc1_bound": Variable("Bound on RNC1", "1", "within_class_variance_bound / B_g^2, B_g the largest norm"),
    "nc1_bound": Variable(
        "Bound on NC1",
        "1",
        "||W_L||_op^2 within_class_variance_bound / (sqrt(1 - sum_c p_c^2) - 2 e1/sqrt(N))^2; inf if e1 is large",
    ),
    "nc1_bound_jacot": Variable(
        "Bound on NC1 (Jacot)",
        "1",
        "(r^2 / N) Psi^2 / (sqrt(1 - sum_c p_c^2) - 2 e1 / sqrt(N))^2; inf where e1 is too large for the theorem",
    ),
    "jacot_e1": Variable("Misfit e1", "1", "||Z_L - Y||_F: Frobenius norm of logits minus one-hot labels, train"),
    "jacot_e2": Variable(
        "Imbalance e2", "weight^2", "||W_L^T W_L - W_{L-1} W_{L-1}^T||_op of the last two layers, without biases"
    ),
    "jacot_e3": Variable(
        "Nonlinearity e3",
        "feature",
        "Frobenius norm of Z_{L-1} - (W_{L-1} Z_{L-2} + b_{L-1}) around its class means; 0 if the layer is linear",
    ),
    "jacot_r": Variable("Size r", "1", "largest operator norm of Z_{L-2}, Z_{L-1} and of all kernels"),
    "jacot_psi": Variable(
        "Psi",
        "feature",
        "min_k r (e1 / (y_k - e1) + sqrt(D e2 + t_k)) + e3, above sqrt(N Tr(Sigma_W)); inf if e1 is too large",
    ),
    "head_smallest_singular": Variable(
        "Smallest singular value of the head", "1", "s_min(W_L): the min(K, D)-th singular value of the last kernel"
    ),
}


def collapse_bounds(snapshot: Snapshot) -> Scalars:
    r"""Bounds the collapse of the train features by how well the network fits and how balanced its end is.

    Z_l [D_l, N] are the outputs of layer l on the N train examples, Z_L = W_L Z_{L-1} + b_L the logits,
    Y one-hot. Measured: e1 = ||Z_L - Y||_F, e2 = ||W_L^T W_L - W_{L-1} W_{L-1}^T||_op,
    r = max(||Z_{L-2}||_op, ||Z_{L-1}||_op, max_l ||W_l||_op), and

        e3 = || R (I - class means) ||_F,  R = Z_{L-1} - (W_{L-1} Z_{L-2} + b_{L-1} 1^T).

    The theorem is on networks that end with two linear layers and have no biases: R = 0, b = 0. Here it is
    stated for any network. Let s_1 >= s_2 >= ... be the singular values of W_L, P the projector on its first k
    right singular directions, t_k = sum_{i > k} s_i^2. P Z_{L-1} is constant within classes up to
    W_L^+ (Z_L - Y) within P, at most e1 / s_k; (I - P) Z_{L-1} is (I - P) W_{L-1} Z_{L-2} plus a constant plus
    (I - P) R, where ||(I - P) W_{L-1}||_F^2 <= D e2 + t_k. Hence, for the k that makes each smallest,

    * `within_class_variance_bound`: Tr(Sigma_W) <= (e1/s_k + sqrt(D e2 + t_k) ||Z_{L-2}||_op + e3)^2 / N
    * `rnc1_bound`: the same / max_i ||g_i||^2
    * `jacot_psi`: Psi = r (e1 / (y_k - e1) + sqrt(D e2 + t_k)) + e3 with y_k the singular values of
      Y - b_L 1^T (without bias y_K = sqrt(min_c n_c)), because s_k >= (y_k - e1) / r
    * `within_class_variance_bound_jacot`: Psi^2 / N
    * `nc1_bound_jacot`: Tr(Sigma_W) / Tr(Sigma_B) <= (r^2/N) Psi^2 / (sqrt(1 - sum_c p_c^2) - 2 e1/sqrt(N))^2,
      where the first root is sqrt((K-1)/K) for classes of equal size; Sigma_B is weighted by class frequency,
      as in `nc1`, because ||W_L||_op^2 Tr(Sigma_B) is at least the square of the denominator
    * `nc1_bound`: the same from the first bound, ||W_L||_op^2 in place of r^2

    k = K is Jacot's theorem, so nothing here is above it. A bias makes smaller k necessary: it tends to 1/K, which
    fits the mean of the labels and leaves W_L a direction with neither target (y_K = 0) nor weight (s_K = 0).

    With linear last layers e3 = 0; with a ReLU in the last hidden layer e3 is the part of the features that the
    ReLU made, usually large, so that the bound stays true and says little. The bounds are proven for the
    numbers measured, not estimated: they hold at every step of every run.

    Limits:
      * Where the condition of the theorem fails (e1 >= y_k for all k for Psi; 2 e1 >= sqrt(N (1 - sum p^2)) for
        NC1) the value is inf; so it is for a head of zeros.
      * e2 and e3 carry rounding errors (10^-7 of ||W||^2 and of the features in float32), a floor under the
        bounds.
      * nan features, logits or parameters give nan.

    Args:
      snapshot: reads the train probe with `layers` (and `inputs` if there is one hidden layer only) and `params`.

    Returns:
      All variables, or nothing where layers, logits or parameters are missing.

    Raises:
      ConfigError: the network is not a chain of dense layers.
    """
    train = snapshot.train
    if snapshot.params is None or train.layers is None or train.logits is None:
        return {}
    *hidden, head = dense_layers("collapse_bounds", snapshot.params)
    last = hidden[-1]
    before = train.layers[-2] if len(train.layers) > 1 else train.inputs
    if before is None:
        return {}
    before = before.reshape(len(before), -1).astype(last.kernel.dtype)
    features = train.layers[-1].astype(last.kernel.dtype)
    one_hot = jax.nn.one_hot(train.labels, snapshot.num_classes, dtype=features.dtype)
    count, shares = len(features), one_hot.mean(0)

    e1 = jnp.linalg.norm(train.logits - one_hot)
    e2 = operator_norm(matmul(head.kernel, head.kernel.T) - matmul(last.kernel.T, last.kernel))
    residual = features - (matmul(before, last.kernel) + last.bias[None, :])
    e3 = jnp.linalg.norm(deviations(residual, train.labels, class_means(residual, train.labels, one_hot)))
    before_norm = operator_norm(before)
    kernels = [operator_norm(layer.kernel) for layer in (*hidden, head)]
    r = jnp.max(jnp.stack([before_norm, operator_norm(features), *kernels]))
    singular = thin_svd(head.kernel)[0]
    targets = _target_singular_values(one_hot, head.bias)[: len(singular)]
    tails = jnp.append(jnp.cumsum(singular[:0:-1] ** 2)[::-1], 0)
    unbalanced = jnp.sqrt(features.shape[1] * e2 + tails)

    fit = jnp.where(singular == 0, jnp.inf, e1 / jnp.where(singular == 0, 1, singular))
    variance = (jnp.min(fit + unbalanced * before_norm) + e3) ** 2 / count
    psi = jnp.min(_unless(e1 >= targets, r * (e1 / (targets - e1) + unbalanced))) + e3
    between = jnp.sqrt(jnp.maximum(1 - jnp.sum(shares**2), 0)) - 2 * e1 / jnp.sqrt(count)
    vague = between <= 0
    return {
        "within_class_variance_bound": variance,
        "within_class_variance_bound_jacot": psi**2 / count,
        "rnc1_bound": variance / jnp.max(jnp.sum(features**2, axis=1)),
        "nc1_bound": _unless(vague, kernels[-1] ** 2 * variance / between**2),
        "nc1_bound_jacot": _unless(vague, (r * psi / between) ** 2 / count),
        "jacot_e1": e1,
        "jacot_e2": e2,
        "jacot_e3": e3,
        "jacot_r": r,
        "jacot_psi": psi,
        "head_smallest_singular": singular[-1],
    }


def _target_singular_values(one_hot: jax.Array, bias: jax.Array) -> jax.Array:
    """The K singular values of Y - b 1^T, Y one-hot [K, N]."""
    # One column e_c - b per class, weighted by the root of its size: the same singular values, K x K.
    roots = jnp.sqrt(one_hot.sum(0))
    return thin_svd(jnp.diag(roots) - bias[:, None] * roots[None, :])[0]


def _unless(failed: jax.Array, value: jax.Array) -> jax.Array:
    """Inf where a condition of the theorem failed, but nan where the value is nan."""
    return jnp.where(failed & ~jnp.isnan(value), jnp.inf, value)


COLLAPSE_BOUNDS = Measure(
    "collapse_bounds", collapse_bounds, VARIABLES, needs=("train", "head", "parameters", "layers")
)
