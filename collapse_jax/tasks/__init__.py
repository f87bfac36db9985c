"""Data sets by name.

To add one, write a file with a `TaskInfo` and name it in `catalogue.TASKS`, or, outside the package, give
`task.dataset="FILE.py:NAME"`; docs/extending.md has an example.
"""

from collapse_jax.tasks.assemble import record
from collapse_jax.tasks.base import Dataset, TaskInfo
from collapse_jax.tasks.catalogue import TASKS, find_task, load
from collapse_jax.tasks.check import FIELDS, RELATIONS, check_task

__all__ = [
    "FIELDS",
    "RELATIONS",
    "TASKS",
    "Dataset",
    "TaskInfo",
    "check_task",
    "find_task",
    "load",
    "record",
]
