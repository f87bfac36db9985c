"""The levels that a reader gives in place of those with which a sweep was begun."""

import dataclasses
from collections.abc import Mapping

from collapse_jax.errors import require, require_one_of
from collapse_jax.experiment.checks import LEVEL, Fields
from collapse_jax.experiment.config import Thresholds

NAMES = tuple(item.name for item in dataclasses.fields(Thresholds))
LEVELS: Fields = {f"thresholds.{name}": LEVEL for name in NAMES}


def with_levels(own: Thresholds, levels: Mapping[str, float]) -> Thresholds:
    """Return the thresholds `own` with some levels replaced, such as {"rnc1": 0.02}.

    Raises:
      ConfigError: there is no such threshold, or the level is not in (0, 1].
    """
    require(isinstance(levels, Mapping), "thresholds", levels, 'must be a dict, such as {"rnc1": 0.02}')
    for name in levels:
        require_one_of("thresholds", name, NAMES)
    check_levels(levels)
    return dataclasses.replace(own, **levels)


def check_levels(levels: Mapping[str, float]) -> None:
    """Raise `ConfigError` for a level outside of (0, 1]."""
    for name, value in levels.items():
        require(isinstance(value, int | float), f"thresholds.{name}", value, LEVEL.allowed)
        LEVEL(f"thresholds.{name}", value)
