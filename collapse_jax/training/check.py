"""Whether the choices of `experiment.training` fit together, and with model, optimizer and grid."""

from collapse_jax import models
from collapse_jax.errors import ConfigError, require, require_one_of
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import AXES, traced_axes
from collapse_jax.experiment.checks import DECAY, NUMBER, POSITIVE, Check, Fields, OneOf, Relations
from collapse_jax.experiment.choices import names_of
from collapse_jax.training.optimizers import options_of_optimizer
from collapse_jax.training.schemes import SCHEMES
from collapse_jax.training.terms import SWITCHED, TERMS

FIELDS: Fields = {
    "training.scheme": OneOf(SCHEMES),
    "training.batch_norm": OneOf(("running", "batch")),
    "training.levels.prune": Check("must be in (0, 1)", lambda value: 0 < value < 1),
    "training.rate.factor": POSITIVE,
    "training.rate.warmup": NUMBER,
    "optimizer.b1": DECAY,
    "optimizer.b2": DECAY,
    "optimizer.momentum": DECAY,
    "optimizer.eps": POSITIVE,
    "optimizer.decay": OneOf(("all", "matrices")),
}


def _scheme(e: config.Experiment) -> None:
    if e.training.scheme == "layerwise":
        named = models.find_model(e.model.name).blocks != ""
        require(named, "training.scheme", "layerwise", f"the model {e.model.name!r} names no `blocks` (ModelInfo)")


def _terms(e: config.Experiment) -> None:
    for name in e.training.terms:
        if name in TERMS and name not in SWITCHED:
            raise ConfigError("training.terms", name, f"has a strength: give it values with grid.{name}")
        require_one_of("training.terms", name, SWITCHED)
    both = "fixed_norm" in e.training.terms and e.grid.norm_clamp
    require(not both, "training.terms", "fixed_norm", "the norm is held by grid.norm_clamp already")


def _axes(e: config.Experiment) -> None:
    own = names_of(options_of_optimizer(e.optimizer.name))
    for name, values in traced_axes(e.grid).items():
        idle = AXES[name].field.startswith("optimizer.") and name not in own
        require(
            not idle,
            f"grid.{name}",
            values,
            f"{e.optimizer.name} has none; it has {', '.join(own) or 'no options'}",
        )


def _levels(e: config.Experiment) -> None:
    steps = e.training.levels.steps
    require(0 <= steps < e.steps, "training.levels.steps", steps, f"must be in 0 ... {e.steps - 1}")


def _milestones(e: config.Experiment) -> None:
    rate, length = e.training.rate, e.training.levels.steps or e.steps
    for milestone in rate.milestones:
        allowed = f"must be in 1 ... {length - 1}, the steps of a level, in ascending order"
        require(0 < milestone < length, "training.rate.milestones", milestone, allowed)
    ascending = list(rate.milestones) == sorted(set(rate.milestones))
    require(ascending, "training.rate.milestones", rate.milestones, "must ascend")


RELATIONS: Relations = (
    (("training.scheme", "model.name"), _scheme),
    (("training.terms", "grid"), _terms),
    (("optimizer.name", "grid"), _axes),
    (("steps", "training.levels.steps"), _levels),
    (("steps", "training.levels.steps", "training.rate.milestones"), _milestones),
)
