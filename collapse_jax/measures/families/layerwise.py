"""The collapse measures, nearest-centre accuracy and nHSIC of every hidden layer.

Sources: arXiv:2202.09028 (Galanti, Galanti and Ben-Shaul: collapse and nearest-centre separability by layer);
`collapse` and `nhsic` give those of the measures themselves.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from collapse_jax.errors import require
from collapse_jax.measures.base import Measure, Probe, Scalars, Snapshot, Variable
from collapse_jax.measures.estimators.permutation import PERMUTATIONS
from collapse_jax.measures.families.collapse import COLLAPSE, collapse
from collapse_jax.measures.families.nhsic import CENTRED, NHSIC, nhsic

_COLLAPSE = ("rnc1", "nc1", "nc1_pinv", "class_mean_rank", "nc2_condition", "nc2_equinorm", "nc2_etf_error")
# nearest-centre accuracy is the agreement of the nearest class centre with the label in the place of the prediction
_CENTRE = {"": "nc4_agreement", "_test": "nc4_agreement_test_around_train"}


def by_layer(variable: Variable) -> Variable:
    """Describe a variable of the features as one of every layer."""
    return dataclasses.replace(
        variable, long_name=f"{variable.long_name}, by layer", dims=("layer",), definition=variable.definition
    )


VARIABLES = (
    {
        f"layer_{name}{suffix}": by_layer(COLLAPSE.variables[name + suffix])
        for suffix in ("", "_test")
        for name in _COLLAPSE
    }
    | {
        f"layer_centre_accuracy{suffix}": Variable(
            f"Nearest-centre accuracy, {kind}, by layer",
            "1",
            f"fraction of {kind} examples whose nearest class mean of the train features is that of the label",
            ("layer",),
        )
        for suffix, kind in (("", "train"), ("_test", "test"))
    }
    | {f"layer_{name}": by_layer(variable) for name, variable in NHSIC.variables.items()}
)


def layerwise(
    snapshot: Snapshot,
    *,
    hsic: bool = True,
    collapsed: bool = True,
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
    """What `collapse` and `nhsic` say of the features, for the output of each of the L hidden layers.

    Every value is a vector [L], first hidden layer first; the last entry belongs to the features themselves and
    equals the variable without `layer_`. Outputs are flattened: of a convolution, all positions and channels.

    * `layer_rnc1`, `layer_nc1`, `layer_nc1_pinv`, `layer_nc2_condition`, `layer_nc2_equinorm`,
      `layer_nc2_etf_error`, and the same with `_test`: see `collapse`.
    * `layer_centre_accuracy` = fraction of the train examples whose nearest class mean is that of their label;
      `_test`: of the test examples, still with the class means of the train layer. Chance: the largest class.
    * `layer_nhsic_zx`, `layer_nhsic_zy`, their nulls and `layer_superfluous_nhsic`: see `nhsic`.

    Widths may differ: RNC1, NC1, NC2 and centre accuracy may be compared between layers, nHSIC only against its own
    null, which differs by layer. Limits are those of `collapse` and `nhsic`; D < K makes `layer_nc2_condition` inf.

    Args:
      snapshot: `layers` and labels of `train`, of `test` where they are there; inputs for `layer_nhsic_zx`.
      hsic: False leaves nHSIC out, which takes most of the time.
      collapsed: False leaves all but nHSIC out.
      mode: of nHSIC, as all that follow; see there.
      bandwidth: see `nhsic`.
      sigma: see `nhsic`.
      epsilon: see `nhsic`.
      rms: see `nhsic`.
      batch_size: see `nhsic`.
      permutations: of the null; 0 leaves it out.
      split: see `nhsic`.
      seed: see `nhsic`.

    Returns:
      The variables that the snapshot allows; nothing without `train.layers`.
    """
    require(hsic or collapsed, "collapsed", collapsed, "with hsic=False nothing is left to measure")
    kernel: dict[str, Any] = {"mode": mode, "bandwidth": bandwidth, "sigma": sigma, "epsilon": epsilon, "rms": rms}
    chosen: dict[str, Any] = {"batch_size": batch_size, "permutations": permutations, "split": split, "seed": seed}
    rows = []
    for own in each_layer(snapshot):
        row = _one_layer(own) if collapsed else {}
        if hsic:
            row |= {f"layer_{name}": value for name, value in nhsic(own, **kernel, **chosen).items()}
        rows.append(row)
    return {name: jnp.stack([row[name] for row in rows]) for name in (rows[0] if rows else ())}


def each_layer(snapshot: Snapshot) -> list[Snapshot]:
    """Return a snapshot of every hidden layer, in the place of the features; none without `train.layers`.

    Raises:
      ValueError: the probes have different numbers of layers.
    """
    layers = snapshot.train.layers or ()
    test_layers = None if snapshot.test is None else snapshot.test.layers
    if layers and test_layers is not None and len(test_layers) != len(layers):
        raise ValueError(f"test layers: {len(test_layers)}; the train probe has {len(layers)}")
    result = []
    for index, layer in enumerate(layers):
        test = None
        if snapshot.test is not None and test_layers is not None:
            test = dataclasses.replace(snapshot.test, features=test_layers[index])
        train = dataclasses.replace(snapshot.train, features=layer)
        result.append(Snapshot(train=train, test=test, num_classes=snapshot.num_classes))
    return result


def _one_layer(snapshot: Snapshot) -> Scalars:
    def told(probe: Probe) -> Probe:
        return dataclasses.replace(probe, logits=jax.nn.one_hot(probe.labels, snapshot.num_classes))

    test = None if snapshot.test is None else told(snapshot.test)
    values = collapse(dataclasses.replace(snapshot, train=told(snapshot.train), test=test))
    suffixes = ("",) if test is None else ("", "_test")
    result = {f"layer_{name}{suffix}": values[name + suffix] for suffix in suffixes for name in _COLLAPSE}
    return result | {f"layer_centre_accuracy{suffix}": values[_CENTRE[suffix]] for suffix in suffixes}


def coordinates(snapshot: Snapshot) -> dict[str, range]:
    """Number the hidden layers from 0, the first."""
    return {"layer": range(len(snapshot.train.layers or ()))}


LAYERWISE = Measure("layerwise", layerwise, VARIABLES, needs=("train", "layers"), coords=coordinates)
