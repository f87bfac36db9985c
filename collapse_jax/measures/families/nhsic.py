"""Normalised HSIC of the features with the inputs and with the labels."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve

from collapse_jax.errors import require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.probe_choice import choose_examples
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.precision import matmul
from collapse_jax.measures.splits import varied

_KINDS = {
    "": ("", "{}"),
    "_null": (", null", "{}, after the rows of the features were permuted: what it says where nothing is shared"),
    "_error": (", error", "{}: standard error, from the spread over batches; nan for a single batch"),
}
VARIABLES = varied(
    {
        "nhsic_zx": Variable("nHSIC(Z;X)", "1", "trace(R_Z R_X), features against inputs, mean over batches"),
        "nhsic_zy": Variable("nHSIC(Z;Y)", "1", "trace(R_Z R_Y), features against labels, mean over batches"),
        "superfluous_nhsic": Variable("nHSIC(Z;X) - nHSIC(Z;Y)", "1", "dependence on the input beyond the label's"),
    },
    _KINDS,
)


def nhsic(
    snapshot: Snapshot,
    *,
    mode: str = "centred",
    bandwidth: str = "sup_norm",
    sigma: float | None = None,
    epsilon: float | None = None,
    batch_size: int = 100,
    split: str = "auto",
    seed: int = 0,
) -> Scalars:
    """Normalised Hilbert-Schmidt independence criterion (Ma, Lewis & Kleijn 2020, as in arXiv:2509.20829).

    For a batch of n examples, a kernel matrix K [n, n], H = I - 11^T/n and c = epsilon n,

        R = A (A + c I)^-1,    nHSIC(A;B) = trace(R_A R_B),    averaged over batches. No unit.

    * mode "centred" (default): A = HKH on both sides. Features and inputs: K_ij = exp(-d_ij^2 / (2 (sigma s)^2)),
      with s their largest norm in the whole probe (bandwidth "sup_norm") or the median distance of different
      rows of the batch (bandwidth "median"), sigma = 1, epsilon = 1e-3: multiplying the features changes nothing.
      Labels: K = Y Y^T, one-hot. Both values lie in [0, n - 1], and nHSIC(Z;Y) below K - 1.
    * mode "reference": what the code of arXiv:2509.20829 computes. A = KH, centred on one side, with
      K_ij = exp(-d_ij^2 / (2 sigma^2 dim)), sigma = 5, epsilon = 1e-5 and dim the number of columns; labels
      K = Y Y^T, not centred. Features that merely shrink make it fall; `bandwidth` is not read.

    nHSIC counts directions that both kernels resolve (eigenvalues above epsilon n). Where epsilon is so small that
    the kernel of the inputs resolves nearly all n directions, nHSIC(Z;X) is close to trace(R_Z), whether Z and X
    are related or not: on 100 MNIST images and random ReLU features the default mode with epsilon = 1e-5 gives 95.5
    against a null of 95.5, with 1e-3 29.3 against 24.9. So read every value against its null (rows of the
    features permuted within the batch), and compare equal batch sizes only. It is no amount of information: the
    difference `superfluous_nhsic` may be negative. `_error` is the standard deviation over the batches, which are
    disjoint, over the square root of their number: it knows nothing of the bias that a batch of n has.

    Limits: batches are drawn from a fixed permutation; a last incomplete one is left out, and fewer than
    `batch_size` examples make one batch. Features that are all zero ("sup_norm") or of which more than half of
    the pairs are equal ("median") give nan, as do nan and infinite features. All features equal: 0. Kernels that
    are nearly singular against epsilon cost digits: mode "reference" is right to 3 digits in float32.

    Args:
      snapshot: features and labels, for `nhsic_zx` also inputs, of the chosen probe; `num_classes`.
      mode: "centred" or "reference".
      bandwidth: "sup_norm" or "median".
      sigma: width of the Gaussian kernel, in the unit of the mode; None: the value of the mode.
      epsilon: regularisation; None: the value of the mode.
      batch_size: n.
      split: "train", "test" or "auto" (test if its inputs are there, else train).
      seed: of the order of the examples and of the null.

    Returns:
      `nhsic_zy`, and `nhsic_zx` and `superfluous_nhsic` where there are inputs, each with null and error.
    """
    require_one_of("mode", mode, ("centred", "reference"))
    require_one_of("bandwidth", bandwidth, ("sup_norm", "median"))
    require_at_least("batch_size", batch_size, 2)
    reference = mode == "reference"
    if sigma is None:
        sigma = 5.0 if reference else 1.0
    if epsilon is None:
        epsilon = 1e-5 if reference else 1e-3
    examples = choose_examples(snapshot, split)
    spaces = {"z": examples.features}
    if examples.inputs is not None:
        spaces["x"] = examples.inputs
    scales = {
        name: sigma * (points.shape[1] ** 0.5 if reference else _largest_norm(points))
        for name, points in spaces.items()
    }
    total = len(examples.labels)
    size = min(batch_size, total)
    key, null_key = jax.random.split(jax.random.key(seed))
    rows = jax.random.permutation(key, total)[: total // size * size].reshape(-1, size)
    constant = epsilon * size

    def one_batch(batch: tuple[jax.Array, jax.Array]) -> Scalars:
        chosen, null_key = batch
        # What depends on inputs and labels alone is not batched where runs share them, so vmap computes it once.
        smoothers = {}
        for name, points in spaces.items():
            squares = squared_distances(points[chosen])
            scale = sigma * _median(squares) if bandwidth == "median" and not reference else scales[name]
            # K - 1 in the place of K: centring removes the 1, and with it the digits it would cost in float32.
            kernel = jnp.expm1(-squares / (2 * scale**2))
            smoothers[name] = smoother(kernel, constant, one_sided=reference)
        one_hot = jax.nn.one_hot(examples.labels[chosen], snapshot.num_classes, dtype=examples.features.dtype)
        if reference:
            smoothers["y"] = label_smoother(one_hot, constant)
        else:
            smoothers["y"] = smoother(matmul(one_hot, one_hot.T), constant)
        order = jax.random.permutation(null_key, size)
        result = {}
        for name in smoothers.keys() - {"z"}:
            other = smoothers[name].T
            result[f"nhsic_z{name}"] = jnp.sum(smoothers["z"] * other)
            result[f"nhsic_z{name}_null"] = jnp.sum(smoothers["z"] * other[order][:, order])
        if "x" in smoothers:
            for kind in ("", "_null"):
                result[f"superfluous_nhsic{kind}"] = result[f"nhsic_zx{kind}"] - result[f"nhsic_zy{kind}"]
        return result

    values = lax.map(one_batch, (rows, jax.random.split(null_key, len(rows))))
    result = {name: jnp.mean(value) for name, value in values.items()}
    for name in [name for name in values if not name.endswith("_null")]:
        error = (
            jnp.std(values[name], ddof=1) / len(rows) ** 0.5
            if len(rows) > 1
            else jnp.full_like(result[name], jnp.nan)
        )
        result[f"{name}_error"] = error
    return result


def squared_distances(points: jax.Array) -> jax.Array:
    """[n, n] squared Euclidean distances of the rows of `points` [n, d]."""
    # A common offset would take digits from the products.
    points = points - jnp.mean(points, axis=0, keepdims=True)
    squares = jnp.sum(points**2, axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * matmul(points, points.T)
    return jnp.where(jnp.eye(len(points), dtype=bool), distances * 0, jnp.maximum(distances, 0))


def smoother(kernel: jax.Array, constant: float, one_sided: bool = False) -> jax.Array:
    """[n, n] R = A (A + c I)^-1 with A = HKH, or A = KH if `one_sided`, of a symmetric kernel K."""
    # K H (K H + c)^-1 = K H (H K H + c)^-1, so both need one Cholesky factor of a symmetric matrix.
    half = kernel - jnp.mean(kernel, axis=0, keepdims=True)
    centred = half - jnp.mean(half, axis=1, keepdims=True)
    factor = cho_factor(centred + constant * jnp.eye(len(kernel), dtype=kernel.dtype))
    return cho_solve(factor, half if one_sided else centred).T


def label_smoother(one_hot: jax.Array, constant: float) -> jax.Array:
    """[n, n] R = K (K + c I)^-1 of the kernel K = Y Y^T of one-hot labels Y [n, K], not centred."""
    # The eigenvectors of K are the indicators of the classes, its eigenvalues their sizes.
    return matmul(one_hot / (one_hot.sum(0) + constant)[None, :], one_hot.T)


def _largest_norm(points: jax.Array) -> jax.Array:
    # The largest entry first, so that squares neither overflow nor vanish.
    largest = jnp.max(jnp.abs(points))
    return largest * jnp.sqrt(jnp.max(jnp.sum((points / largest) ** 2, axis=1)))


def _median(squares: jax.Array) -> jax.Array:
    """Median distance over pairs of different rows."""
    return jnp.median(jnp.sqrt(squares[jnp.triu_indices(len(squares), 1)]))


NHSIC = Measure("nhsic", nhsic, VARIABLES, needs=("probe",))
