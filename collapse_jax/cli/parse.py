"""Reads the command line: a command, its flags, and the config with its overrides."""

import re

from absl import flags
from etils import epath
from ml_collections import config_flags

from collapse_jax.cli.commands import COMMANDS, Options
from collapse_jax.errors import ConfigError, closest, unknown
from collapse_jax.experiment import config, identity
from collapse_jax.experiment.typed import typed


def parse(argv: list[str]) -> Options:
    """Read the command line; overrides of the config are applied and typed by ml_collections.

    Raises:
      ConfigError: an argument is unknown, malformed or missing.
    """
    values = _flags_of(argv)
    experiment = _parse_flags(values, argv)
    if "workdir" in values and not values.workdir:
        raise ConfigError("--workdir", values.workdir, "name the directory of the sweep")
    workdir = epath.Path(values.workdir).expanduser() if "workdir" in values else None
    return Options(workdir, experiment, values)


def flags_help(name: str) -> str:
    """Describe the flags of a command, one on each line."""
    values = _flags_of([name])
    lines = [f"  --{flag}: {values[flag].help}" for flag in sorted(values)]
    return "\n".join([f"collapse-jax {name}", *lines])


def _flags_of(argv: list[str]) -> flags.FlagValues:
    """Define the flags of the command that `argv` begins with."""
    if argv[0] not in COMMANDS:
        raise ConfigError("command", argv[0], unknown("command", argv[0], COMMANDS))
    command = COMMANDS[argv[0]]
    values = flags.FlagValues()
    if command.needs_workdir:
        flags.DEFINE_string("workdir", None, "directory of the sweep", flag_values=values)
    if command.needs_config:
        # Without `sys_argv` overrides would be looked for in the arguments of the process, not in these.
        config_flags.DEFINE_config_file(
            "config", None, "config file and its argument", flag_values=values, sys_argv=argv
        )
    command.define_flags(values)
    return values


def _parse_flags(values: flags.FlagValues, argv: list[str]) -> config.Experiment | None:
    """Parse, and translate what ml_collections and the config file raise into one clear line."""
    try:
        left_over = values(argv)
        experiment = values["config"].value if "config" in values else None
        if experiment is not None and not isinstance(experiment, config.Experiment):
            if type(experiment).__name__ == "_ErrorConfig":
                # ml_collections defers errors of the file to the first use of the config.
                experiment.steps  # noqa: B018
            raise ConfigError(
                "--config",
                _given(argv),
                f"get_config returned a {type(experiment).__name__}, not an Experiment",
            )
    except ConfigError:
        raise
    except flags.IllegalFlagValueError as error:
        # A config file that raises arrives here with its traceback inside the message.
        raise ConfigError(*_split_flag_error(str(error))) from None
    except flags.Error as error:
        raise ConfigError("argument", " ".join(argv[1:]), str(error)) from None
    except KeyError as error:
        raise _unknown_field(str(error.args[0]), argv) from None
    except OSError:  # so ml_collections reports a file that it could not load
        raise ConfigError("--config", _given(argv), "no such file") from None
    except Exception as error:  # whatever the user's config file does
        raise ConfigError("--config", _given(argv), f"{type(error).__name__}: {error}") from None
    if len(left_over) > 1:
        raise ConfigError("argument", left_over[1], "not understood; flags are --name=value")
    if "config" in values and experiment is None and _given(argv):
        raise ConfigError("--config", _given(argv), "get_config returned None, not an Experiment")
    if "config" in values and experiment is None:
        raise ConfigError("--config", None, "name a config file, such as configs/quickstart.py")
    return None if experiment is None else typed(experiment)


def _split_flag_error(message: str) -> tuple[str, str, str]:
    """Split "flag --config.steps=abc: reason" into field, value and the last line of the reason."""
    flag, _, reason = message.removeprefix("flag ").partition(": ")
    field, _, value = flag.partition("=")
    return field, value, reason.strip().splitlines()[-1] if reason.strip() else "not understood"


def _given(argv: list[str]) -> str:
    return next((a.partition("=")[2] for a in reversed(argv) if a.startswith(("--config=", "-config="))), "")


def _unknown_field(message: str, argv: list[str]) -> ConfigError:
    found = re.search(r"Field (\S+) not found on dataclass", message)
    if not found:
        return ConfigError("--config", _given(argv), message)
    known = identity.flatten(config.Experiment())
    asked = [re.sub(r"^--?config\.", "", a.partition("=")[0]) for a in argv if re.match(r"--?config\.", a)]
    field = next((a for a in asked if a.split(".")[-1] == found[1] and a not in known), found[1])
    close = closest(field, known)
    hint = f"did you mean {close!r}?" if close else f"fields: {', '.join(known)}"
    return ConfigError(f"--config.{field}", _value_of(field, argv), f"unknown field; {hint}")


def _value_of(field: str, argv: list[str]) -> str:
    return next((a.partition("=")[2] for a in argv if a.lstrip("-").startswith(f"config.{field}=")), "")
