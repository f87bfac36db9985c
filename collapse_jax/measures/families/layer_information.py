"""Information of every hidden layer with inputs and labels: by neighbours, through noise, and through bins.

Source: arXiv:1703.00810 (Shwartz-Ziv & Tishby: information plane of every layer, binned); `mutual_information` and
`noisy_channel` give those of the measures themselves.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.errors import require, require_one_of
from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.binned import binned_information
from collapse_jax.measures.estimators.jackknife import ERROR, PARTITIONS
from collapse_jax.measures.estimators.permutation import PERMUTATIONS, null_variables
from collapse_jax.measures.estimators.probe_choice import choose_examples
from collapse_jax.measures.families.layerwise import by_layer, coordinates, each_layer
from collapse_jax.measures.families.mutual_information import MUTUAL_INFORMATION, mutual_information
from collapse_jax.measures.families.noisy_channel import NOISY_CHANNEL, noisy_channel
from collapse_jax.measures.options import require_at_least
from collapse_jax.measures.splits import varied

ESTIMATORS = ("mutual_information", "noisy_channel", "binned")

_BINNED = {
    "binned_zx": Variable("I(T;X), binned", "nat", "entropy of the patterns of binned units; at most log N"),
    "binned_zy": Variable("I(T;Y), binned", "nat", "plug-in information of patterns of binned units and labels"),
    "binned_zx_given_y": Variable(
        "I(T;X|Y), binned", "nat", "binned_zx - binned_zy: what patterns tell beyond labels"
    ),
}
_OF_BINNED = {
    **_BINNED,
    **null_variables({"binned_zy": _BINNED["binned_zy"]}, "labels permuted"),
    **varied(_BINNED, {"_error": (", error", f"{{}}: {ERROR}")}),
}
_ALL = {**MUTUAL_INFORMATION.variables, **NOISY_CHANNEL.variables, **_OF_BINNED}
VARIABLES = {f"layer_{name}": by_layer(v) for name, v in _ALL.items() if not name.endswith("_reference")}


def layer_information(
    snapshot: Snapshot,
    *,
    estimators: Sequence[str] = ESTIMATORS,
    k: int = 5,
    dim: int = 4,
    sigma: float | None = None,
    bins: int = 30,
    samples: int | None = 1000,
    permutations: int = PERMUTATIONS,
    partitions: int = PARTITIONS,
    split: str = "auto",
    seed: int = 0,
) -> Scalars:
    """What `mutual_information`, `noisy_channel` and bins say of the output of each hidden layer, in nats.

    Every value is a vector [L] of the L layers, the first one first; the last entry belongs to the features
    themselves and equals the variable without `layer_` with the same options. Outputs are flattened.

    * "mutual_information": `layer_mi_zx`, `layer_mi_zy`, ...: see there, default mode and codes.
    * "noisy_channel": `layer_noisy_zx_...`, its bounds, nulls and errors: see there. Its noise is relative to the
      largest norm of the layer, so that layers of any scale are read with the same precision.
    * "binned": `layer_binned_zx` = H(T), `layer_binned_zy`, `layer_binned_zx_given_y`, errors, and the null of
      `layer_binned_zy`, labels permuted: see `binned_information`.

    Limits: those of the measures. H(T) is log N as soon as all patterns differ, which wide layers reach with two
    bins a unit; I(T;Y) is then H(Y), and its null too: read the value against the null. The width of bins follows
    the range of the layer, which one large activation stretches.

    Args:
      snapshot: `layers` and labels of `train`, of `test` where they are there; inputs for `layer_mi_zx`.
      estimators: which of the three.
      k: which neighbour ("mutual_information").
      dim: principal components of each layer ("mutual_information").
      sigma: noise ("noisy_channel"); None: 0.03, 0.1 and 0.3.
      bins: of each unit ("binned"), 2 at least.
      samples: a random subset of so many examples, for the first two (time grows with its square); None: all.
      split: "train", "test" or "auto" (test if its inputs are there, else train).
      permutations: of the nulls; 0 leaves them out.
      partitions: into groups, of the errors; 0 leaves them out.
      seed: of samples, noise, nulls and groups.

    Returns:
      The variables that the snapshot allows; nothing without `train.layers`.
    """
    for name in estimators:
        require_one_of("estimators", name, ESTIMATORS)
    require(len(estimators) > 0, "estimators", estimators, f"name at least one of {', '.join(ESTIMATORS)}")
    for option, (value, least) in {
        "bins": (bins, 2),
        "permutations": (permutations, 0),
        "partitions": (partitions, 0),
    }.items():
        require_at_least(option, value, least)
    rows = []
    shared: dict[str, Any] = {"permutations": permutations, "partitions": partitions}
    chosen: dict[str, Any] = {"samples": samples, "split": split, "seed": seed}
    for own in each_layer(snapshot):
        row: Scalars = {}
        if "mutual_information" in estimators:
            row |= mutual_information(own, k=k, dim=dim, **chosen, **shared)
        if "noisy_channel" in estimators:
            row |= noisy_channel(own, sigma=sigma, **chosen, **shared)
        if "binned" in estimators:
            features, labels, _ = choose_examples(own, split)
            values = binned_information(features, labels, bins, jax.random.key(seed), **shared)
            row |= {f"binned_{name}": value for name, value in values.items()}
        rows.append(row)
    return {f"layer_{name}": jnp.stack([row[name] for row in rows]) for name in (rows[0] if rows else ())}


LAYER_INFORMATION = Measure(
    "layer_information", layer_information, VARIABLES, needs=("train", "layers"), coords=coordinates
)
