"""Balancedness of neighbouring layers, the quantity that weight decay alone moves under gradient descent."""

import itertools

import jax
import jax.numpy as jnp

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.dense_layers import dense_layers, operator_norm
from collapse_jax.measures.precision import matmul

PAIRS = ("layer_pair",)
VARIABLES = {
    "imbalance": Variable(
        "Imbalance of layers",
        "weight^2",
        "||W_{l+1}^T W_{l+1} - W_l W_l^T - b_l b_l^T||_F for the layers l = layer_pair and l + 1",
        PAIRS,
    ),
    "imbalance_kernels": Variable(
        "Imbalance of kernels", "weight^2", "||W_{l+1}^T W_{l+1} - W_l W_l^T||_F, without the bias", PAIRS
    ),
    "imbalance_neurons": Variable(
        "Imbalance of neurons",
        "weight^2",
        "L2 norm over neurons i of ||W_{l+1}[:, i]||^2 - ||W_l[i, :]||^2 - b_l[i]^2",
        PAIRS,
    ),
    "imbalance_normalised": Variable(
        "Imbalance of kernels (normalised)",
        "1",
        "||W_{l+1}^T W_{l+1} - W_l W_l^T||_op / min(||W_{l+1}^T W_{l+1}||_op, ||W_l W_l^T||_op)",
        PAIRS,
    ),
}


def balancedness(snapshot: Snapshot) -> Scalars:
    r"""Measures how far each pair of neighbouring layers is from balance.

    Layers l = 0 ... L-1 (the last is the head), z_{l+1} = s(W_l z_l + b_l), L-1 pairs (l, l+1):

    * `imbalance` = ||D_l||_F, D_l = W_{l+1}^T W_{l+1} - W_l W_l^T - b_l b_l^T
    * `imbalance_neurons` = L2 norm of the diagonal of D_l
    * `imbalance_kernels` = ||W_{l+1}^T W_{l+1} - W_l W_l^T||_F (arXiv:2410.04887 has no biases)
    * `imbalance_normalised` = ||W_{l+1}^T W_{l+1} - W_l W_l^T||_op / min of the two operator norms, as the
      plots of arXiv:2410.04887 have it

    What theory says of them: one step of SGD or GD, theta <- theta - eta (G + lambda theta) with decay on
    every parameter, any batch and any loss, gives

        D_l(t+1) = (1 - eta lambda)^2 D_l(t) + eta^2 (G_{l+1}^T G_{l+1} - G_l G_l^T - g_l g_l^T)

    exactly, g_l being the gradient of b_l: as a matrix if no activation stands between the layers l and l+1,
    and on the diagonal if it is positively homogeneous (ReLU). So `imbalance`, respectively
    `imbalance_neurons`, falls as (1 - eta lambda)^(2t) up to the terms in eta^2; the factor of the loss (1/2
    or not) plays no part. With a smooth leaky ReLU or GELU in between, with momentum and with AdamW, no such
    law holds and the values merely describe.

    All are 0 at balance, quadratic in the weights (the last is unchanged by scaling), and unchanged by a
    permutation of hidden neurons; `imbalance`, `imbalance_kernels` and `imbalance_normalised` by any rotation.

    Limits: differences of squares carry a rounding error of about 10^-7 of ||W||_F^2 in float32, so a decay
    is seen over six decades or so. nan or infinite parameters make the pairs of their layer nan; a layer
    of zeros makes `imbalance_normalised` nan or inf.

    Args:
      snapshot: reads `params`: dense layers `hidden_0`, `hidden_1`, ..., `head`.

    Returns:
      Each variable as [L-1]; nothing without parameters.

    Raises:
      ConfigError: the network is not a chain of dense layers.
    """
    if snapshot.params is None:
        return {}
    layers = dense_layers("balancedness", snapshot.params)
    values: dict[str, list[jax.Array]] = {name: [] for name in VARIABLES}
    sizes = [operator_norm(layer.kernel) for layer in layers]
    for (first, second), pair in zip(itertools.pairwise(layers), itertools.pairwise(sizes), strict=True):
        outer = matmul(second.kernel, second.kernel.T)
        inner = matmul(first.kernel.T, first.kernel)
        difference = outer - inner
        full = difference - first.bias[:, None] * first.bias[None, :]
        values["imbalance"].append(jnp.linalg.norm(full))
        values["imbalance_kernels"].append(jnp.linalg.norm(difference))
        values["imbalance_neurons"].append(jnp.linalg.norm(jnp.diagonal(full)))
        values["imbalance_normalised"].append(operator_norm(difference) / jnp.minimum(*pair) ** 2)
    return {name: jnp.stack(pairs) for name, pairs in values.items()}


def coordinates(snapshot: Snapshot) -> dict[str, list[str]]:
    """Name the pairs of layers "l-m", the first layer being 0 and the last the head."""
    pairs = itertools.pairwise(range(len(snapshot.params)))
    return {"layer_pair": [f"{first}-{second}" for first, second in pairs]}


BALANCEDNESS = Measure("balancedness", balancedness, VARIABLES, needs=("parameters",), coords=coordinates)
