"""What a measure is: a pure function of one run's snapshot that returns named scalars.

The engine batches measures over runs and snapshots; nothing in this folder knows of a run axis.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from collapse_jax.measures.variable import Variable

Scalars = dict[str, jax.Array]
# "probe" is any of train and test (which one, an option `split` may say); "head" the kernel of the last layer,
# "parameters" those of all layers, "weights" one of these two; "layers" the outputs of all hidden layers, "ood"
# examples from outside the distribution, both computed from the parameters. With the parameters come
# `Snapshot.initial`, `network` and `loss`.
NEEDS = ("probe", "train", "test", "head", "parameters", "weights", "layers", "ood")


@struct.dataclass
class Probe:
    """One network on one fixed set of N examples.

    Attributes:
      features: [N, D] penultimate representation g(x); D = 0 on the side of the data alone (`Measure.prepare`).
      labels: [N] integer class labels.
      logits: [N, K] network outputs f(x).
      inputs: [N, ...] the examples themselves, for measures that compare features with inputs.
      layers: the output of every hidden layer [N, D_l], flattened; the last one is `features`.
      examples: [N, ...] as the network takes them, tokens of texts too (which have no `inputs`); None where there
        is no network to run.
      true_labels: [N] the labels without noise; None where the task knows no others than `labels`.
    """

    features: jax.Array
    labels: jax.Array
    logits: jax.Array | None = None
    inputs: jax.Array | None = None
    layers: tuple[jax.Array, ...] | None = None
    examples: jax.Array | None = None
    true_labels: jax.Array | None = None


@struct.dataclass
class Snapshot:
    """All that a measure may see of one run at one step; None marks what was not given.

    Attributes:
      train: probe of the training set; None only where no measure needs it, so that its type need not say so.
      test: probe of the test set.
      ood: probe of examples from outside the distribution; their labels say nothing.
      head_kernel: [D, K] kernel of the last layer (columns are the class weights w_k); None also for a network
        that has no last layer called head.
      head_bias: [K] bias of the last layer; None also for one without.
      params: the parameter tree of the network; None where no parameters were stored, and for plain arrays.
      initial: the tree of the initial parameters theta_0, computed again from the run's seed where `params` is
        there.
      batch_stats: running statistics of BatchNorm; None where `params` is, and for networks without.
      mask: tree like `params` of booleans, False where a weight was pruned; None for a network never pruned.
      hyperparameters: scalars by name, `snapshot.hyperparameters.weight_decay`; None for plain arrays.
      step: int32 scalar, optimizer updates taken; None for plain arrays.
      prepared: what the measure's `prepare` made of the data set; None without one.
      num_classes: K, static, so that per-class reductions have static shapes.
      network: (params, batch_stats, inputs) -> (logits, layers), static; None where `params` is. See `apply`.
      loss: loss(logits [N, K], labels [N]) -> [N], without weight decay, static; None where `params` is.
    """

    train: Probe = struct.field(default=None)
    test: Probe | None = None
    ood: Probe | None = None
    head_kernel: jax.Array | None = None
    head_bias: jax.Array | None = None
    params: Any = None
    initial: Any = None
    batch_stats: Any = None
    mask: Any = None
    hyperparameters: Any = None
    step: jax.Array | None = None
    prepared: Any = None
    num_classes: int = struct.field(pytree_node=False, default=0)
    network: Callable[[Any, Any, jax.Array], Any] | None = struct.field(pytree_node=False, default=None)
    loss: Callable[[jax.Array, jax.Array], jax.Array] | None = struct.field(pytree_node=False, default=None)

    @property
    def probes(self) -> dict[str, Probe]:
        """The train and test probes that are there, by these names."""
        probes: dict[str, Probe | None] = {"train": self.train, "test": self.test}
        return {kind: probe for kind, probe in probes.items() if probe is not None}

    def data_alone(self) -> "Snapshot":
        """Return what `Measure.prepare` sees: labels and inputs of the probes, nothing that a network made."""
        alone: dict[str, Any] = {
            kind: Probe(jnp.zeros((len(p.labels), 0)), p.labels, inputs=p.inputs, true_labels=p.true_labels)
            for kind, p in self.probes.items()
        }
        return Snapshot(**alone, num_classes=self.num_classes)

    def apply(self, params: Any, inputs: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Run the network with other parameters: inputs [M, ...] -> logits [M, K] and the outputs of its layers.

        Batch statistics are the snapshot's own. All M examples are held at once (`jax.lax.map` takes fewer).

        Raises:
          ValueError: the snapshot holds no parameters.
        """
        if self.network is None:
            raise ValueError("snapshot.apply: there is no network without parameters")
        return self.network(params, self.batch_stats, inputs)


@dataclasses.dataclass(frozen=True)
class Measure:
    """A family of result variables computed together.

    Options are keyword arguments; each of the four functions below gets those that it names.

    Attributes:
      name: the name that configs and `measure_arrays` use.
      function: `function(snapshot, **options) -> {variable: value}`; it returns the variables whose inputs the
        snapshot holds, each of which is described in `variables`. Values are scalars, or have the axes that
        their `Variable.dims` names. Traced: batched over runs and steps.
      variables: every variable that `function` (or `finish`) can return.
      needs: the parts of a snapshot without which there is nothing to measure: any of `NEEDS`; others are read
        where they are there.
      prepare: `prepare(snapshot, **options) -> arrays` or None, on the host, once per data set: the probes hold
        labels and inputs alone. What it returns is `Snapshot.prepared` of every run and step; in-line, where it is
        not called, that is None.
      finish: `finish(values, **options) -> {variable: value}`, on threads of the host, once per run and step: makes
        the variables of what `function` returned, as numpy arrays; zeros, too, of which it learns their shapes. A
        measure with one is not taken in-line.
      dtype: "float64" measures in float64 whatever the sweep's type, for values that lose too many digits
        otherwise; features keep the bits that the network gave them in its own type. "": the sweep's.
      one_by_one: whether runs are not batched on CPU: for one that factorises many small matrices beside loops, of
        which a batch can wait for its own threads for ever (jax 0.10.2). Each factorisation then takes one thread.
      coords: `coords(snapshot, **options) -> {axis: its coordinates}`, of axes that `Variable.dims` names; the
        snapshot holds shapes (`jax.ShapeDtypeStruct`) in the place of arrays.
    """

    name: str
    function: Callable[..., Scalars]
    variables: Mapping[str, Variable]
    needs: tuple[str, ...] = ("train",)
    prepare: Callable[..., Any] | None = None
    finish: Callable[..., Mapping[str, Any]] | None = None
    dtype: str = ""
    one_by_one: bool = False
    coords: Callable[..., Mapping[str, Sequence[Any]]] | None = None
