"""What the measures of collapse say of the same features under permuted labels: spread, p-value."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax import lax

from collapse_jax.measures.base import Measure, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.permutation import (
    LESS,
    PERMUTATIONS,
    against_null,
    identity_first,
    null_variables,
    shuffles,
)
from collapse_jax.measures.families.collapse import COLLAPSE, collapse
from collapse_jax.measures.families.geometry import GEOMETRY, geometry
from collapse_jax.measures.families.layerwise import LAYERWISE, layerwise
from collapse_jax.measures.options import require_at_least

_MORE_IS_EVIDENCE = ("nc4_agreement", "centre_accuracy")
_OF_COLLAPSE = ("rnc1", "nc1", "nc2", "nc3", "nc4")
_BROKEN = "labels permuted among the examples, those of the train and of the test set each among themselves"


def _chosen(measures: tuple[Measure, ...], stems: tuple[str, ...]) -> dict[str, Variable]:
    return {n: v for m in measures for n, v in m.variables.items() if n.removeprefix("layer_").startswith(stems)}


def _tails(names: Mapping[str, Variable]) -> dict[str, str]:
    return {name: LESS for name in names if not any(stem in name for stem in _MORE_IS_EVIDENCE)}


_VARIABLES = _chosen((COLLAPSE, GEOMETRY), (*_OF_COLLAPSE, "cdnv"))
_LAYER_VARIABLES = _chosen((LAYERWISE,), (*_OF_COLLAPSE, "centre"))


def label_nulls(snapshot: Snapshot, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Scalars:
    """Null of RNC1, NC1 to NC4 and CDNV: the same features, labels permuted P times.

    Of each of these variables of `collapse` and `geometry`, train and test: `_null` and `_null_sd`, mean and
    standard deviation over the permutations, and `_p`, the probability of a value at least as extreme (`p_value`):
    as small (variances, ratios, NC2, NC3), or as large (NC4). A small p-value says that the labels have to do with
    how the features lie, which any network that has learnt something passes: it is not yet collapse.

    NC1 of permuted labels is about (N - K) / (K - 1), RNC1 the variance of all features over their largest squared
    norm, CDNV about half the examples per class. NC2 compares class means that are all close to that of all
    features.

    Limits: those of the measures; a null that is infinite (class means that are dependent) has no spread, and its
    p-value is a rank. The time is that of the measures, P + 1 times.

    Args:
      snapshot: as `collapse` and `geometry` read it.
      permutations: P, at least 1.
      seed: of the permutations, which are the same for all runs and steps.
    """
    return _nulls(lambda s: collapse(s) | geometry(s), _VARIABLES, snapshot, permutations, seed)


def layer_label_nulls(snapshot: Snapshot, *, permutations: int = PERMUTATIONS, seed: int = 0) -> Scalars:
    """Null of RNC1, NC1, NC2 and nearest-centre accuracy of every hidden layer, labels permuted P times.

    As `label_nulls`, of the variables of `layerwise`; vectors [L]. Those of nHSIC are with `layerwise` itself.

    Args:
      snapshot: as `layerwise` reads it.
      permutations: P, at least 1.
      seed: of the permutations, which are the same for all runs, steps and layers.
    """
    return _nulls(lambda s: layerwise(s, hsic=False), _LAYER_VARIABLES, snapshot, permutations, seed)


def _nulls(
    measure: Callable[[Snapshot], Scalars],
    variables: Mapping[str, Variable],
    snapshot: Snapshot,
    permutations: int,
    seed: int,
) -> Scalars:
    require_at_least("permutations", permutations, 1)
    keys = jax.random.split(jax.random.key(seed), len(snapshot.probes))
    orders = {
        kind: identity_first(shuffles(key, probe.labels, permutations)[0])
        for key, (kind, probe) in zip(keys, snapshot.probes.items(), strict=True)
    }

    def permuted(order: dict[str, jax.Array]) -> Scalars:
        probes: dict[str, Any] = {
            kind: dataclasses.replace(probe, labels=probe.labels[order[kind]])
            for kind, probe in snapshot.probes.items()
        }
        values = measure(dataclasses.replace(snapshot, **probes))
        return {name: value for name, value in values.items() if name in variables}

    values = lax.map(permuted, orders)
    draws = {name: value[1:] for name, value in values.items()}
    return against_null({name: value[0] for name, value in values.items()}, draws, _tails(variables))


LABEL_NULLS = Measure("label_nulls", label_nulls, null_variables(_VARIABLES, _BROKEN, _tails(_VARIABLES)))
LAYER_LABEL_NULLS = Measure(
    "layer_label_nulls",
    layer_label_nulls,
    null_variables(_LAYER_VARIABLES, _BROKEN, _tails(_LAYER_VARIABLES)),
    needs=("train", "layers"),
    coords=LAYERWISE.coords,
)
