"""How the learning rate changes in time: a factor, a pure function of the step of the level."""

from collections.abc import Callable

import jax
import optax

from collapse_jax.experiment.training import Rate

Factor = Callable[[jax.Array], jax.Array]


def make_factor(rate: Rate) -> Factor | None:
    """Return step -> factor of the learning rate, see `experiment.training.Rate`; None where it is constant."""
    parts: list[Factor] = []
    if rate.warmup > 1:
        parts.append(optax.linear_schedule(1 / rate.warmup, 1.0, rate.warmup - 1))
    if rate.milestones:
        parts.append(optax.piecewise_constant_schedule(1.0, dict.fromkeys(rate.milestones, rate.factor)))
    if not parts:
        return None

    def factor(step: jax.Array) -> jax.Array:
        product = parts[0](step)
        for part in parts[1:]:
            product *= part(step)
        return product

    return factor
