"""How a run is trained beyond task, model, loss and optimizer: a section of the experiment. Does not import jax."""

import dataclasses
import itertools
from dataclasses import field


@dataclasses.dataclass
class Rate:
    """How the learning rate changes in the course of a level (without levels: of the run); constant by default.

    In step t = 0, 1, ... of a level it is the run's learning rate, times (t + 1) / warmup while t < warmup, times
    `factor` for each of the `milestones` that is <= t.

    Attributes:
      milestones: steps, ascending.
      factor: what each multiplies the rate by.
      warmup: steps of a linear warm-up; 0: none.
    """

    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    warmup: int = 0


@dataclasses.dataclass
class Levels:
    """Iterative magnitude pruning: train, prune the smallest weights, rewind to the initial ones, train again.

    A level is `steps` steps; `Experiment.steps` counts those of all levels. Level l = 0, 1, ... begins at step
    l `steps` with the share (1 - prune)^l of all kernels, of which the smallest in magnitude, whatever their layer,
    were pruned; what remains is as it was initialised. A log or a snapshot at step l `steps` sees the end of the
    level before. Batches, noise, rate and the optimizer's state begin anew with each level.

    Attributes:
      steps: of a level; 0: one level without end.
      prune: share of the remaining weights that is pruned between two levels.
      rule: which weights go: the "smallest" or "largest" in magnitude, or "random" ones; None: the smallest.
      ignored: layers, by the first names of their parameters, whose kernels are never pruned, such as ("head",).
      rewind: step k of the first level to whose weights, moments and running statistics the others are rewound,
        with what remains of the mask; they go on from there, their first k steps change nothing. None: 0.
    """

    steps: int = 0
    prune: float = 0.2
    rule: str | None = None
    ignored: tuple[str, ...] | None = None
    rewind: int | None = None


@dataclasses.dataclass
class Local:
    """The losses of single blocks, of the layer-wise schemes; None stands for the first that is named.

    Attributes:
      loss: "output", the loss of the sweep, of the logits of a head of the block; "similarity" (similarity
        matching) or "supervised_contrastive" (of two views of the batch, see `Training.augment`), of embeddings;
        "forward_forward": that the outputs are large where the right label is in the pixels and small where a
        wrong one is.
      head: between the output of a block and its loss: "linear", "mlp" (one hidden layer as wide as the output), or
        "identity", none (for embeddings).
      nhsic: adds -lambda nHSIC of the block's output and its own input ("block") or the network's ("input"), with
        lambda = `grid.nhsic`; "" without.
    """

    loss: str | None = None
    head: str | None = None
    nhsic: str | None = None


@dataclasses.dataclass
class Training:
    """How a run is trained beyond task, model, loss and optimizer.

    Attributes:
      scheme: which loss trains which parameters: "end_to_end"; "layerwise": a head and a loss of its own for each
        block, and no gradient from one block to another; or "layerwise_sequential": the same, block after block,
        and at last the classifier.
      local: the losses of blocks.
      stages: of "layerwise_sequential": steps of each stage, one per block and one for the classifier, `steps` in
        all; None for other schemes. Milestones and warm-up of the rate count from the first step of a stage.
      augment: names of random changes of the images of each batch, in this order: "flip" (left to right, half of
        them), "crop" (moved by up to an eighth of a side); None or () for none.
      terms: names of terms of the step, of those without an axis of the grid: "fixed_norm" (after each step all
        kernels are multiplied so that their common norm is the initial one), "orthogonal_gradient" (of each array
        of parameters only the part of its gradient orthogonal to it).
      rate: of the learning rate in time.
      levels: of pruning and rewinding.
      mask: .npz file of the weights with which the runs begin and that alone are trained (`training.masks`); ""
        without. Pruning by levels goes on from there.
      batch_norm: the statistics with which BatchNorm is evaluated: "running", or "batch", those of the examples
        that are evaluated together (500, the last fewer); training always takes those of its batch.
    """

    scheme: str = "end_to_end"
    terms: tuple[str, ...] = ()
    rate: Rate = field(default_factory=Rate)
    levels: Levels = field(default_factory=Levels)
    mask: str = ""
    batch_norm: str = "running"
    local: Local = field(default_factory=Local)
    stages: tuple[int, ...] | None = None
    augment: tuple[str, ...] | None = None

    def scaled(self, ratio: float) -> "Training":
        """Return the training of an experiment of `ratio` times the steps: what counts steps shrinks with them."""
        rate, levels = self.rate, self.levels
        steps = max(1, int(levels.steps * ratio)) if levels.steps else 0
        milestones = {int(milestone * ratio) for milestone in rate.milestones} - {0, steps}
        shorter = dataclasses.replace(rate, milestones=tuple(sorted(milestones)), warmup=int(rate.warmup * ratio))
        ends = [int(end * ratio) for end in itertools.accumulate(self.stages or ())]
        stages = tuple(end - start for start, end in itertools.pairwise([0, *ends])) if self.stages else None
        rewind = None if levels.rewind is None else int(levels.rewind * ratio)
        levels = dataclasses.replace(levels, steps=steps, rewind=rewind)
        return dataclasses.replace(self, rate=shorter, levels=levels, stages=stages)
