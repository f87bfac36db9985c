"""Training of one run: losses, optimizers, batches, and the step as a chain of terms."""

from collapse_jax.models.losses import LOSSES, Loss, find_loss
from collapse_jax.training.check import FIELDS, RELATIONS, check_schemes
from collapse_jax.training.observe import measurable, observe_probe, observe_run
from collapse_jax.training.optimizers import OPTIMIZERS, OwnOptimizer, options_of_optimizer
from collapse_jax.training.run import advance_run, constants_of, forward_of, init_run, network_of
from collapse_jax.training.schemes import SCHEMES
from collapse_jax.training.state import (
    HEALTHY,
    Recipe,
    RunState,
    has_finite_parameters,
    is_network_alone,
    make_recipe,
    state_of,
)
from collapse_jax.training.terms import TERMS

__all__ = [
    "FIELDS",
    "HEALTHY",
    "LOSSES",
    "OPTIMIZERS",
    "RELATIONS",
    "SCHEMES",
    "TERMS",
    "Loss",
    "OwnOptimizer",
    "Recipe",
    "RunState",
    "advance_run",
    "check_schemes",
    "constants_of",
    "find_loss",
    "forward_of",
    "has_finite_parameters",
    "init_run",
    "is_network_alone",
    "make_recipe",
    "measurable",
    "network_of",
    "observe_probe",
    "observe_run",
    "options_of_optimizer",
    "state_of",
]
