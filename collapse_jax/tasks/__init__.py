"""Tasks by name. To add one, write a module with a `TaskInfo` and name it here."""

from collapse_jax.tasks.base import Dataset, TaskInfo
from collapse_jax.tasks.mnist import MNIST

TASKS: dict[str, TaskInfo] = {"mnist": MNIST}

__all__ = ["TASKS", "Dataset", "TaskInfo"]
