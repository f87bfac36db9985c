"""This installation as an implementation of the measures."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.measures import MEASURES, Snapshot
from collapse_jax.measures.array_inputs import read_snapshot
from collapse_jax.measures.arrays import measure_snapshot
from collapse_jax.measures.estimators.dense_layers import dense_layers
from collapse_jax.measures.options import complete, options_of, refuse_idle
from collapse_jax.models.losses import cross_entropy, squared_error

# The losses that the options of the cases name.
LOSSES = {"squared_error": squared_error, "cross_entropy": cross_entropy}


def this_installation(measure: str, arrays: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> dict[str, Any]:
    """Take a measure of this package of the arrays of a case: an `Implementation` for `check`."""
    chosen = MEASURES[measure]
    loss = LOSSES[options.get("loss", "squared_error")]
    named = dict(options) | {"loss": loss}
    if "loss" not in options_of(chosen):  # a loss of the network, if at all
        del named["loss"]
    refuse_idle([chosen], named)
    return measure_snapshot(chosen, _snapshot(arrays, loss), complete(chosen, named))


def _snapshot(arrays: Mapping[str, np.ndarray], loss: Callable[[jax.Array, jax.Array], jax.Array]) -> Snapshot:
    tree = _nested(arrays)
    snapshot = read_snapshot(
        **{name: tree.get(name) for name in _ALONE},
        train_layers=_listed(tree.get("train_layers")),
        test_layers=_listed(tree.get("test_layers")),
    )
    if "parameters" not in tree:
        return snapshot
    return dataclasses.replace(
        snapshot,
        train=dataclasses.replace(snapshot.train, examples=snapshot.train.inputs),
        params=jax.tree.map(lambda weights: jnp.asarray(weights, float), tree["parameters"]),
        initial=jax.tree.map(lambda weights: jnp.asarray(weights, float), tree["initial"]),
        mask=jax.tree.map(lambda kept: jnp.asarray(kept, bool), tree["mask"]),
        network=_network,
        loss=loss,
    )


_ALONE = (
    "train_features",
    "train_labels",
    "train_true_labels",
    "test_features",
    "test_labels",
    "head_kernel",
    "head_bias",
    "inputs",
    "ood_features",
)


def _nested(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """{"a/b/c": array} as {"a": {"b": {"c": array}}}."""
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        *branches, leaf = path.split("/")
        inside = tree
        for branch in branches:
            inside = inside.setdefault(branch, {})
        inside[leaf] = array
    return tree


def _listed(layers: Mapping[str, np.ndarray] | None) -> list[np.ndarray] | None:
    return None if layers is None else [layers[str(index)] for index in range(len(layers))]


def _network(params: Any, batch_stats: Any, inputs: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Dense layers with ReLU between them."""
    *hidden, head = dense_layers("network", params)
    layers = []
    for layer in hidden:
        inputs = jax.nn.relu(inputs @ layer.kernel + layer.bias[None, :])
        layers.append(inputs)
    return inputs @ head.kernel + head.bias[None, :], tuple(layers)
