"""Synergy and redundancy among the neurons of a layer: O-information of a Gaussian copula.

Sources: arXiv:2408.08944 (Clauw, Stramaglia and Marinazzo: progress measures of grokking), arXiv:1902.11239 (Rosas
et al.: O-information). docs/synergy.md says what the numbers are and are not.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from collapse_jax.errors import require, require_one_of
from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.copula import TIES
from collapse_jax.measures.estimators.permutation import null_variables
from collapse_jax.measures.families.layerwise import by_layer, coordinates, each_layer
from collapse_jax.measures.families.synergy_host import MODES, SEARCHES, found
from collapse_jax.measures.options import require_at_least

MOST_CLUSTERS = 16  # 65,519 unions

_EXTREMES = {
    "synergy": Variable("Synergy", "bit", "-min of the O-information over the sets of neurons that are searched"),
    "redundancy": Variable("Redundancy", "bit", "max of the O-information over the sets that are searched"),
}
_BY_SPECTRUM = {f"{name}_spectrum": variable for name, variable in _EXTREMES.items()}
_SCALARS = {
    **_EXTREMES,
    **null_variables(_EXTREMES, "the examples of every neuron, each neuron by itself"),
    **null_variables(_BY_SPECTRUM, "Gaussian variables with the same eigenvalues along random directions"),
    "synergy_size": Variable("Synergy, neurons", "1", "number of neurons in the set of the lowest O-information"),
    "redundancy_size": Variable("Redundancy, neurons", "1", "number of neurons in the set of the highest one"),
    "o_information": Variable("O-information", "bit", "TC - DTC of all neurons of the layer together"),
    "s_information": Variable("S-information", "bit", "TC + DTC of all neurons of the layer together"),
    "total_correlation": Variable("Total correlation", "bit", "TC = sum H(Z_j) - H(Z), of all neurons"),
    "dual_total_correlation": Variable("Dual total correlation", "bit", "DTC = H(Z) - sum H(Z_j | rest)"),
    "copula_neurons": Variable(
        "Neurons that vary", "1", "number of neurons that are not constant over the examples"
    ),
    "copula_singular": Variable("Singular sets", "1", "share of the sets whose correlation is singular: left out"),
}
VARIABLES = _SCALARS | {
    "synergy_members": Variable(
        "Synergy, members", "1", "1 for the neurons in the set of the lowest O-information, else 0", ("neuron",)
    )
}
LAYER_VARIABLES = {f"layer_{name}": by_layer(variable) for name, variable in _SCALARS.items()}


def synergy(
    snapshot: Snapshot,
    *,
    clusters: int = 10,
    order: int = 2,
    mode: str = "neurons",
    search: str = "unions",
    largest: int = 0,
    ties: str = "average",
    bias_correction: bool = False,
    permutations: int = 5,
    split: str = "train",
) -> Scalars:
    r"""Lowest and highest O-information over sets of neurons, in bits.

    Each neuron's N activations become normal scores Phi^-1(rank / (N + 1)), whose correlation is R. For n neurons,
    P = R^-1 of theirs: O = -ln|R| - 1/2 sum ln P_jj nats, > 0 where they are redundant, < 0 where they are
    synergistic (TC - DTC; of two neurons always 0).

    * `synergy` = -min O, `redundancy` = max O over the sets; `synergy_size`, `redundancy_size` neurons in these,
      `synergy_members` [neuron] which.
    * `o_information`, `s_information`, `total_correlation`, `dual_total_correlation` of all neurons (with
      "cluster_mean": of all means).
    * `_null`, `_null_sd`, `_p`: the same search where the examples of every neuron are permuted by itself, so that
      neurons share nothing; with ties by their order it is not 0, which is then what ties make.
      `_spectrum_null`, ...: of Gaussian variables with the eigenvalues of R along random directions: what the
      spectrum alone makes, whatever the neurons are.
    * `copula_neurons`: constant neurons are left out; they share nothing. `copula_singular`: share of the sets
      with a neuron that others determine (conditional variance below 1e-10): not defined and left out.

    Sets: Ward's clusters of the neurons by their activations, found anew at each step, and all unions of at least
    `order` of them (1013 for 10 clusters). "cluster_mean": the means of the clusters in the place of their
    neurons, the words of the paper; "neurons" is what its code does. search="greedy": the best three neurons of
    all, then the best next one, up to `largest`; clusters play no part.

    Limits: a Gaussian copula sees pairs only, through ranks; neurons that are mostly 0 have mostly ties: mean
    ranks keep independent neurons uncorrelated, ranks by order (the paper's code) make them alike. O of many
    neurons mixes all orders. Without `bias_correction` an O of 250 neurons and 3763 examples is 0.14 bits off.
    Bits of settings of different width or number of examples are not comparable. A minimum over sets is below 0 by
    chance: read the null. All of it but the activations is computed on threads of the host, in float64.

    Args:
      snapshot: reads the features of the probe `split`; more examples than neurons.
      clusters: k.
      order: fewest clusters of a set, 2 at least.
      mode: "neurons" or "cluster_mean".
      search: "unions" or "greedy" (which takes no "cluster_mean").
      largest: most neurons of a greedy set; 0: all.
      ties: ranks of equal activations: "average", "ordinal" or "random".
      bias_correction: whether entropies are corrected for the number of examples.
      permutations: draws of both nulls; 0 leaves them out.
      split: "train" or "test".

    Returns:
      `activations` [N, D], of which `synergy_host.found` makes the variables.

    Raises:
      ConfigError: an option is not allowed, or there are fewer examples than neurons.
    """
    options = {"clusters": clusters, "order": order, "largest": largest, "permutations": permutations}
    probe = _probe(snapshot, split)
    _check(probe.features.shape, mode, search, ties, bias_correction, **options)
    return {"activations": probe.features}


@functools.wraps(synergy, assigned=())  # its options
def layer_synergy(snapshot: Snapshot, **options: Any) -> Scalars:
    """What `synergy` says of the output of each hidden layer, first layer first, outputs flattened.

    Every value is a vector [L]; the last entry belongs to the features and equals the variable without `layer_`.

    Args:
      snapshot: reads the layers of the probe `split`.
      **options: those of `synergy`.

    Raises:
      ConfigError: an option is not allowed, or a layer has more neurons than there are examples.
    """
    return {
        f"activations_{index}": synergy(own, **options)["activations"]
        for index, own in enumerate(each_layer(snapshot))
    }


def _probe(snapshot: Snapshot, split: str) -> Probe:
    require_one_of("split", split, ("train", "test"))
    require(split in snapshot.probes, "split", split, f"the snapshot has no {split} probe")
    return snapshot.probes[split]


def _check(
    shape: tuple[int, ...], mode: str, search: str, ties: str, bias_correction: bool, **options: int
) -> None:
    require_one_of("mode", mode, MODES)
    require_one_of("search", search, SEARCHES)
    require_one_of("ties", ties, TIES)
    require(isinstance(bias_correction, bool), "bias_correction", bias_correction, "must be true or false")
    examples, neurons = shape
    for name, least in (("clusters", 2), ("order", 2), ("largest", 0), ("permutations", 0)):
        require_at_least(name, options[name], least)
    clusters, order, largest = options["clusters"], options["order"], options["largest"]
    most = min(neurons, MOST_CLUSTERS)
    require(clusters <= most, "clusters", clusters, f"must be in 2 ... {most} for {neurons} neurons")
    require(order <= clusters, "order", order, f"must be in 2 ... clusters={clusters}")
    require(largest == 0 or 3 <= largest <= neurons, "largest", largest, f"must be 0 (all) or in 3 ... {neurons}")
    alone = search != "greedy" or mode == "neurons"
    require(alone, "mode", mode, "search='greedy' takes neurons one by one: mode='neurons'")
    few = f"{examples} examples of {neurons} neurons have a singular correlation: more examples than neurons"
    require(examples > neurons, "train_size", examples, few)


def _coordinates(snapshot: Snapshot, *, split: str = "train") -> dict[str, range]:
    """Number the neurons."""
    return {"neuron": range(_probe(snapshot, split).features.shape[1])}


@functools.wraps(found)  # its options
def _of_layers(values: Mapping[str, np.ndarray], **options: Any) -> dict[str, Any]:
    rows = [found({"activations": values[f"activations_{i}"]}, **options) for i in range(len(values))]
    return {f"layer_{name}": np.stack([row[name] for row in rows]) for name in _SCALARS if name in rows[0]}


SYNERGY = Measure("synergy", synergy, VARIABLES, needs=("probe",), finish=found, coords=_coordinates)
LAYER_SYNERGY = Measure(
    "layer_synergy",
    layer_synergy,
    LAYER_VARIABLES,
    needs=("train", "layers"),
    finish=_of_layers,
    coords=coordinates,
)
