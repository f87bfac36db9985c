"""Records of runs in tracking libraries: one file for each library, none imported before it is asked for."""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from collapse_jax.errors import ConfigError, require, unknown
from collapse_jax.tracking.base import Row, Run, Tracker, run_id

__all__ = ["TRACKERS", "Row", "Run", "Tracker", "find_tracker", "run_id"]

# The package of each library, which is also the extra that installs it, and the class of its records.
TRACKERS: dict[str, str] = {
    "tensorboard": "collapse_jax.tracking.tensorboard_files:TensorBoard",
    "wandb": "collapse_jax.tracking.wandb_runs:WandB",
    "mlflow": "collapse_jax.tracking.mlflow_runs:MLflow",
    "trackio": "collapse_jax.tracking.trackio_runs:Trackio",
}


def find_tracker(name: str | Callable[[], Tracker]) -> Callable[[], Tracker]:
    """Return what makes the record of a run; a function of the user's own that does so is taken as it is.

    Raises:
      ConfigError: there is no such library, or it is not installed.
    """
    if callable(name):
        return name
    require(name in TRACKERS, "--track", name, unknown("library", str(name), TRACKERS))
    if importlib.util.find_spec(name) is None:
        raise ConfigError("--track", name, f'needs the package {name}: pip install "collapse-jax[{name}]"')
    module, _, kind = TRACKERS[name].partition(":")
    found: Any = getattr(importlib.import_module(module), kind)
    return found
