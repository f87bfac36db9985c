"""Accuracy of a linear classifier on the output of every hidden layer, by ridge regression in closed form."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve

from collapse_jax.errors import require
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.permutation import (
    PERMUTATIONS,
    against_null,
    identity_first,
    null_variables,
    shuffles,
)
from collapse_jax.measures.families.layerwise import coordinates
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.precision import at_least_float32, matmul

_LAYERS = {
    f"layer_probe_accuracy{suffix}": Variable(
        f"Linear probe, {kind} accuracy, by layer",
        "1",
        f"fraction of {kind} examples that ridge regression of the train labels puts into their class",
        ("layer",),
    )
    for suffix, kind in (("", "train"), ("_test", "test"))
}
VARIABLES = {**_LAYERS, **null_variables(_LAYERS, "training labels permuted before the regression")}


def layer_probe(
    snapshot: Snapshot, *, ridge: float = 1e-3, permutations: int = PERMUTATIONS, seed: int = 0
) -> Scalars:
    """Accuracy of ridge regression from the output of each hidden layer (Alain & Bengio, arXiv:1610.01644).

    With the rows Z [N, D] and the one-hot labels Y [N, K] of the training set, both centred,

        W = (Z^T Z + c I)^-1 Z^T Y,   c = ridge tr(Z^T Z) / D,   class of z: argmax (z - mean) W + mean of Y.

    c follows the scale of the layer, so that scaling, rotating and shifting the features change nothing. For D > N
    the same W comes from the N x N system.

    The null permutes the training labels before the regression: test accuracies are then those of chance, training
    accuracies what D dimensions fit of nothing.

    Limits: c is fixed, not chosen by validation, so that small differences between layers of different width say
    little. nan features give the accuracy nan; a layer without variance predicts the largest class.

    Args:
      snapshot: `layers` and labels of `train`, of `test` where they are there.
      ridge: relative to the mean eigenvalue, > 0.
      permutations: of the null; 0 leaves it out.
      seed: of the null.

    Returns:
      Vectors [L] `layer_probe_accuracy`, and `_test` where there is a test probe, each with its null; nothing
      without `train.layers`.
    """
    require(ridge > 0, "ridge", ridge, "must be > 0")
    require_at_least("permutations", permutations, 0)
    train, test = snapshot.train, snapshot.test
    layers = train.layers or ()
    if not layers:
        return {}
    drawn, _ = shuffles(jax.random.key(seed), train.labels, max(permutations, 1))
    orders = identity_first(drawn[:permutations])
    one_hot = jax.nn.one_hot(train.labels, snapshot.num_classes, dtype=at_least_float32(layers[0]).dtype)

    def of_layer(index: int) -> Scalars:
        """Return the accuracies of a layer after each of the orders of the training labels, [1 + P]."""
        rows = at_least_float32(layers[index])
        solve = _regression(rows, ridge)

        def one(order: jax.Array) -> Scalars:
            scores = solve(one_hot[order])
            # Permuted labels are those that are fitted.
            values = {"": _accuracy(scores(rows), train.labels[order])}
            if test is not None and test.layers is not None:
                values["_test"] = _accuracy(scores(at_least_float32(test.layers[index])), test.labels)
            return values

        return jax.lax.map(one, orders)

    each = [of_layer(index) for index in range(len(layers))]
    found = {f"layer_probe_accuracy{s}": jnp.stack([row[s] for row in each], axis=1) for s in each[0]}
    values = {name: accuracies[0] for name, accuracies in found.items()}
    draws = {name: accuracies[1:] for name, accuracies in found.items()} if permutations else {}
    return values | against_null(values, draws)


Scores = Callable[[jax.Array], jax.Array]


def _regression(rows: jax.Array, ridge: float) -> Callable[[jax.Array], Scores]:
    """Return labels [N, K] -> (rows [M, D] -> scores [M, K]), with one factorisation for all labels."""
    count, width = rows.shape
    mean = jnp.mean(rows, axis=0, keepdims=True)
    centred = rows - mean
    power = jnp.sum(centred**2)
    # A layer without variance has no scale; any constant then gives W = 0.
    constant = jnp.where(power > 0, ridge * power / width, 1)
    wide = width > count
    gram = matmul(centred, centred.T) if wide else matmul(centred.T, centred)
    factor = cho_factor(gram + constant * jnp.eye(len(gram), dtype=rows.dtype))

    def solve(labels: jax.Array) -> Scores:
        offset = jnp.mean(labels, axis=0, keepdims=True)
        target = labels - offset
        if wide:
            kernel = matmul(centred.T, cho_solve(factor, target))
        else:
            kernel = cho_solve(factor, matmul(centred.T, target))
        return lambda others: matmul(others - mean, kernel) + offset

    return solve


def _accuracy(scores: jax.Array, labels: jax.Array) -> jax.Array:
    right = jnp.mean(jnp.argmax(scores, axis=1) == labels)
    return jnp.where(jnp.all(jnp.isfinite(scores)), right, jnp.nan)


LAYER_PROBE = Measure(
    "layer_probe", layer_probe, VARIABLES, needs=("train", "layers"), one_by_one=True, coords=coordinates
)
