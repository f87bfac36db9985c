"""Refuses a wrong experiment before anything compiles, naming the field, its value and what is allowed."""

import dataclasses

from collapse_jax import measures, models, tasks, training
from collapse_jax.errors import require, require_one_of
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import static_axes
from collapse_jax.experiment.choices import CHOICES, filled, options, require_own
from collapse_jax.experiment.cuts import check_static_axes
from collapse_jax.experiment.grid import check_distinct, check_grid
from collapse_jax.experiment.thresholds import check_levels
from collapse_jax.experiment.typed import typed
from collapse_jax.measures.needs import why_not_in_line

SCHEDULE_RULES = ("reference", "geometric", "explicit")
SNAPSHOT_CONTENT = ("train", "test", "head", "parameters")
PRECISIONS = ("highest", "high", "default")
DTYPES = ("float32", "float64")


def validate(experiment: config.Experiment) -> config.Experiment:
    """Return the experiment with every value in its declared type, or raise `ConfigError`."""
    experiment = filled(typed(experiment))
    check_grid(experiment.grid)
    _check_choices(experiment)
    if static_axes(experiment.grid):
        check_static_axes(experiment, _check_part)
    else:
        _check_part(experiment)
    return experiment


def _check_choices(e: config.Experiment) -> None:
    """Make sure that every model and optimizer is there, and that one of them has the options that are given."""
    names = e.grid.optimizer or (e.optimizer.name,)
    for name in names:
        require_one_of("optimizer.name", name, training.OPTIMIZERS)
    require_own("optimizer", e.optimizer, {name: CHOICES["optimizer"][name] for name in names})
    names = e.grid.model or (e.model.name,)
    require_own("model", e.model, {name: models.find_model(name).options for name in names})


def _check_part(experiment: config.Experiment) -> None:
    _check_training(experiment)
    _check_measuring(experiment)


def _check_training(e: config.Experiment) -> None:
    require(e.steps >= 1, "steps", e.steps, "must be >= 1")
    require(e.steps < 2**31, "steps", e.steps, "must be < 2**31")
    info = tasks.check_task(e.task)
    limit = f"must be in 0 ... task.train_size={e.task.train_size} (0 means the whole training set)"
    require(0 <= e.batch_size <= e.task.train_size, "batch_size", e.batch_size, limit)
    model = models.find_model(e.model.name)
    models.check_model(e.model, model, e.task.dataset, info.kind)
    if models.has_batch_norm(e.model, model):
        models.check_batches(e.task.train_size, e.batch_size)
    require_one_of("loss", e.loss, training.LOSSES)
    training.check_training(e)
    kind = CHOICES["optimizer"][e.optimizer.name]
    for name, value in vars(options(e.optimizer, kind)).items():
        if name == "eps":
            require(value > 0, "optimizer.eps", value, "must be > 0")
        else:
            require(0 <= value < 1, f"optimizer.{name}", value, "must be in [0, 1)")
    if e.optimizer.name == "gd":
        full = "full-batch gradient descent takes batch_size=0, the whole training set"
        require(e.batch_size in (0, e.task.train_size), "batch_size", e.batch_size, full)
    require_one_of("precision", e.precision, PRECISIONS)
    require_one_of("dtype", e.dtype, DTYPES)
    for name, value in dataclasses.asdict(e.packing).items():
        require(value >= 0, f"packing.{name}", value, "must be >= 0 (0 means automatic)")
    for name in ("checkpoint_seconds", "chunk_seconds"):
        require(getattr(e, name) > 0, name, getattr(e, name), "must be > 0")


def _check_measuring(e: config.Experiment) -> None:
    require(len(e.measures) > 0, "measures", e.measures, f"needs at least one of {', '.join(measures.MEASURES)}")
    for name in e.measures:
        require_one_of("measures", name, measures.MEASURES)
        reason = why_not_in_line(measures.MEASURES[name], e.dtype)
        require(reason is None, "measures", name, reason or "")
    check_distinct("measures", e.measures)
    _check_schedule("log", e.log, e.steps)
    _check_schedule("snapshots.schedule", e.snapshots.schedule, e.steps)
    for name in e.snapshots.content:
        require_one_of("snapshots.content", name, SNAPSHOT_CONTENT)
    size, held = e.snapshots.test_size, e.task.test_size or tasks.find_task(e.task).test_size
    require(0 <= size <= held, "snapshots.test_size", size, f"must be in 0 ... {held} (0 means all)")
    require(size != 1, "snapshots.test_size", size, "must be 0 (all) or at least 2: one example has no variance")
    check_levels(dataclasses.asdict(e.thresholds))


def _check_schedule(field: str, schedule: config.Schedule, steps: int) -> None:
    require_one_of(f"{field}.rule", schedule.rule, SCHEDULE_RULES)
    require(schedule.points >= 1, f"{field}.points", schedule.points, "must be >= 1")
    for step in schedule.at:
        require(0 <= step <= steps, f"{field}.at", step, f"must be in 0 ... steps={steps}")
