"""Refuses a wrong experiment before anything compiles: all wrong fields, their values and what is allowed."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from collapse_jax import measures, models, tasks, training
from collapse_jax.engine import stopping
from collapse_jax.errors import ConfigError, Wrong, require, require_one_of, together
from collapse_jax.experiment import checks
from collapse_jax.experiment.axes import AXES, require_say, static_axes, traced_axes
from collapse_jax.experiment.checks import ANY, AUTOMATIC, COUNT, NUMBER, POSITIVE, OneOf, between, value_of
from collapse_jax.experiment.choices import CHOICES, filled, require_own
from collapse_jax.experiment.config import Experiment, Schedule
from collapse_jax.experiment.cuts import check_static_axes
from collapse_jax.experiment.grid import check_distinct, check_grid
from collapse_jax.experiment.identity import flatten
from collapse_jax.experiment.thresholds import LEVELS
from collapse_jax.experiment.typed import read
from collapse_jax.measures.needs import why_not_in_line

POINTS = between(1, 1_000_000)
RULES = OneOf(("reference", "geometric", "explicit"))
FIELDS: checks.Fields = {
    **tasks.FIELDS,
    **models.FIELDS,
    **training.FIELDS,
    **LEVELS,
    **stopping.FIELDS,
    "steps": COUNT,
    "batch_size": NUMBER,
    "loss": lambda _, name: training.find_loss(name),
    "precision": OneOf(("highest", "high", "default")),
    "dtype": OneOf(("float32", "float64")),
    "packing.devices": AUTOMATIC,
    "packing.runs_per_tile": AUTOMATIC,
    "checkpoint_seconds": POSITIVE,
    "chunk_seconds": POSITIVE,
    "log.rule": RULES,
    "log.points": POINTS,
    "snapshots.schedule.rule": RULES,
    "snapshots.schedule.points": POINTS,
    "snapshots.content": OneOf(("train", "test", "head", "parameters")),
    "snapshots.test_size": NUMBER,
}


def begun(experiment: Experiment, begin: Callable[[Experiment], None]) -> Experiment:
    """Validate an experiment after `begin` has started jax for it: a file of the user's own may use jax.

    Raises:
      ConfigError: as `validate`, and what `begin` refuses.
    """
    wrong = Wrong()
    with wrong.noted():
        whole = read(_experiment(experiment), wrong)
        check_grid(whole.grid)
        begin(whole)
    with wrong.noted():
        experiment = validate(experiment)
    wrong.tell()
    return experiment


def validate(experiment: Experiment) -> Experiment:
    """Return the experiment with every value in its declared type, and what follows from others filled in.

    Raises:
      ConfigError: fields hold values that are not allowed; all of them are named.
    """
    wrong = Wrong()
    experiment = filled(read(_experiment(experiment), wrong))
    with wrong.noted():
        check_grid(experiment.grid)
    for relation in (_have_say, _choices):
        with wrong.noted():
            relation(experiment)
    check = functools.partial(_note_wrong, known=wrong)
    if not wrong.holds(("grid",)) and static_axes(experiment.grid):
        with wrong.noted():
            check_static_axes(experiment, check)
    else:
        with wrong.noted():
            check(experiment)
    wrong.tell()
    return _with_snapshots_that_fit(experiment)


def _experiment(experiment: Any) -> Experiment:
    allowed = "must be an Experiment, as in train(experiment, workdir)"
    require(isinstance(experiment, Experiment), "experiment", experiment, allowed)
    return experiment


def _note_wrong(experiment: Experiment, known: Wrong) -> None:
    """Raise what is wrong in one part, beside what is known to be wrong in the whole."""
    wrong = Wrong()
    wrong.found |= known.found
    checks.run(experiment, FIELDS, RELATIONS, wrong)
    for field in known.found:
        wrong.found.pop(field)
    wrong.tell()


def _have_say(e: Experiment) -> None:
    """Make sure that a field beside its axis has its default or one of the axis's values: it is not read."""
    named: dict[str, Any] = {group: dataclasses.replace(getattr(Experiment(), group)) for group in CHOICES}
    for group, choice in named.items():
        choice.name = getattr(e, group).name if not getattr(e.grid, group) else choice.name
    defaults, fields = flatten(filled(Experiment(**named))), flatten(e)
    together(
        functools.partial(require_say, e.grid, axis.field, fields[axis.field])
        for name, axis in AXES.items()
        if axis.field and fields[axis.field] not in (None, defaults[axis.field], *getattr(e.grid, name))
    )


def _choices(e: Experiment) -> None:
    """Make sure that models and optimizers are there, and that one of them, or a scheme, has the options given."""
    together((lambda: _optimizers(e), lambda: _models(e), lambda: training.check_schemes(e)))


def _optimizers(e: Experiment) -> None:
    names = e.grid.optimizer or (e.optimizer.name,)
    require_own("optimizer", e.optimizer, {name: training.options_of_optimizer(name) for name in names})


def _models(e: Experiment) -> None:
    names = e.grid.model or (e.model.name,)
    require_own("model", e.model, {name: models.find_model(name).options for name in names})


def _model(e: Experiment) -> None:
    info = models.find_model(e.model.name)
    models.check_model(e.model, info, e.task.dataset, tasks.find_task(e.task).kind)
    if models.has_batch_norm(e.model, info):
        models.check_batches(e.task.train_size, e.batch_size)


def _batches(e: Experiment) -> None:
    limit = f"must be in 0 ... task.train_size={e.task.train_size} (0 means the whole training set)"
    require(e.batch_size <= e.task.train_size, "batch_size", e.batch_size, limit)


def _full_batch(e: Experiment) -> None:
    if e.optimizer.name == "gd":
        full = "full-batch gradient descent takes batch_size=0, the whole training set"
        require(e.batch_size in (0, e.task.train_size), "batch_size", e.batch_size, full)


def _numbers(e: Experiment) -> None:
    """Make sure that the numbers of the step are in the type of the sweep what they are as they were written."""
    axes = {f"grid.{name}": values for name, values in traced_axes(e.grid).items() if name != "seed"}
    names = (*(f"optimizer.{item.name}" for item in dataclasses.fields(e.optimizer)), "training.rate.factor")
    given = {name: (value,) for name in names if isinstance(value := value_of(e, name), float)}
    known: checks.Fields = {**FIELDS, **{f"grid.{name}": axis.check for name, axis in AXES.items()}}
    together(
        functools.partial(_number, e.dtype, field, value, known.get(field, ANY))
        for field, values in (given | axes).items()
        for value in values
    )
    if e.grid.mode == "product":
        together(functools.partial(_distinct, e.dtype, field, values) for field, values in axes.items())


def _number(dtype: str, field: str, value: float, check: Callable[[str, Any], None]) -> None:
    rounded, limits = _rounded(dtype, value), np.finfo(dtype)
    allowed = f"must be 0 or between {limits.tiny:.3g} and {limits.max:.3g} in size, to be a number in {dtype}"
    require(value == 0 or bool(limits.tiny <= abs(rounded) <= limits.max), field, value, allowed)
    try:
        check(field, rounded)
    except ConfigError as error:
        raise ConfigError(field, value, f"is {rounded:g} in {dtype}; {error.allowed}") from None


def _distinct(dtype: str, field: str, values: tuple[float, ...]) -> None:
    distinct = len({_rounded(dtype, value) for value in values}) == len(values)
    require(distinct, field, values, f"two of these are the same number in {dtype}")


def _rounded(dtype: str, value: float) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return float(np.asarray(value, dtype))


def _measures(e: Experiment) -> None:
    require(len(e.measures) > 0, "measures", e.measures, f"needs at least one of {', '.join(measures.MEASURES)}")
    for name in e.measures:
        require_one_of("measures", name, measures.MEASURES)
        reason = why_not_in_line(measures.MEASURES[name], e.dtype)
        require(reason is None, "measures", name, reason or "")
    check_distinct("measures", e.measures)


def _within_steps(field: str, e: Experiment) -> None:
    schedule: Schedule = value_of(e, field)
    for step in schedule.at:
        require(0 <= step <= e.steps, f"{field}.at", step, f"must be in 0 ... steps={e.steps}")


def _snapshots(e: Experiment) -> None:
    size = _stored(e)
    require(size != 1, "snapshots.test_size", size, "must be 0 (all) or at least 2: one example has no variance")


def _stored(e: Experiment) -> int:
    """Return how many test examples a snapshot holds: at most those that the task measures, 0 for all of them."""
    return min(e.snapshots.test_size, e.task.test_size or tasks.find_task(e.task).test_size)


def _with_snapshots_that_fit(e: Experiment) -> Experiment:
    """Return an experiment whose snapshots hold no more test examples than the smallest part of it has."""
    sizes: list[int] = []
    check_static_axes(e, lambda part: sizes.append(_stored(part)))
    return dataclasses.replace(e, snapshots=dataclasses.replace(e.snapshots, test_size=min(sizes)))


RELATIONS: checks.Relations = (
    *tasks.RELATIONS,
    (("model", "task", "batch_size"), _model),
    *training.RELATIONS,
    (("batch_size", "task.train_size"), _batches),
    (("batch_size", "task.train_size", "optimizer.name"), _full_batch),
    (("grid", "optimizer", "training.rate.factor", "dtype"), _numbers),
    (("measures", "dtype"), _measures),
    (("steps", "log.at"), functools.partial(_within_steps, "log")),
    (("steps", "snapshots.schedule.at"), functools.partial(_within_steps, "snapshots.schedule")),
    (("snapshots.test_size", "task"), _snapshots),
    *stopping.RELATIONS,
)
