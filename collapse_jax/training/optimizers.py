"""Optimizers, built from one run's hyperparameters inside the step.

An optimizer made outside would hold the tracers of another trace; one made here is a constant of the program
except for the numbers that the grid varies.
"""

from collections.abc import Callable

import optax

from collapse_jax import config
from collapse_jax.grid import Hyperparameters

MakeOptimizer = Callable[[Hyperparameters], optax.GradientTransformation]


def _adamw(c: config.Optimizer) -> MakeOptimizer:
    """P <- p - eta (m_hat / (sqrt(v_hat) + eps) + lambda p), on every parameter, biases too."""
    return lambda h: optax.adamw(h.learning_rate, c.b1, c.b2, c.eps, weight_decay=h.weight_decay)


def _sgd(c: config.Optimizer) -> MakeOptimizer:
    """G <- grad + lambda p; b <- momentum b + g; p <- p - eta b, as `torch.optim.SGD`."""
    momentum = c.momentum or None
    return lambda h: optax.chain(
        optax.add_decayed_weights(h.weight_decay), optax.sgd(h.learning_rate, momentum=momentum)
    )


# "gd" differs from "sgd" only in that validation requires the full batch.
OPTIMIZERS: dict[str, Callable[[config.Optimizer], MakeOptimizer]] = {
    "adamw": _adamw,
    "sgd": _sgd,
    "gd": _sgd,
}
