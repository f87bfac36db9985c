"""What a measure is: a pure function of one run's snapshot that returns named scalars.

The engine batches measures over runs and snapshots; nothing in this folder knows of a run axis.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import struct

Scalars = dict[str, jax.Array]
# "probe" is any of train and test (which one, an option `split` may say); "parameters" are those of all layers,
# "layers" the outputs of all hidden layers, "ood" examples from outside the distribution; the last two are
# computed from the parameters.
NEEDS = ("probe", "train", "test", "head", "parameters", "layers", "ood")


@struct.dataclass
class Probe:
    """One network on one fixed set of N examples.

    Attributes:
      features: [N, D] penultimate representation g(x).
      labels: [N] integer class labels.
      logits: [N, K] network outputs f(x).
      inputs: [N, ...] the examples themselves, for measures that compare features with inputs.
      layers: the output of every hidden layer [N, D_l], flattened; the last one is `features`.
      codes: [N, dim] low-dimensional codes of the inputs, which depend on the data set alone and are therefore
        computed once, outside of compiled functions (`input_codes`).
    """

    features: jax.Array
    labels: jax.Array
    logits: jax.Array | None = None
    inputs: jax.Array | None = None
    layers: tuple[jax.Array, ...] | None = None
    codes: jax.Array | None = None


@struct.dataclass
class Snapshot:
    """All that a measure may see of one run at one step; None marks what was not given.

    Attributes:
      train: probe of the training set; None only where no measure needs it, so that its type need not say so.
      test: probe of the test set.
      ood: probe of examples from outside the distribution; their labels say nothing.
      head_kernel: [D, K] kernel of the last layer (columns are the class weights w_k).
      head_bias: [K] bias of the last layer.
      params: the parameter tree of the network.
      num_classes: K, static, so that per-class reductions have static shapes.
    """

    train: Probe = struct.field(default=None)
    test: Probe | None = None
    ood: Probe | None = None
    head_kernel: jax.Array | None = None
    head_bias: jax.Array | None = None
    params: Any = None
    num_classes: int = struct.field(pytree_node=False, default=0)


@dataclasses.dataclass(frozen=True)
class Variable:
    """How a result variable is labelled.

    Attributes:
      long_name: axis title.
      units: "1" without one.
      definition: in one line.
      dims: names of the axes of the value itself, such as ("layer",); () for a scalar.
    """

    long_name: str
    units: str
    definition: str
    dims: tuple[str, ...] = ()

    def attrs(self) -> dict[str, str]:
        """Return the description as the attributes of a labelled array."""
        return {"long_name": self.long_name, "units": self.units, "definition": self.definition}


@dataclasses.dataclass(frozen=True)
class Measure:
    """A family of result variables computed together.

    Attributes:
      name: the name that configs and `measure_arrays` use.
      function: `function(snapshot, **options) -> {variable: value}`; it returns the variables whose inputs the
        snapshot holds, each of which is described in `variables`. Values are scalars, or have the axes that
        their `Variable.dims` names.
      variables: every variable that `function` can return.
      needs: the parts of a snapshot without which there is nothing to measure: any of `NEEDS`; others are read
        where they are there.
    """

    name: str
    function: Callable[..., Scalars]
    variables: Mapping[str, Variable]
    needs: tuple[str, ...] = ("train",)
