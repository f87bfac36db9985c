"""Whether the choices of a task are allowed and fit its data set."""

from collapse_jax.errors import Wrong, require
from collapse_jax.experiment import checks, config
from collapse_jax.experiment.checks import COUNT, NUMBER, SEED, SHARE, OneOf, between
from collapse_jax.tasks import modular, text, text_files
from collapse_jax.tasks.base import TaskInfo
from collapse_jax.tasks.catalogue import ORDERS, find_task

FIELDS: checks.Fields = {
    "task.order": OneOf(ORDERS),
    "task.normalisation": OneOf(("standard", "unit")),
    "task.label_noise": SHARE,
    "task.label_seed": SEED,
    "task.max_tokens": between(3, text.MAX_TOKENS),
    "task.train_size": COUNT,
    "task.test_size": NUMBER,
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


def _modulus(e: config.Experiment) -> None:
    own = e.task.dataset == modular.NAME or e.task.modulus is None
    require(own, "task.modulus", e.task.modulus, f"only beside {modular.NAME!r}, not {e.task.dataset!r}")


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
FOUND_BY = tuple(f"task.{name}" for name in ("dataset", "order", "test_file", "modulus", "data_dir", "train_size"))
RELATIONS: checks.Relations = (
    (("task.label_noise", "task.random_labels"), _noise),
    (("task.test_file", "task.dataset"), _test_file),
    (("task.modulus", "task.dataset"), _modulus),
    (FOUND_BY, _train_size),
    ((*FOUND_BY, "task.test_size"), _test_size),
)
