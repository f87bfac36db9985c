"""Whether the choices of `experiment.training` fit together, and with model, optimizer and grid."""

from collapse_jax import models
from collapse_jax.errors import ConfigError, require, require_one_of
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import AXES, traced_axes
from collapse_jax.experiment.choices import CHOICES, names_of
from collapse_jax.training.schemes import SCHEMES
from collapse_jax.training.terms import SWITCHED, TERMS

STATISTICS = ("running", "batch")


def check_training(e: config.Experiment) -> None:
    """Raise `ConfigError`, naming the field, its value and what is allowed, unless the training is possible."""
    training = e.training
    require_one_of("training.scheme", training.scheme, SCHEMES)
    if training.scheme == "layerwise":
        named = models.find_model(e.model.name).blocks != ""
        require(named, "training.scheme", "layerwise", f"the model {e.model.name!r} names no `blocks` (ModelInfo)")
    for name in training.terms:
        if name in TERMS and name not in SWITCHED:
            raise ConfigError("training.terms", name, f"has a strength: give it values with grid.{name}")
        require_one_of("training.terms", name, SWITCHED)
    require_one_of("training.batch_norm", training.batch_norm, STATISTICS)
    _check_time(e)
    own = names_of(CHOICES["optimizer"][e.optimizer.name])
    for name, values in traced_axes(e.grid).items():
        idle = AXES[name].field.startswith("optimizer.") and name not in own
        require(not idle, f"grid.{name}", values, f"{e.optimizer.name} has none; it has {', '.join(own)}")


def _check_time(e: config.Experiment) -> None:
    rate, levels = e.training.rate, e.training.levels
    require(0 <= levels.steps < e.steps, "training.levels.steps", levels.steps, f"must be in 0 ... {e.steps - 1}")
    require(0 < levels.prune < 1, "training.levels.prune", levels.prune, "must be in (0, 1)")
    length = levels.steps or e.steps
    for milestone in rate.milestones:
        allowed = f"must be in 1 ... {length - 1}, the steps of a level, in ascending order"
        require(0 < milestone < length, "training.rate.milestones", milestone, allowed)
    ascending = list(rate.milestones) == sorted(set(rate.milestones))
    require(ascending, "training.rate.milestones", rate.milestones, "must ascend")
    require(rate.factor > 0, "training.rate.factor", rate.factor, "must be > 0")
    require(rate.warmup >= 0, "training.rate.warmup", rate.warmup, "must be >= 0")
