"""Config files: what their `get_config` returns, with other values of some fields. Does not import jax."""

import os
from collections.abc import Mapping
from typing import Any

from collapse_jax.errors import ConfigError, Wrong, closest, require
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import replaced, require_say
from collapse_jax.experiment.extensions import file_of, load_file, told
from collapse_jax.experiment.typed import field_types, read

FIELDS = field_types(config.Experiment)


def load_config(where: str | os.PathLike[str], fields: Mapping[str, Any] | None = None) -> config.Experiment:
    """Read a config file as the command line does.

    Example:
      >>> fields = {"grid.seed": range(5), "grid.weight_decay": np.logspace(-3, -1, 5)}
      >>> experiment = collapse_jax.load_config("configs/mnist_mlp.py:cpu", fields)  # doctest: +SKIP
      >>> results = collapse_jax.train(experiment, "runs/mine")  # doctest: +SKIP

    Args:
      where: "FILE.py" or "FILE.py:ARGUMENT", as after `--config=`.
      fields: dotted name -> value, as after `--config.`: numbers, text, tuples, lists, ranges, arrays.

    Raises:
      ConfigError: there is no such file or field, the file raised or returned something else than an experiment, or
        a value has another type than its field.
    """
    require(isinstance(where, str | os.PathLike), "config", where, "must be a path")
    require(isinstance(fields, Mapping | None), "fields", fields, 'must be a dict, such as {"grid.seed": [0, 1]}')
    experiment, wrong = from_file("config", os.fspath(where)), Wrong()
    for field, value in (fields or {}).items():
        if field not in FIELDS:
            raise unknown_field(field, field, value)
        experiment = replaced(experiment, field, value)
    whole = read(experiment, wrong)
    for field, value in (fields or {}).items():
        with wrong.noted():
            require_say(whole.grid, field, value)
    wrong.tell()
    return whole


def from_file(flag: str, where: str) -> config.Experiment:
    """Return what `get_config` of "FILE.py" or "FILE.py:ARGUMENT" returns; `flag` is how messages call it.

    Raises:
      ConfigError: there is no such file, it raised, or it returned something else than an experiment.
    """
    file = file_of(flag, where)
    module, argument = load_file(flag, where, "FILE.py or FILE.py:ARGUMENT"), where.rpartition(".py:")[2]
    if not hasattr(module, "get_config"):
        raise ConfigError(flag, where, f"{file.name} defines no get_config")
    try:
        experiment = module.get_config(argument) if argument != where else module.get_config()
    except (Exception, SystemExit) as error:  # whatever the user's config file does
        raise ConfigError(flag, where, told(error, file)) from None
    if not isinstance(experiment, config.Experiment):
        returned = type(experiment).__name__
        raise ConfigError(flag, where, f"get_config returned a {returned}, not an Experiment")
    return experiment


def unknown_field(name: str, field: str, value: Any) -> ConfigError:
    """Say that there is no such field; `name` is how the message calls it."""
    inside = [known for known in FIELDS if known.startswith(f"{field}.")]
    close = closest(field, FIELDS)
    if inside:
        hint = f"is a group of fields: {', '.join(inside)}"
    else:
        hint = f"unknown field; did you mean {close!r}?" if close else f"unknown field; fields: {', '.join(FIELDS)}"
    return ConfigError(name, value, hint)
