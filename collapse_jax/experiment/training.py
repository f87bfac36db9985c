"""How a run is trained beyond task, model, loss and optimizer: a section of the experiment. Does not import jax."""

import dataclasses
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
    """

    steps: int = 0
    prune: float = 0.2


@dataclasses.dataclass
class Training:
    """How a run is trained beyond task, model, loss and optimizer.

    Attributes:
      scheme: which loss trains which parameters: "end_to_end", or "layerwise": a linear head and a loss of its own
        for each block, and no gradient from one block to another.
      terms: names of terms of the step, of those without an axis of the grid: "fixed_norm" (after each step all
        kernels are multiplied so that their common norm is the initial one), "orthogonal_gradient" (of each array
        of parameters only the part of its gradient orthogonal to it).
      rate: of the learning rate in time.
      levels: of pruning and rewinding.
      batch_norm: the statistics with which BatchNorm is evaluated: "running", or "batch", those of the examples
        that are evaluated together (500, the last fewer); training always takes those of its batch.
    """

    scheme: str = "end_to_end"
    terms: tuple[str, ...] = ()
    rate: Rate = field(default_factory=Rate)
    levels: Levels = field(default_factory=Levels)
    batch_norm: str = "running"

    def scaled(self, ratio: float) -> "Training":
        """Return the training of an experiment of `ratio` times the steps: levels and rates shrink with them."""
        rate, levels = self.rate, self.levels
        steps = max(1, int(levels.steps * ratio)) if levels.steps else 0
        milestones = {int(milestone * ratio) for milestone in rate.milestones} - {0, steps}
        shorter = dataclasses.replace(rate, milestones=tuple(sorted(milestones)), warmup=int(rate.warmup * ratio))
        return dataclasses.replace(self, rate=shorter, levels=dataclasses.replace(levels, steps=steps))
