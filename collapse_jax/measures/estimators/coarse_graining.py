"""Coarse-graining of parameters by a rank threshold tau and a bin width Delta.

Source: "The Complexity Dynamics of Grokking" (DeMoss et al., arXiv:2412.09810), Equations 11, 13 and 14. Every
shape is static: ranks are masks, so that thousands of points (tau, Delta) are one compiled program.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.scipy.special import xlogy

from collapse_jax.errors import require_one_of
from collapse_jax.measures.precision import at_least_float32, matmul

MODES = ("corrected", "paper", "reference")
RAW = -1  # in the place of the rank of a matrix that is not factored
BINS = 4096  # codes beyond +-2048 count as the outermost


@struct.dataclass
class Tensor:
    """A tensor of parameters, decomposed once; all axes but the last are the rows of a matrix.

    Attributes:
      weights: [m, n], unused rows zero; a vector is [1, n].
      used: [m] rows that count.
      left: U diag(s) [m, r] with the r columns that can be worth keeping: r (m + n) < m n; None for a vector.
      right: V^T [r, n].
      values: [min(m, n)] all singular values s, largest first; None for a vector.
    """

    weights: jax.Array
    used: jax.Array
    left: jax.Array | None = None
    right: jax.Array | None = None
    values: jax.Array | None = None


def named(params: Any) -> dict[str, Any]:
    """The tensors of a tree as "attention/q/kernel" -> leaf, in the order of `jax.tree.leaves`: sorted by name."""
    paths = jax.tree_util.tree_flatten_with_path(params)[0]
    return {"/".join(str(getattr(key, "key", key)) for key in path): leaf for path, leaf in paths}


def is_kernel(name: str) -> bool:
    """Whether a tensor is the weights of a dense or convolutional layer, by linen's name for them."""
    return name.rpartition("/")[2] == "kernel"


def matrices(params: Any) -> tuple[str, ...]:
    """The names of the tensors with two axes or more."""
    return tuple(name for name, leaf in named(params).items() if len(leaf.shape) >= 2)


def decompose(params: Any, used: dict[str, jax.Array]) -> dict[str, Tensor]:
    """Take every tensor apart, matrices by one singular value decomposition each.

    Args:
      params: tree of parameters.
      used: rows that count, by the name of a matrix; all, of those that are not named.
    """
    return {name: _decompose(leaf, used.get(name)) for name, leaf in named(params).items()}


def _decompose(leaf: jax.Array, used: jax.Array | None) -> Tensor:
    leaf = at_least_float32(leaf)
    if leaf.ndim < 2:
        return Tensor(leaf.reshape(1, -1), jnp.ones(1, bool))
    weights = leaf.reshape(-1, leaf.shape[-1])
    (m, n), used = weights.shape, jnp.ones(len(weights), bool) if used is None else used
    weights = jnp.where(used[:, None], weights, 0)
    left, values, right = jnp.linalg.svd(weights, full_matrices=False)
    kept = (m * n - 1) // (m + n)
    return Tensor(weights, used, left[:, :kept] * values[None, :kept], right[:kept], values)


def quantised(weights: jax.Array, bin_width: Any) -> jax.Array:
    """The nearest multiples of `bin_width`; never -0, which would be another pattern of bytes."""
    rounded = jnp.round(weights / bin_width) * bin_width
    return jnp.where(rounded == 0, 0, rounded)


def rank(tensor: Tensor, threshold: jax.Array, mode: str) -> jax.Array:
    """The rank k at which a matrix is kept, `RAW` where its factors are no smaller than itself, and for a vector.

    Equation 13: k = min{k: s_1 + ... + s_k >= tau sum(s)}. The mode "reference" counts the partial sums below
    tau sum(s), as the authors' code does: one less, and 0 for a small tau. Factors are kept where k (m + n) < m n,
    m the rows that are used.
    """
    if tensor.values is None:
        return jnp.array(RAW, jnp.int32)
    below = jnp.sum(jnp.cumsum(tensor.values) < threshold * jnp.sum(tensor.values))
    k = below if mode == "reference" else jnp.minimum(below + 1, len(tensor.values))
    m, n = jnp.sum(tensor.used), tensor.weights.shape[1]
    return jnp.where(k * (m + n) < m * n, k, RAW).astype(jnp.int32)


def ranks(tensors: dict[str, Tensor], threshold: jax.Array, mode: str) -> jax.Array:
    """[L] the rank of every tensor, in their order."""
    return jnp.stack([rank(tensor, threshold, mode) for tensor in tensors.values()])


def coarse(tensors: dict[str, Tensor], params: Any, kept: jax.Array, bin_width: jax.Array) -> Any:
    """The coarse-grained parameters, a tree like `params`: Q(U s) Q(V^T) at rank k, or Q(W) where k is `RAW`."""
    leaves = []
    for tensor, k, leaf in zip(tensors.values(), kept, jax.tree.leaves(params), strict=True):
        weights = quantised(tensor.weights, bin_width)
        if tensor.left is not None and tensor.right is not None:
            on = (jnp.arange(len(tensor.right)) < k)[:, None]
            factors = quantised(tensor.left * on.T, bin_width), quantised(tensor.right * on, bin_width)
            weights = jnp.where(k == RAW, weights, matmul(*factors))
        leaves.append(weights.reshape(leaf.shape))
    return jax.tree.unflatten(jax.tree.structure(params), leaves)


def entropy_bytes(tensors: dict[str, Tensor], kept: jax.Array, bin_width: jax.Array) -> jax.Array:
    """Bytes at the zero-order entropy of the integer codes: sum over arrays of (number of codes) H(codes) / 8.

    It ranks as bzip2 does (log-log correlation .9995) without leaving the device. Rounding leaves about 1e-6 of it.
    """
    total = jnp.zeros(())
    for tensor, k in zip(tensors.values(), kept, strict=True):
        rows = tensor.used[:, None]
        own = _information(tensor.weights / bin_width, rows)
        if tensor.left is not None and tensor.right is not None:
            on = (jnp.arange(len(tensor.right)) < k)[:, None]
            left = _information(tensor.left / bin_width, rows & on.T)
            own = jnp.where(k == RAW, own, left + _information(tensor.right / bin_width, on))
        total += own
    return total / jnp.log(2.0) / 8


def _information(scaled: jax.Array, counted: jax.Array) -> jax.Array:
    """N H of the rounded numbers that count, in nats: N log N - sum_c n_c log n_c."""
    half = BINS // 2
    codes = jnp.clip(jnp.round(jnp.nan_to_num(scaled)), -half, half - 1).astype(jnp.int32) + half
    weights = jnp.broadcast_to(counted, scaled.shape).astype(jnp.float32)
    counts = jnp.zeros(BINS).at[codes.ravel()].add(weights.ravel())
    total = jnp.sum(counts)
    return xlogy(total, total) - jnp.sum(xlogy(counts, counts))


def check_mode(mode: str) -> None:
    """Raise `ConfigError` unless it is one of `MODES`."""
    require_one_of("mode", mode, MODES)
