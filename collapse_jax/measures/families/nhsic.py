"""Normalised HSIC of the features with the inputs and with the labels."""

import jax
import jax.numpy as jnp
from jax import lax

from collapse_jax.errors import require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.kernels import (
    by_products,
    label_smoother,
    largest_norm,
    median_distance,
    smoother,
    squared_distances,
)
from collapse_jax.measures.estimators.permutation import (
    PERMUTATIONS,
    against_null,
    compared_variables,
    shuffles,
)
from collapse_jax.measures.estimators.probe_choice import choose_examples
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.precision import matmul

_DEPENDENCE = {
    "nhsic_zx": Variable("nHSIC(Z;X)", "1", "trace(R_Z R_X), features against inputs, mean over batches"),
    "nhsic_zy": Variable("nHSIC(Z;Y)", "1", "trace(R_Z R_Y), features against labels, mean over batches"),
}
_SUPERFLUOUS = {
    "superfluous_nhsic": Variable("nHSIC(Z;X) - nHSIC(Z;Y)", "1", "dependence on the input beyond the label's"),
}
CENTRED, REFERENCE, BOTTLENECK = MODES = ("centred", "reference", "bottleneck")
VARIABLES = compared_variables(
    _DEPENDENCE,
    _SUPERFLUOUS,
    "rows permuted in the batch, on one side",
    "inputs permuted in the batch within their class",
    error="standard error for a fresh sample of examples; nan for a single batch",
)


def nhsic(
    snapshot: Snapshot,
    *,
    mode: str = CENTRED,
    bandwidth: str = "median",
    sigma: float | None = None,
    epsilon: float | None = None,
    rms: bool = False,
    batch_size: int = 100,
    permutations: int = PERMUTATIONS,
    split: str = "auto",
    seed: int = 0,
) -> Scalars:
    """Normalised Hilbert-Schmidt independence criterion (Ma, Lewis & Kleijn 2020, as in arXiv:2509.20829).

    For a batch of n examples, a kernel matrix K [n, n], H = I - 11^T/n and c = epsilon n,

        R = A (A + c I)^-1,    nHSIC(A;B) = trace(R_A R_B),    averaged over batches. No unit.

    * mode "centred" (default): A = HKH on both sides. Features and inputs: K_ij = exp(-d_ij^2 / (2 (sigma s)^2)),
      sigma = 1, epsilon = 1e-3, with s of the batch: the median distance of rows that differ (bandwidth "median",
      as Gretton et al. 2012 choose it) or the largest norm (bandwidth "sup_norm"). Scaling the features changes
      nothing; an isometry nothing either with "median", where "sup_norm" depends on the place of the origin and
      on the one largest row. Labels: K = Y Y^T, one-hot. Values lie in [0, n - 1], nHSIC(Z;Y) below K - 1.
    * mode "reference": what the code of arXiv:2509.20829 computes. A = KH, centred on one side, with
      K_ij = exp(-d_ij^2 / (2 sigma^2 dim)), sigma = 5, epsilon = 1e-5 and dim the number of columns; labels
      K = Y Y^T, not centred. Features that merely shrink make it fall; `bandwidth` is not read.
    * mode "bottleneck": its ancestor (the code of arXiv:1908.01580): as "reference", the labels with the Gaussian
      kernel of their one-hot rows, too.

    With `rms` the features of a batch are divided by the root of their mean square first, so that scaling them
    changes nothing in any mode; it is without effect where the bandwidth follows the features.

    nHSIC counts directions that both kernels resolve (eigenvalues above epsilon n). Where epsilon is so small that
    the kernel of the inputs resolves nearly all n directions, nHSIC(Z;X) is close to trace(R_Z), whether Z and X
    are related or not. So read every value against its null, and compare equal batch sizes only. It is no amount
    of information: the difference `superfluous_nhsic` may be negative.

    `_null`, `_null_sd` and `_p` compare with permutations of the rows of one side within each batch. For
    `superfluous_nhsic` they stay within their class: what is left where the features know the label and nothing
    else of the input, which is far from 0. The kernels are permuted, not computed anew.

    `_error` is the standard deviation over the batches over the square root of their number. Batches are disjoint
    and each has its own bandwidth, so that it is that of a fresh sample of as many examples; it knows nothing of
    the bias that a batch of n has.

    Limits: batches are drawn from a fixed permutation; a last incomplete one is left out, and fewer than
    `batch_size` examples make one batch. Where more than half of the pairs of rows lie within classes (two
    classes, one of them rare), the median is a distance within them. nan and infinite features give nan, as do
    features that are all zero with "sup_norm" or `rms`; all features equal: 0. Kernels that are nearly singular
    against epsilon cost digits: modes "reference" and "bottleneck" are right to 3 digits in float32.

    Args:
      snapshot: features and labels, for `nhsic_zx` also inputs, of the chosen probe; `num_classes`.
      mode: "centred", "reference" or "bottleneck".
      bandwidth: "median" or "sup_norm".
      sigma: width of the Gaussian kernel, in the unit of the mode; None: the value of the mode.
      epsilon: regularisation; None: the value of the mode.
      rms: whether features are divided by the root of the mean square of all their entries in the batch.
      batch_size: n.
      permutations: of the null; 0 leaves it out.
      split: "train", "test" or "auto" (test if its inputs are there, else train).
      seed: of the order of the examples and of the null.

    Returns:
      `nhsic_zy`, and `nhsic_zx` and `superfluous_nhsic` where there are inputs, each with error and null.
    """
    require_one_of("mode", mode, MODES)
    require_one_of("bandwidth", bandwidth, ("median", "sup_norm"))
    require_at_least("batch_size", batch_size, 2)
    require_at_least("permutations", permutations, 0)
    one_sided = mode != CENTRED
    if sigma is None:
        sigma = 5.0 if one_sided else 1.0
    if epsilon is None:
        epsilon = 1e-5 if one_sided else 1e-3
    examples = choose_examples(snapshot, split)
    spaces = {"z": examples.features}
    if examples.inputs is not None:
        spaces["x"] = examples.inputs
    total = len(examples.labels)
    size = min(batch_size, total)
    key, null_key = jax.random.split(jax.random.key(seed))
    rows = jax.random.permutation(key, total)[: total // size * size].reshape(-1, size)
    constant = epsilon * size

    def smoothed(points: jax.Array) -> jax.Array:
        squares = squared_distances(points)
        if one_sided:
            scale: jax.Array | float = points.shape[1] ** 0.5
        else:
            scale = median_distance(squares) if bandwidth == "median" else largest_norm(points)
        # K - 1 in the place of K: centring removes the 1, and with it the digits it would cost in float32.
        return smoother(jnp.expm1(-squares / (2 * (sigma * scale) ** 2)), constant, one_sided, solve=by_products)

    def one_batch(batch: tuple[jax.Array, jax.Array]) -> tuple[Scalars, Scalars]:
        chosen, null_key = batch
        # What depends on inputs and labels alone is not batched where runs share them, so vmap computes it once.
        points = {name: space[chosen] for name, space in spaces.items()}
        if rms:
            points["z"] = points["z"] / jnp.sqrt(jnp.mean(points["z"] ** 2))
        smoothers = {name: smoothed(rows) for name, rows in points.items()}
        labels = examples.labels[chosen]
        one_hot = jax.nn.one_hot(labels, snapshot.num_classes, dtype=examples.features.dtype)
        if mode == REFERENCE:
            smoothers["y"] = label_smoother(one_hot, constant)
        elif mode == BOTTLENECK:
            smoothers["y"] = smoothed(one_hot)
        else:
            smoothers["y"] = smoother(matmul(one_hot, one_hot.T), constant, solve=by_products)
        return _traces(smoothers, labels, null_key, permutations)

    values, draws = lax.map(one_batch, (rows, jax.random.split(null_key, len(rows))))
    result = {name: jnp.mean(value) for name, value in values.items()}
    for name, value in values.items():
        alone = len(rows) < 2
        spread = jnp.full_like(result[name], jnp.nan) if alone else jnp.std(value, ddof=1)
        result[f"{name}_error"] = spread / len(rows) ** 0.5
    return result | against_null(result, {name: jnp.mean(drawn, axis=0) for name, drawn in draws.items()})


def _traces(
    smoothers: dict[str, jax.Array], labels: jax.Array, key: jax.Array, permutations: int
) -> tuple[Scalars, Scalars]:
    """trace(R_Z R_X), trace(R_Z R_Y) and their difference of a batch, and the same [P] after permutations."""

    def permuted(name: str, orders: jax.Array) -> jax.Array:
        # The side that runs share is permuted, so that vmap over runs does it once for all of them.
        other = smoothers[name].T
        moved = jax.vmap(lambda order: other[order][:, order])(orders).reshape(len(orders), -1)
        return matmul(moved, smoothers["z"].reshape(-1))

    sides = [name for name in ("x", "y") if name in smoothers]
    # A product, since XLA on CPU adds up the last axis number by number.
    others = jnp.stack([smoothers[name].T.reshape(-1) for name in sides])
    traces = matmul(others, smoothers["z"].reshape(-1))
    values = {f"nhsic_z{name}": trace for name, trace in zip(sides, traces, strict=True)}
    if "x" in smoothers:
        values["superfluous_nhsic"] = values["nhsic_zx"] - values["nhsic_zy"]
    if not permutations:
        return values, {}
    orders, orders_within = shuffles(key, labels, permutations)
    draws = {f"nhsic_z{name}": permuted(name, orders) for name in sides}
    if "x" in smoothers:
        # Within classes the dependence on the labels stays as it is.
        within = permuted("x", orders_within)
        draws["superfluous_nhsic"] = within - values["nhsic_zy"]
    return values, draws


NHSIC = Measure("nhsic", nhsic, VARIABLES, needs=("probe",))
