"""Training of one run: losses, optimizers, batches and the step."""

from collapse_jax.training.losses import LOSSES
from collapse_jax.training.optimizers import OPTIMIZERS
from collapse_jax.training.run import (
    HEALTHY,
    Recipe,
    RunState,
    advance_run,
    has_finite_parameters,
    init_run,
    make_recipe,
    measurable,
    network_of,
    observe_probe,
    observe_run,
)

__all__ = [
    "HEALTHY",
    "LOSSES",
    "OPTIMIZERS",
    "Recipe",
    "RunState",
    "advance_run",
    "has_finite_parameters",
    "init_run",
    "make_recipe",
    "measurable",
    "network_of",
    "observe_probe",
    "observe_run",
]
