"""Whether the choices of a task are allowed and fit its data set."""

import functools

from collapse_jax.errors import Wrong, require, together
from collapse_jax.experiment import checks, config
from collapse_jax.experiment.axes import AXES, traced_axes
from collapse_jax.experiment.checks import LARGEST, NUMBER, SEED, SHARE, Check, OneOf, between
from collapse_jax.experiment.options import names_of
from collapse_jax.experiment.task_choices import OPERATIONS, TASK_OPTIONS
from collapse_jax.tasks import modular, text, text_files, token_selection
from collapse_jax.tasks.base import TaskInfo
from collapse_jax.tasks.catalogue import ORDERS, find_task

FIELDS: checks.Fields = {
    "task.order": OneOf(ORDERS),
    "task.normalisation": OneOf(("standard", "unit")),
    "task.label_noise": SHARE,
    "task.label_seed": SEED,
    "task.max_tokens": between(3, text.MAX_TOKENS),
    # A share of the pairs of modular arithmetic is a number of them by now, see `choices.filled`.
    "task.train_size": Check(
        f"must be a whole number >= 1 and <= {LARGEST}, or of {modular.NAME!r} a share in (0, 1)",
        lambda value: isinstance(value, int) and 1 <= value <= LARGEST,
    ),
    "task.test_size": NUMBER,
    "task.operation": OneOf(OPERATIONS),
    "task.form": OneOf(modular.FORMS),
    "task.split": OneOf(modular.SPLITS),
    "task.modulus": between(2, modular.MAX_MODULUS),
}


def check_task(task: config.Task) -> TaskInfo:
    """Find a data set and make sure that the choices of the task are allowed and fit it.

    Of a prepared set only the metadata is read, of a user's own arrays or texts everything.

    Raises:
      ConfigError: naming each wrong field, its value and what is allowed.
    """
    wrong = Wrong()
    checks.run(config.Experiment(task=task), FIELDS, RELATIONS, wrong)
    wrong.tell()
    return find_task(task)


def _noise(e: config.Experiment) -> None:
    both = e.task.random_labels and e.task.label_noise > 0
    require(not both, "task.label_noise", e.task.label_noise, "must be 0 beside random_labels=True")


def _test_file(e: config.Experiment) -> None:
    alone = not e.task.test_file or text_files.is_text(e.task.dataset)
    require(alone, "task.test_file", e.task.test_file, f"only beside a text file, not {e.task.dataset!r}")


def _options(e: config.Experiment) -> None:
    together(functools.partial(_only_beside, e, dataset, name) for name, dataset in DATASET_OF.items())


def _only_beside(e: config.Experiment, dataset: str, name: str) -> None:
    allowed = f"only beside {dataset!r}, not {e.task.dataset!r}"
    own, value = e.task.dataset == dataset, getattr(e.task, name)
    require(own or value is None, f"task.{name}", value, allowed)
    for axis, values in traced_axes(e.grid).items():
        require(own or AXES[axis].field != f"task.{name}", f"grid.{axis}", values, allowed)


def _token_selection(e: config.Experiment) -> None:
    if e.task.dataset == token_selection.NAME:
        token_selection.check_labels(e.task, e.grid.flip_rate)


def _train_size(e: config.Experiment) -> None:
    task, info = e.task, find_task(e.task)
    limit = f"must be in 1 ... {info.train_size}, what {task.dataset!r} holds"
    require(task.train_size <= info.train_size, "task.train_size", task.train_size, limit)
    if task.balanced:
        limit = f"a balanced set is a multiple of its {info.num_classes} classes"
        require(task.train_size % info.num_classes == 0, "task.train_size", task.train_size, limit)


def _test_size(e: config.Experiment) -> None:
    held = find_task(e.task).test_size
    require(e.task.test_size <= held, "task.test_size", e.task.test_size, f"must be in 0 ... {held} (0 means all)")


# What a data set is found by.
DATASET_OF = {name: dataset for dataset, kind in TASK_OPTIONS.items() for name in names_of(kind)}
OPTIONS = tuple(f"task.{name}" for name in DATASET_OF)
FOUND_BY = (
    *(f"task.{name}" for name in ("dataset", "order", "test_file", "data_dir", "train_size")),
    *OPTIONS,
)
RELATIONS: checks.Relations = (
    (("task.label_noise", "task.random_labels"), _noise),
    (("task.test_file", "task.dataset"), _test_file),
    ((*OPTIONS, "task.dataset", "grid"), _options),
    (("task.dataset", "task.train_size", "task.label_noise", "grid.flip_rate"), _token_selection),
    (FOUND_BY, _train_size),
    ((*FOUND_BY, "task.test_size"), _test_size),
)
