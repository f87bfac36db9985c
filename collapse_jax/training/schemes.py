"""Training schemes: which loss trains which parameters, and when. Models know nothing of them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from collapse_jax.errors import require
from collapse_jax.experiment.training import Local, Training
from collapse_jax.models import HEAD, ModelInfo
from collapse_jax.models.losses import Loss
from collapse_jax.training.blocks import Blocks, owners_of
from collapse_jax.training.hyperparameters import Hyperparameters
from collapse_jax.training.local_heads import EMBEDDING, LINEAR, apply_head, init_head, rows_of
from collapse_jax.training.local_losses import EMBEDDINGS, batch_nhsic
from collapse_jax.training.trees import LOCAL_HEADS, own

SIMULTANEOUS, SEQUENTIAL = "layerwise", "layerwise_sequential"
OUTPUT = "output"  # the sweep's own loss, of the logits of a local head
LOCAL_LOSSES = (OUTPUT, *EMBEDDINGS)
BLOCK, INPUT = NHSIC_OF = ("block", "input")


class Pass(NamedTuple):
    """The network applied to a batch.

    Attributes:
      logits: [N, K].
      blocks: outputs of its blocks [N, ...], of a scheme that looks at them.
      inputs: [N, ...].
      labels: [N].
      weights: [N] of 0 on padding, or None.
    """

    logits: jax.Array
    blocks: Sequence[jax.Array]
    inputs: jax.Array
    labels: jax.Array
    weights: jax.Array | None


@dataclasses.dataclass(frozen=True)
class EndToEnd:
    """The loss of the logits trains all parameters.

    Attributes:
      stages: steps of each stage of the training; () where it has one.
      views: augmented copies of a batch that it sees.
      marked: whether labels are in the pixels of all of them but the last, which then alone trains the classifier.
    """

    stages: tuple[int, ...] = ()
    views: int = 1
    marked: bool = False

    @property
    def factorising(self) -> tuple[str, ...]:
        """The names of its parts that factorise matrices, see `engine.packing.require_one_by_one`."""
        return ()

    def init(self, key: jax.Array, blocks: Sequence[jax.ShapeDtypeStruct], num_classes: int) -> dict[str, Any]:
        """Return the parameters of local heads: none.

        Args:
          key: to draw them with.
          blocks: shapes [N, ...] of the outputs of the blocks.
          num_classes: K.
        """
        return {}

    def forward(self, apply: Callable[[], Any]) -> tuple[Any, Sequence[jax.Array]]:
        """Apply the network: what `apply` returns, and the outputs of the blocks."""
        return apply(), ()

    def objective(
        self, loss: Loss, heads: Any, seen: Pass, h: Hyperparameters, stage: jax.Array | int
    ) -> jax.Array:
        """Return what a step minimises.

        Args:
          loss: of the sweep.
          heads: as `init` made them.
          seen: what `forward` saw.
          h: the run's hyperparameters.
          stage: number of the stage.
        """
        return loss.objective(seen.logits, seen.labels, seen.weights)

    def held(self, before: Any, after: Any, apply: Callable[[Any], Any], stage: jax.Array | int) -> Any:
        """Return the parameters after a step, with those that the stage does not train as they were.

        Args:
          before: parameters.
          after: the same after the optimizer.
          apply: the network's own parameters -> what it returns.
          stage: number of the stage.
        """
        return after


@dataclasses.dataclass(frozen=True)
class Layerwise(EndToEnd):
    """A head and a loss for the output of each block, beside the loss of the logits; all are summed.

    No gradient enters a block from above: the input of each submodule whose name matches `blocks`, and of the head,
    is cut. So the loss of a block trains the block and its local head alone, and the loss of the logits the head
    (Belilovsky et al. 2020, arXiv:1901.08164; arXiv:2402.09050).

    Attributes:
      blocks: regular expression, `ModelInfo.blocks`.
      loss: of `LOCAL_LOSSES`.
      head: of `local_heads.HEADS`.
      nhsic: "block" or "input": of what and the output of a block each block's loss has -lambda nHSIC, lambda the
        hyperparameter `nhsic`; "" without.
    """

    blocks: str = ""
    loss: str = OUTPUT
    head: str = LINEAR
    nhsic: str = ""

    @property
    def factorising(self) -> tuple[str, ...]:
        """NHSIC does."""
        return ("training.local.nhsic",) if self.nhsic else ()

    def init(self, key: jax.Array, blocks: Sequence[jax.ShapeDtypeStruct], num_classes: int) -> dict[str, Any]:
        """Return a head per block, of its output as rows."""
        outputs = num_classes if self.loss == OUTPUT else EMBEDDING
        sizes = [jax.eval_shape(rows_of, block).shape[1] for block in blocks]
        return {
            f"{HEAD}_{i}": init_head(jax.random.fold_in(key, i), self.head, size, outputs)
            for i, size in enumerate(sizes)
        }

    def forward(self, apply: Callable[[], Any]) -> tuple[Any, Sequence[jax.Array]]:
        """Apply the network with the gradient cut at the input of every block and of the head."""
        seen = Blocks(self.blocks)
        with seen.cut():
            result = apply()
        return result, tuple(seen.outputs)

    def objective(
        self, loss: Loss, heads: Any, seen: Pass, h: Hyperparameters, stage: jax.Array | int
    ) -> jax.Array:
        """Return the loss of the logits and of every block, summed."""
        total = self._of_logits(loss, seen)
        for i in range(len(seen.blocks)):
            total += self._local(loss, heads, seen, h, i)
        return total

    def _of_logits(self, loss: Loss, seen: Pass) -> jax.Array:
        """Return the loss of the classifier."""
        logits, labels, weights = seen.logits, seen.labels, seen.weights
        if self.marked:  # of the view without labels
            count = len(labels) // self.views
            logits, labels, weights = jax.tree.map(lambda rows: rows[-count:], (logits, labels, weights))
        return loss.objective(logits, labels, weights)

    def _local(self, loss: Loss, heads: Any, seen: Pass, h: Hyperparameters, i: int) -> jax.Array:
        """Return the loss of a block."""
        block, head = seen.blocks[i], heads.get(f"{HEAD}_{i}", {})
        if self.loss == OUTPUT:
            value = loss.objective(apply_head(head, rows_of(block)), seen.labels, seen.weights)
        else:
            kind = EMBEDDINGS[self.loss]
            embeddings = apply_head(head, rows_of(block)) if head else kind.bare(block)
            value = kind.function(embeddings, seen.labels, seen.weights)
        if self.nhsic:
            other = seen.blocks[i - 1] if self.nhsic == BLOCK and i else seen.inputs
            value -= h.nhsic * batch_nhsic(block, jax.lax.stop_gradient(other))
        return value


@dataclasses.dataclass(frozen=True)
class LayerwiseSequential(Layerwise):
    """The same, one block after the other: stage i trains block i and its head, the last stage the classifier.

    All that a stage does not train stays as it is, but for the running statistics of BatchNorm, which every stage
    moves. The optimizer's state, batches and the rate in time begin anew with each stage.
    """

    def init(self, key: jax.Array, blocks: Sequence[jax.ShapeDtypeStruct], num_classes: int) -> dict[str, Any]:
        """Return a head per block.

        Raises:
          ConfigError: there is not one stage for each block and one for the classifier.
        """
        needed = len(blocks) + 1
        allowed = f"has {len(self.stages)} stages; the network has {len(blocks)} blocks and a head, so {needed}"
        require(len(self.stages) == needed, "training.stages", self.stages, allowed)
        return super().init(key, blocks, num_classes)

    def objective(
        self, loss: Loss, heads: Any, seen: Pass, h: Hyperparameters, stage: jax.Array | int
    ) -> jax.Array:
        """Return the loss of the block of the stage."""
        each = [self._local(loss, heads, seen, h, i) for i in range(len(seen.blocks))]
        return jnp.stack([*each, self._of_logits(loss, seen)])[stage]

    def held(self, before: Any, after: Any, apply: Callable[[Any], Any], stage: jax.Array | int) -> Any:
        """Return the parameters of the block of the stage after the step, all others before it."""
        owners = owners_of(own(before), apply, self.blocks)
        heads = {
            name: jax.tree.map(lambda _, i=i: i, before[LOCAL_HEADS][name])
            for i in range(len(self.stages) - 1)
            if (name := f"{HEAD}_{i}") in before.get(LOCAL_HEADS, {})
        }
        owners = owners | ({LOCAL_HEADS: heads} if LOCAL_HEADS in before else {})
        return jax.tree.map(lambda i, old, new: jnp.where(i == stage, new, old), owners, before, after)


def _layerwise(kind: type[Layerwise]) -> Callable[[ModelInfo, Training], Layerwise]:
    def make(info: ModelInfo, training: Training) -> Layerwise:
        local: Local = training.local
        loss = local.loss or OUTPUT
        views, marked = (EMBEDDINGS[loss].views, EMBEDDINGS[loss].marked) if loss in EMBEDDINGS else (1, False)
        stages = (training.stages or ()) if kind is LayerwiseSequential else ()
        return kind(stages, views, marked, info.blocks, loss, local.head or LINEAR, local.nhsic or "")

    return make


SCHEMES: dict[str, Callable[[ModelInfo, Training], EndToEnd]] = {
    "end_to_end": lambda info, training: EndToEnd(),
    SIMULTANEOUS: _layerwise(Layerwise),
    SEQUENTIAL: _layerwise(LayerwiseSequential),
}
LAYERWISE = (SIMULTANEOUS, SEQUENTIAL)
