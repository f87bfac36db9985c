"""The flags of the commands that read a sweep: thresholds in place of its own, and whether its code may run."""

from absl import flags

from collapse_jax.cli.base import Flag
from collapse_jax.experiment.thresholds import NAMES, check_levels

THRESHOLDS = {
    f"thresholds.{name}": Flag(f"level of {name} that defines a time scale; that of the sweep", None, float | None)
    for name in NAMES
}
TRUST = {
    "trust": Flag("run the files of models and tasks that the workdir names, whoever wrote them", False, bool),
}


def levels(values: flags.FlagValues) -> dict[str, float]:
    """Return the levels that were given.

    Raises:
      ConfigError: one is not in (0, 1].
    """
    given = {name: values[f"thresholds.{name}"].value for name in NAMES}
    found = {name: level for name, level in given.items() if level is not None}
    check_levels(found)
    return found
