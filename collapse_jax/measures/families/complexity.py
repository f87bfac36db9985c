"""The smallest size of the parameters that keeps the training loss within each of several distortions.

Source: "The Complexity Dynamics of Grokking" (DeMoss et al., arXiv:2412.09810); bound of Lotfi et al.
(arXiv:2312.17173). docs/complexity.md says what the number is and is not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.errors import ConfigError, require, require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot
from collapse_jax.measures.estimators import coarse_graining as coarse
from collapse_jax.measures.estimators import messages
from collapse_jax.measures.estimators.evaluation import evaluate, thinned
from collapse_jax.measures.estimators.rate_search import search
from collapse_jax.measures.estimators.spectral_entropy import spectral_entropy
from collapse_jax.measures.estimators.unused_rows import used_rows
from collapse_jax.measures.families.complexity_host import UNITS, smallest
from collapse_jax.measures.families.complexity_variables import VARIABLES

DISTORTIONS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125, 0.0625)
THRESHOLDS = (0.02, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 1.0)
# Bin widths that are screened: the paper's box, else down to 1 / 2048 of a width at which all parameters are 0.
WIDTHS, BOX, DEPTH = 10, (1e-3, 1.0), 2048.0
SCREENED = 256  # examples
FINALISTS, ROUNDS = 2, 3


def complexity(
    snapshot: Snapshot,
    *,
    distortions: Sequence[float] = DISTORTIONS,
    mode: str = "corrected",
    delta: float = 0.05,
    unit: str = "nat",
) -> Scalars:
    r"""Bytes of the coarse-grained parameters: the smallest found with |L(coarse) - L| < d, for every distortion d.

    With a bin width D and a rank threshold tau for the whole network, Q(W) = round(W / D) D, and every matrix with
    W = U diag(s) V^T is told as Q(U_k diag(s_k)) and Q(V_k^T), k = min{k: s_1 + ... + s_k >= tau sum(s)}, where
    these are fewer numbers than its own (k (m + n) < m n), else as Q(W). Tensors of more axes (convolutions) are
    matrices [all axes but the last, last]; vectors are Q. L is the mean loss of the sweep over the whole training
    set.

    * `complexity` [distortion]: bytes of the message; see `mode`. `complexity_threshold`, `complexity_bin_width`,
      `complexity_distortion`: tau, D and L(coarse) - L where it was found.
    * `quantised_complexity` [distortion]: the same at tau = 1, nothing factored (Algorithm 2 of the paper).
    * `coarse_train_loss`, `coarse_train_error`, and `coarse_test_loss` where there is a test probe, [distortion].
    * `description_length` [distortion]: `complexity` plus n H / (8 ln 2) bytes, H the mean of -log softmax(f)_y in
      nats of the coarse network: the training labels, told with its predictions, whatever the training loss is.
    * `complexity_gap` [distortion] = sqrt((K + 2 ln K + ln(1 / delta)) / (2 n)), K the bits of `complexity`, times
      ln 2 with unit="nat". `generalisation_bound` = `coarse_train_error` plus that: with probability 1 - delta
      over the training set no less than the expected error of the coarse network; above 1 it says nothing.
    * `naive_size`: bytes of every tensor compressed alone, not quantised.
    * `weight_effective_rank`, `weight_spectral_entropy` [matrix]: exp H and H = -sum p ln p (nats), p = s / sum(s);
      `weight_effective_rank_mean` = sum of effective ranks times numbers of entries over the number of parameters.

    Modes:
      corrected: rows of tables that no training example looks up are left out; the message holds all that a
        receiver needs (`messages.message`: D, shapes, ranks, rows); D from 2.5 max|theta|, where all is 0, down to
        1 / 2048 of it.
      paper: all rows; float32 little-endian in the order of names, without side information; D in [1e-3, 1].
      reference: as the authors' code has it: k one less, at small tau 0; the loss -log of the softmax, whose
        underflow makes the loss of the network nan and everything feasible; L(coarse) <= L + d, one-sided; bytes of
        a pickle of jax arrays. The code tests on the last minibatch of the epoch, which no snapshot knows:
        here it is the training set. The search is this one, not its own.

    Limits: an upper bound, no minimum: no smaller candidate was found. d is in the unit of the sweep's loss: with
    squared error 4 is no small number. Where nothing is found feasible the network is told as it is (D = 0,
    tau = 1, distortion 0). A network whose loss is not finite: nan. A matrix of zeros has no spectrum: nan.

    Args:
      snapshot: reads `params`, the examples and labels of `train` (and `test`), `network` and `loss`.
      distortions: d > 0.
      mode: "corrected", "paper" or "reference".
      delta: of the bound, in (0, 1).
      unit: of K in the bound, "nat" or "bit" (the paper does not say; bits give a looser bound).

    Returns:
      What `complexity_host.smallest` chooses from: finalists of every distortion, and the decomposed tensors.

    Raises:
      ConfigError: an option is not allowed.
    """
    _check(distortions, mode, delta, unit)
    train, test = snapshot.train, snapshot.test
    if snapshot.network is None or train is None or train.examples is None:
        raise ConfigError("measures", "complexity", "needs the network, its loss and the train examples")
    tensors = coarse.decompose(snapshot.params, used_rows(snapshot) if mode == "corrected" else {})
    few = thinned(train, SCREENED)

    def seen(probe: Any, tau: jax.Array, width: jax.Array) -> jax.Array:
        kept = coarse.ranks(tensors, tau, mode)
        return evaluate(snapshot, coarse.coarse(tensors, snapshot.params, kept, width), probe, mode)

    began, began_few = (evaluate(snapshot, snapshot.params, probe, mode) for probe in (train, few))

    def evaluated(tau: jax.Array, width: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = seen(train, tau, width)
        return distortion(values[0], began[0], mode), values

    # The reference allows the limit itself.
    allowed = jnp.asarray(distortions, began.dtype) * (1 + 1e-6 * (mode == "reference"))
    found = search(
        lambda tau, width: distortion(seen(few, tau, width)[0], began_few[0], mode),
        evaluated,
        lambda tau, width: coarse.entropy_bytes(tensors, coarse.ranks(tensors, tau, mode), width),
        allowed,
        jnp.array(THRESHOLDS),
        widths(snapshot.params, mode),
        FINALISTS,
        ROUNDS,
    )
    threshold, width = found.threshold, found.width
    over_all = jax.lax.map(lambda tau: coarse.ranks(tensors, tau, mode), threshold.ravel())
    result = messages.packed(tensors, snapshot.params) | {
        "began": began,
        "threshold": threshold,
        "width": width,
        "ranks": over_all.reshape(*threshold.shape, -1),
        "seen": found.seen,
        "distortion": distortion(found.seen[..., 0], began[0], mode),
        "allowed": allowed,
        "examples": jnp.array(len(train.labels)),
    }
    if test is not None and test.examples is not None:
        points = (threshold.ravel(), width.ravel())
        losses = jax.lax.map(lambda point: seen(test, *point)[0], points)
        result |= {
            "test": losses.reshape(threshold.shape),
            "test_began": evaluate(snapshot, snapshot.params, test, mode)[0],
        }
    return result | _spectra(tensors)


def widths(params: Any, mode: str) -> jax.Array:
    """[J] the bin widths that are screened, equal steps of the logarithm."""
    low, high = jnp.array(BOX[0]), jnp.array(BOX[1])
    if mode == "corrected":
        high = 2.5 * jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(params)]))
        high = jnp.where(high > 0, high, 1.0)
        low = high / DEPTH
    return jnp.exp(jnp.linspace(jnp.log(low), jnp.log(high), WIDTHS))


def distortion(loss: jax.Array, began: jax.Array, mode: str) -> jax.Array:
    """How much worse (in the mode "reference"), or how different, a loss is; infinite where it is not defined."""
    change = loss - began
    if mode == "reference":
        change = jnp.where(jnp.isnan(began), -jnp.inf, change)
        return jnp.where(jnp.isfinite(loss), change, jnp.inf)
    return jnp.where(jnp.isfinite(change), jnp.abs(change), jnp.inf)


def _spectra(tensors: Mapping[str, coarse.Tensor]) -> Scalars:
    kept = [tensor for tensor in tensors.values() if tensor.values is not None]
    if not kept:
        return {}
    entropies = jnp.stack([spectral_entropy(t.values) for t in kept if t.values is not None])
    entries = jnp.stack([jnp.sum(t.used) * t.weights.shape[1] for t in kept])
    total = sum(jnp.sum(t.used) * t.weights.shape[1] for t in tensors.values())
    return {
        "weight_spectral_entropy": entropies,
        "weight_effective_rank": jnp.exp(entropies),
        "weight_effective_rank_mean": jnp.sum(jnp.exp(entropies) * entries) / total,
    }


def _check(distortions: Sequence[float], mode: str, delta: float, unit: str) -> None:
    coarse.check_mode(mode)
    require_one_of("unit", unit, UNITS)
    allowed = "must be numbers > 0, at least one"
    right = isinstance(distortions, Sequence) and len(distortions) > 0 and all(map(_is_positive, distortions))
    require(right, "distortions", distortions, allowed)
    require(isinstance(delta, int | float) and 0 < delta < 1, "delta", delta, "must lie between 0 and 1")


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def coordinates(snapshot: Snapshot, *, distortions: Sequence[float] = DISTORTIONS) -> dict[str, Sequence[Any]]:
    """Name the distortions by their values and the matrices by their paths."""
    return {"distortion": tuple(map(float, distortions)), "matrix": coarse.matrices(snapshot.params)}


COMPLEXITY = Measure(
    "complexity",
    complexity,
    VARIABLES,
    needs=("parameters", "train"),
    finish=smallest,
    one_by_one=True,
    coords=coordinates,
)
