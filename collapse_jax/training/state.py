"""What a run is: the state that changes while it is trained, and the recipe that all runs of a sweep share."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax
from flax import linen as nn
from flax import struct

from collapse_jax import models
from collapse_jax.experiment import config
from collapse_jax.experiment.training import Levels
from collapse_jax.models import Coordinates, InitialScale
from collapse_jax.models.losses import Loss, find_loss
from collapse_jax.tasks import Dataset
from collapse_jax.training.levels import SMALLEST, Division, Equal, Pruning, Unequal
from collapse_jax.training.masks import MaskFile
from collapse_jax.training.optimizers import MakeOptimizer, optimizer_of
from collapse_jax.training.rates import Factor, make_factor
from collapse_jax.training.schemes import SCHEMES, EndToEnd
from collapse_jax.training.terms import filtered, terms_of
from collapse_jax.training.trees import all_finite, own

HEALTHY = -1
BATCH_STATS, MASK = "batch_stats", "mask"
SCALE_ALL = InitialScale()


@struct.dataclass
class RunState:
    """All that changes while a run is trained.

    Attributes:
      params: parameter tree of the network, and "local_heads" of a scheme that has them; its coordinates where
        the recipe has some.
      opt_state: state of the optimizer.
      diverged_at: int32, the first step whose loss was not finite; -1 while healthy.
      batch_stats: running statistics of the model's BatchNorm layers; empty for other models.
      mask: tree of bools like the network's parameters, false where a weight is pruned; empty without levels.
    """

    params: Any
    opt_state: optax.OptState
    diverged_at: jax.Array
    batch_stats: Any = struct.field(default_factory=dict)
    mask: Any = struct.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The static part of a run: equal for all runs of a sweep, hashable.

    Attributes:
      model: the network.
      loss: of the logits.
      make_optimizer: hyperparameters -> optimizer.
      batch_size: examples per step.
      initial_scale: what the initialisation scale multiplies.
      draw: (params, key) -> params, drawn in the place of the model's own; None keeps these.
      scheme: which loss trains which parameters.
      terms: names of the terms of the step, of `terms.TERMS`.
      rate: step of a level -> factor of the learning rate; None where it is constant.
      division: of the steps into levels; None where there is one.
      pruning: what is pruned between two levels; None where there are none, or they are stages.
      augment: names of the changes of the images of a batch.
      mask: with which a run begins; None keeps all weights.
      batch_norm: "running" or "batch", the statistics with which BatchNorm is evaluated.
      coordinates: in which the network is trained; None: in its parameters.
      num_classes: K.
      dtype: of the parameters.
    """

    model: nn.Module
    loss: Loss
    make_optimizer: MakeOptimizer
    batch_size: int
    initial_scale: InitialScale = SCALE_ALL
    draw: Callable[[Any, jax.Array], Any] | None = None
    scheme: EndToEnd = dataclasses.field(default_factory=EndToEnd)
    terms: tuple[str, ...] = ()
    rate: Factor | None = None
    division: Division | None = None
    pruning: Pruning | None = None
    augment: tuple[str, ...] = ()
    mask: MaskFile | None = None
    batch_norm: str = "running"
    coordinates: Coordinates | None = None
    num_classes: int = 0
    dtype: str = "float32"

    def local(self, step: jax.Array) -> jax.Array:
        """Return the step counted from the beginning of its level."""
        return step - self.division.first(self.division.level(step)) if self.division else step

    def level(self, step: jax.Array) -> jax.Array | int:
        """Return the number of the level of a step."""
        return self.division.level(step) if self.division else 0


def make_recipe(experiment: config.Experiment, data: Dataset) -> Recipe:
    """Collect what a validated experiment fixes for all runs."""
    info, training = models.find_model(experiment.model.name), experiment.training
    terms, scheme = terms_of(experiment), SCHEMES[training.scheme](info, training)
    levels = Equal(training.levels.steps) if training.levels.steps else None
    return Recipe(
        model=models.make_model(experiment.model, data.num_classes, data.vocabulary_size),
        loss=find_loss(experiment.loss),
        make_optimizer=filtered(terms, optimizer_of(experiment.optimizer)),
        batch_size=experiment.batch_size or experiment.task.train_size,
        initial_scale=models.initial_scale(info, experiment.model.init),
        draw=models.DRAWS.get(experiment.model.init),
        scheme=scheme,
        terms=terms,
        rate=make_factor(training.rate),
        division=Unequal(scheme.stages) if scheme.stages else levels,
        pruning=_pruning(training.levels),
        augment=training.augment or (),
        mask=MaskFile(training.mask) if training.mask else None,
        batch_norm=training.batch_norm,
        coordinates=models.coordinates_of(experiment.model),
        num_classes=data.num_classes,
        dtype=experiment.dtype,
    )


def _pruning(levels: Levels) -> Pruning | None:
    if not levels.steps:
        return None
    return Pruning(levels.prune, levels.rule or SMALLEST, levels.ignored or (), levels.rewind or 0)


def has_finite_parameters(state: RunState) -> jax.Array:
    """Return whether every parameter of one run is finite."""
    return all_finite(state.params)


def is_network_alone(recipe: Recipe, state: RunState) -> bool:
    """Whether `network_of` is all that changes: no moments of the optimizer, no local heads, no coordinates."""
    alone = not jax.tree.leaves(state.opt_state) and own(state.params).keys() == state.params.keys()
    return alone and recipe.coordinates is None


def state_of(network: dict[str, Any], like: RunState, diverged_at: Any) -> RunState:
    """Inverse of `network_of` for a state that `is_network_alone`; `like` has its structure."""
    params = {name: tree for name, tree in network.items() if name in like.params}
    beside = {name: network.get(name, {}) for name in (BATCH_STATS, MASK)}
    return dataclasses.replace(like, params=params, diverged_at=diverged_at, **beside)
