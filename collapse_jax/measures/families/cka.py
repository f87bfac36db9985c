"""Linear centred kernel alignment (CKA) between layers, and of each layer with itself at initialisation.

Sources: arXiv:1905.00414 (Kornblith et al.: linear CKA), Song et al., JMLR 13 (2012) 1393 (the unbiased estimate of
HSIC), arXiv:2010.15327 (Nguyen, Raghu and Kornblith: its use in CKA, "debiased").
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.permutation import PERMUTATIONS, against_null, null_variables, shuffles
from collapse_jax.measures.precision import at_least_float32, matmul
from collapse_jax.measures.splits import SUFFIXES, for_each_probe

_PAIR = ("layer", "other_layer")
_BROKEN = "rows of the second layer, or of the initial network, permuted among the examples"
_CKA = for_each_probe(
    {
        "cka": Variable("Linear CKA", "1", "||X^T Y||^2 / (||X^T X|| ||Y^T Y||), X and Y centred", _PAIR),
        "cka_debiased": Variable(
            "Linear CKA, debiased", "1", "the same ratio of unbiased estimates of HSIC; 0 for independent", _PAIR
        ),
    }
) | {
    "cka_initial": Variable(
        "Linear CKA with initial", "1", "linear CKA of a layer and the same one of theta_0; train", ("layer",)
    ),
    "cka_initial_debiased": Variable(
        "Linear CKA with initial, debiased",
        "1",
        "debiased CKA of a layer and the same of theta_0; train",
        ("layer",),
    ),
}
VARIABLES = _CKA | null_variables(_CKA, _BROKEN)


def cka(snapshot: Snapshot, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Scalars:
    r"""How alike the outputs of two layers are, up to rotation and scale, for the same N examples.

    With centred outputs X [N, D], Y [N, D'] of two layers, K = X X^T, L = Y Y^T, and K~, L~ the same with zeros on
    the diagonal:

    * `cka` [layer, other_layer] = ||X^T Y||_F^2 / (||X^T X||_F ||Y^T Y||_F), in [0, 1]
    * `cka_debiased` [layer, other_layer] = U(K, L) / sqrt(U(K, K) U(L, L)), U the unbiased estimate of HSIC,
      U(K, L) = (tr K~L~ + (1^T K~ 1) (1^T L~ 1) / ((N-1) (N-2)) - 2 / (N-2) 1^T K~L~ 1) / (N (N-3))
    * `cka_initial`, `cka_initial_debiased` [layer]: the same of a layer and the same layer of the initial network
      theta_0 on the train examples, where there are parameters

    1 for layers that are rotations, shifts and scalings of one another. Both are symmetric in the two layers. The
    suffix `_test` is for the outputs for test examples.

    What chance gives: `cka` of independent features is far from 0 unless N is much larger than D, and near 1 for D
    much larger than N, so that it may not be compared between layers of different widths or numbers of examples;
    `cka_debiased` is 0 on average then. Both come with `_null`, `_null_sd`, `_p`: the rows of the second layer
    permuted.

    Between steps: a snapshot knows theta_0 and no other step. For any two steps give the features of both as two
    layers, `measure_arrays("cka", train_layers=[earlier, later], ...)`, and read the entry [0, 1].

    Limits: a layer without variance is nan; so are N < 4, and debiased values where U(K, K) is not positive (noise
    in which nothing repeats). A few directions of large variance decide: 1 does not say that the others agree.
    Networks with BatchNorm have no `cka_initial`: the running statistics of theta_0 are not kept. All examples go
    through the initial network at once. Time and memory are those of a matrix product of all outputs, N at most of
    each layer, P + 1 times.

    Args:
      snapshot: `layers` of `train`, of `test` where they are there; `initial`, `network` and `examples`.
      permutations: P of the null; 0 leaves it out.
      seed: of the permutations, which are the same for all runs, steps and layers.
    """
    result: Scalars = {}
    keys = jax.random.split(jax.random.key(seed), len(SUFFIXES))
    for key, (kind, probe) in zip(keys, snapshot.probes.items(), strict=False):
        if probe.layers is None:
            continue
        orders = shuffles(key, probe.labels, permutations)[0]
        layers = _Layers(probe.layers)
        result |= _compared("cka{}" + SUFFIXES[kind], layers.alignment, layers, orders)
        if kind == "train" and (first := _initial_layers(snapshot)):
            result |= _compared("cka_initial{}", layers.own_alignment, _Layers(first), orders)
    return result


def _compared(
    name: str,
    alignment: Callable[["_Layers"], tuple[jax.Array, jax.Array]],
    other: "_Layers",
    orders: jax.Array,
) -> Scalars:
    """CKA and debiased CKA with `other`, and their nulls by `orders` [P, N] of its rows."""

    def named(others: "_Layers") -> Scalars:
        return dict(zip((name.format(""), name.format("_debiased")), alignment(others), strict=True))

    values = named(other)
    draws = lax.map(lambda order: named(other.permuted(order)), orders) if len(orders) else {}
    return values | against_null(values, draws)


class _Layers:
    """The outputs of L layers [N, D_l], centred, side by side in one matrix."""

    def __init__(self, layers: Sequence[jax.Array]):
        reduced = [_reduced(at_least_float32(layer)) for layer in layers]
        self.rows = jnp.concatenate(reduced, axis=1)
        widths = [layer.shape[1] for layer in reduced]
        # [sum D_l, L] which column is of which layer
        self.members = jnp.asarray(np.repeat(np.eye(len(widths)), widths, axis=0), self.rows.dtype)

    def permuted(self, order: jax.Array) -> "_Layers":
        """The same with the rows in another order."""
        other = object.__new__(_Layers)
        other.rows, other.members = self.rows[order], self.members
        return other

    def alignment(self, other: "_Layers") -> tuple[jax.Array, jax.Array]:
        """CKA and debiased CKA [L, L'] of each of these layers with each of the others."""
        dependence = _dependence(self, other)
        mine, theirs = ([jnp.diagonal(d) for d in _dependence(layers, layers)] for layers in (self, other))
        biased, debiased = (
            value / jnp.sqrt(a[:, None] * b[None, :]) for value, a, b in zip(dependence, mine, theirs, strict=True)
        )
        return biased, debiased

    def own_alignment(self, other: "_Layers") -> tuple[jax.Array, jax.Array]:
        """The same [L] of each layer with the one in its place."""
        biased, debiased = self.alignment(other)
        return jnp.diagonal(biased), jnp.diagonal(debiased)


def _dependence(first: _Layers, second: _Layers) -> tuple[jax.Array, jax.Array]:
    """||X^T Y||^2 and N (N - 3) times the unbiased estimate of HSIC, [L, L'].

    Rows of K sum to 0, X being centred, so that those of K~ are minus the diagonal of K.
    """
    count = len(first.rows)
    products = matmul(first.rows.T, second.rows) ** 2
    biased = matmul(matmul(first.members.T, products), second.members)
    lengths = [matmul(layers.rows**2, layers.members) for layers in (first, second)]  # diagonals of K, [N, L]
    both = matmul(lengths[0].T, lengths[1])
    traces = [jnp.sum(length, axis=0) for length in lengths]
    unbiased = (
        biased
        - (1 + 2 / (count - 2)) * both
        + traces[0][:, None] * traces[1][None, :] / ((count - 1) * (count - 2))
    )
    return biased, jnp.where(count > 3, unbiased, jnp.nan)


def _reduced(layer: jax.Array) -> jax.Array:
    """Rows [N, at most N] with the inner products of the centred rows of a layer, up to a common factor.

    A layer that is constant or not finite becomes 0: its ratios are 0/0, and those of the others are left alone.
    """
    differences = layer - layer[:1]
    scaled = differences / jnp.max(jnp.abs(differences))
    centred = scaled - jnp.mean(scaled, axis=0, keepdims=True)
    centred = jnp.where(jnp.all(jnp.isfinite(centred)), centred, 0)
    return centred if layer.shape[1] <= len(layer) else jnp.linalg.qr(centred.T, mode="r").T


def _initial_layers(snapshot: Snapshot) -> list[jax.Array]:
    """The outputs of the initial network's layers for the train examples; none where it cannot be run."""
    examples = snapshot.train.examples
    if examples is None or snapshot.initial is None or snapshot.network is None or snapshot.batch_stats:
        return []
    _, layers = snapshot.apply(snapshot.initial, examples)
    return [layer.reshape(len(examples), -1) for layer in layers]


def coordinates(snapshot: Snapshot) -> dict[str, range]:
    """Number the hidden layers from 0, the first."""
    probe = next(probe for probe in snapshot.probes.values() if probe.layers is not None)
    layers = range(len(probe.layers or ()))
    return {"layer": layers, "other_layer": layers}


CKA = Measure("cka", cka, VARIABLES, needs=("probe", "layers"), coords=coordinates)
