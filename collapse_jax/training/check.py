"""Whether the choices of `experiment.training` fit together, and with model, optimizer and grid."""

import functools

from collapse_jax import models, tasks
from collapse_jax.errors import ConfigError, require, require_one_of, together
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import AXES, traced_axes
from collapse_jax.experiment.checks import DECAY, NUMBER, POSITIVE, Check, Fields, OneOf, Relations
from collapse_jax.experiment.options import names_of
from collapse_jax.training.augment import AUGMENTATIONS
from collapse_jax.training.levels import RULES
from collapse_jax.training.local_heads import HEADS, IDENTITY
from collapse_jax.training.local_losses import EMBEDDINGS
from collapse_jax.training.masks import check_mask
from collapse_jax.training.optimizers import options_of_optimizer
from collapse_jax.training.schemes import LAYERWISE, LOCAL_LOSSES, NHSIC_OF, OUTPUT, SCHEMES, SEQUENTIAL
from collapse_jax.training.terms import SWITCHED, TERMS, terms_of

FIELDS: Fields = {
    "training.scheme": OneOf(SCHEMES),
    "training.local.loss": OneOf(LOCAL_LOSSES),
    "training.local.head": OneOf(HEADS),
    "training.local.nhsic": OneOf((*NHSIC_OF, "")),
    "training.augment": OneOf(AUGMENTATIONS),
    "training.batch_norm": OneOf(("running", "batch")),
    "training.levels.prune": Check("must be in (0, 1)", lambda value: 0 < value < 1),
    "training.levels.rule": OneOf(RULES),
    "training.rate.factor": POSITIVE,
    "training.rate.warmup": NUMBER,
    "optimizer.b1": DECAY,
    "optimizer.b2": DECAY,
    "optimizer.momentum": DECAY,
    "optimizer.eps": POSITIVE,
    "optimizer.decay": OneOf(("all", "matrices")),
}


def _scheme(e: config.Experiment) -> None:
    scheme = e.training.scheme
    if scheme in LAYERWISE:
        named = models.find_model(e.model.name).blocks != ""
        require(named, "training.scheme", scheme, f"the model {e.model.name!r} names no `blocks` (ModelInfo)")


def check_schemes(e: config.Experiment) -> None:
    """Make sure that one of the schemes of the whole sweep reads what is given for single blocks and for stages."""
    schemes, training = e.grid.scheme or (e.training.scheme,), e.training
    local = [(f"training.local.{name}", value, LAYERWISE) for name, value in vars(training.local).items()]
    together(
        functools.partial(require, not value or not {*readers}.isdisjoint(schemes), field, value, allowed)
        for field, value, readers in [*local, ("training.stages", training.stages, (SEQUENTIAL,))]
        for allowed in [f"is read by the scheme {' or '.join(readers)} alone, not by {' or '.join(schemes)}"]
    )


def _local(e: config.Experiment) -> None:
    local, loss = e.training.local, e.training.local.loss or OUTPUT
    if e.training.scheme not in LAYERWISE:
        return
    embedded = loss in EMBEDDINGS
    allowed = f"the loss {loss!r} is of logits, of a head"
    require(embedded or local.head != IDENTITY, "training.local.head", local.head, allowed)
    if embedded and EMBEDDINGS[loss].marked:
        _marked(e, loss)
        return
    views = EMBEDDINGS[loss].views if embedded else 1
    allowed = f"takes {views} views of a batch, which are equal without training.augment"
    require(views == 1 or bool(e.training.augment), "training.local.loss", loss, allowed)


def _marked(e: config.Experiment, loss: str) -> None:
    """Make sure that labels can be written into the pixels, and that their effect is on the block itself."""
    kind = tasks.find_task(e.task).kind
    require(
        kind == "image",
        "training.local.loss",
        loss,
        f"writes labels into images; task.dataset={e.task.dataset!r} is {kind}",
    )
    allowed = f"{loss!r} is of the outputs of blocks themselves: it must be {IDENTITY!r}"
    require(e.training.local.head == IDENTITY, "training.local.head", e.training.local.head or "linear", allowed)


def _nhsic(e: config.Experiment) -> None:
    asked, given = e.training.local.nhsic or "", bool(e.grid.nhsic)
    require(given or not asked, "training.local.nhsic", asked, "has a weight: give it values with grid.nhsic")
    who = f"is the weight of training.local.nhsic, one of {', '.join(NHSIC_OF)}"
    require(bool(asked) or not given, "grid.nhsic", e.grid.nhsic, who)
    size = e.batch_size or e.task.train_size
    allowed = f"compares whole batches; batch_size={size} must divide task.train_size={e.task.train_size}"
    require(not asked or e.task.train_size % size == 0, "training.local.nhsic", asked, allowed)


def _stages(e: config.Experiment) -> None:
    stages = e.training.stages or ()
    if e.training.scheme != SEQUENTIAL:
        return
    allowed = f"{SEQUENTIAL} needs the steps of its stages, one per block and one for the classifier"
    require(bool(stages), "training.stages", stages, allowed)
    require(all(steps >= 1 for steps in stages), "training.stages", stages, "each stage must have a step at least")
    allowed = f"must add up to steps={e.steps}, not {sum(stages)}"
    require(sum(stages) == e.steps, "training.stages", stages, allowed)
    require(not e.training.levels.steps, "training.levels.steps", e.training.levels.steps, f"beside {SEQUENTIAL}")


def _augment(e: config.Experiment) -> None:
    kind, names = tasks.find_task(e.task).kind, e.training.augment or ()
    allowed = f"changes images; task.dataset={e.task.dataset!r} is {kind}"
    require(not names or kind == "image", "training.augment", names, allowed)


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
    rewind, last = e.training.levels.rewind, max(steps - 1, 0)
    within = f"must be in 0 ... {last}, within a level"
    require(0 <= (rewind or 0) <= last, "training.levels.rewind", rewind, within)


def _milestones(e: config.Experiment) -> None:
    rate, training = e.training.rate, e.training
    stages = training.stages if training.scheme == SEQUENTIAL else None
    length = max(stages) if stages else training.levels.steps or e.steps
    for milestone in rate.milestones:
        allowed = f"must be in 1 ... {length - 1}, the steps of a level, in ascending order"
        require(0 < milestone < length, "training.rate.milestones", milestone, allowed)
    ascending = list(rate.milestones) == sorted(set(rate.milestones))
    require(ascending, "training.rate.milestones", rate.milestones, "must ascend")


def _coordinates(e: config.Experiment) -> None:
    """Make sure that a network trained in other coordinates than its parameters takes steps that these allow."""
    if models.coordinates_of(e.model) is None:
        return
    other = f"the model {e.model.name!r} in model.form={e.model.form!r} takes none but "
    steps, terms, rule = e.training.levels.steps, terms_of(e), e.optimizer
    checks = (
        (rule.name == "gd", "optimizer.name", rule.name, "'gd'"),
        (rule.decay in (None, "all"), "optimizer.decay", rule.decay, "'all'"),
        (not terms, "training.terms", terms, "()"),
        (not steps, "training.levels.steps", steps, "0"),
        (not e.training.mask, "training.mask", e.training.mask, "''"),
    )
    more = "; model.form='direct' takes any"
    together(functools.partial(require, ok, field, value, other + own + more) for ok, field, value, own in checks)


RELATIONS: Relations = (
    (("model", "optimizer", "training", "grid"), _coordinates),
    (("training.scheme", "model.name"), _scheme),
    (("training.scheme", "training.local", "training.augment", "task"), _local),
    (("training.local.nhsic", "grid", "batch_size", "task.train_size"), _nhsic),
    (("training.scheme", "training.stages", "training.levels.steps", "steps"), _stages),
    (("training.augment", "task"), _augment),
    (("training.terms", "grid"), _terms),
    (("training.mask", "grid"), check_mask),
    (("optimizer.name", "grid"), _axes),
    (("steps", "training.levels.steps", "training.levels.rewind"), _levels),
    (("steps", "training.levels.steps", "training.stages", "training.rate.milestones"), _milestones),
)
