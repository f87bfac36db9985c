"""Data sets by name.

To add one, write a file with a `TaskInfo` and name it in `catalogue.TASKS`, or, outside the package, give
`task.dataset="FILE.py:NAME"`; docs/extending.md has an example.
"""

from collapse_jax.tasks.assemble import record
from collapse_jax.tasks.base import Dataset, TaskInfo
from collapse_jax.tasks.catalogue import TASKS, check_task, find_task, load

__all__ = ["TASKS", "Dataset", "TaskInfo", "check_task", "find_task", "load", "record"]
