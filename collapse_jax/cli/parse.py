"""Reads the command line: a command, its flags, and the config with its overrides."""

from typing import Any

from absl import flags

from collapse_jax.cli.base import Flag, Options
from collapse_jax.cli.commands import COMMANDS
from collapse_jax.errors import ConfigError, Wrong, closest, require, unknown
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import replaced, require_say
from collapse_jax.experiment.extensions import file_of, load_file, told
from collapse_jax.experiment.typed import field_types, from_text, literal, read
from collapse_jax.system.paths import path_of

WORKDIR = Flag("directory of the sweep", None)
CONFIG = Flag("config file and its argument, FILE.py or FILE.py:ARGUMENT", None)
FIELDS = field_types(config.Experiment)
NAMED = ("workdir", "config")  # of which `parse` says what to name


class Reader(flags.ArgumentParser):
    """Reads the text of a flag in a type; `name` is how errors call it."""

    def __init__(self, name: str, kind: Any):
        self.name, self.kind = name, kind

    def parse(self, argument: Any) -> Any:
        """Return the value; defaults pass as they are."""
        return from_text(self.name, self.kind, argument) if isinstance(argument, str) else argument


class FieldReader(Reader):
    """Reads the text of a field of the config, whose wrong values are told together when all are known."""

    def parse(self, argument: Any) -> Any:
        """Return the value, or what is none."""
        return literal(self.kind, argument) if isinstance(argument, str) else argument


def parse(argv: list[str]) -> Options:
    """Read the command line.

    Raises:
      ConfigError: an argument is unknown, malformed or missing.
    """
    values = _flags_of(argv[0])
    _parse_flags(values, argv)
    if "workdir" in values and not values.workdir:
        raise ConfigError("--workdir", values.workdir, "name the directory of the sweep")
    experiment = _experiment(values) if "config" in values else None
    workdir = path_of("--workdir", values.workdir) if "workdir" in values else None
    return Options(workdir, experiment, values)


def flags_help(name: str) -> str:
    """Describe the flags of a command, one on each line."""
    values = _flags_of(name)
    shown = [f"  --{flag}: {values[flag].help}" for flag in sorted(values) if not flag.startswith("config.")]
    if "config" in values:
        shown.append("  --config.FIELD=VALUE: any field of the experiment, such as --config.grid.seed=0,1")
    return "\n".join([f"collapse-jax {name}: {COMMANDS[name].help}", *shown])


def load_config(where: str) -> config.Experiment:
    """Return what `get_config` of "FILE.py" or "FILE.py:ARGUMENT" returns.

    Raises:
      ConfigError: there is no such file, it raised, or it returned something else than an experiment.
    """
    file = file_of("--config", where)
    module, argument = load_file("--config", where, "FILE.py or FILE.py:ARGUMENT"), where.rpartition(".py:")[2]
    if not hasattr(module, "get_config"):
        raise ConfigError("--config", where, f"{file.name} defines no get_config")
    try:
        experiment = module.get_config(argument) if argument != where else module.get_config()
    except (Exception, SystemExit) as error:  # whatever the user's config file does
        raise ConfigError("--config", where, told(error, file)) from None
    if not isinstance(experiment, config.Experiment):
        returned = type(experiment).__name__
        raise ConfigError("--config", where, f"get_config returned a {returned}, not an Experiment")
    return experiment


def _flags_of(name: str) -> flags.FlagValues:
    """Define the flags of a command, and one for each field of the config where it takes one."""
    if name not in COMMANDS:
        raise ConfigError("command", name, unknown("command", name, COMMANDS))
    command, values = COMMANDS[name], flags.FlagValues()
    if command.needs_workdir:
        _define("workdir", WORKDIR, values)
    if command.needs_config:
        _define("config", CONFIG, values)
        for field, kind in FIELDS.items():
            _define(f"config.{field}", Flag("", None, kind), values, FieldReader(field, kind))
    for flag, described in command.flags.items():
        _define(flag, described, values)
    return values


def _define(name: str, flag: Flag, values: flags.FlagValues, reader: Reader | None = None) -> None:
    reader = reader or Reader(f"--{name}", flag.kind)
    boolean = flag.kind in (bool, bool | None)
    flags.DEFINE_flag(flags.Flag(reader, None, name, flag.default, flag.help, boolean=boolean), values)


def _parse_flags(values: flags.FlagValues, argv: list[str]) -> None:
    """Parse, and say what absl raises in the form of all errors."""
    try:
        left_over = values(argv)
    except flags.UnrecognizedFlagError as error:
        name, value = error.flagname, error.flagvalue.partition("=")[2]
        if name.startswith("config.") and "config" in values:
            raise _unknown_field(name.removeprefix("config."), value) from None
        known = [flag for flag in values if not flag.startswith("config.")]
        raise ConfigError(f"--{name}", value, unknown("flag", name, known)) from None
    except flags.IllegalFlagValueError as error:
        if isinstance(error.__context__, ConfigError):  # of `Reader`
            raise error.__context__ from None
        raise ConfigError("argument", " ".join(argv[1:]), str(error)) from None
    except (flags.Error, ValueError) as error:  # as of a value after --noFLAG
        raise ConfigError("argument", " ".join(argv[1:]), str(error)) from None
    if len(left_over) > 1:
        raise ConfigError("argument", left_over[1], "not understood; flags are --name=value")
    for name in values:
        if not name.startswith("config.") and name not in NAMED:
            empty = values[name].present and values[name].value == ""  # which would be taken for the default
            require(not empty, f"--{name}", "", "needs a value, or leave the flag out")


def _unknown_field(field: str, value: str) -> ConfigError:
    inside = [known for known in FIELDS if known.startswith(f"{field}.")]
    close = closest(field, FIELDS)
    if inside:
        hint = f"is a group of fields: {', '.join(inside)}"
    else:
        hint = f"unknown field; did you mean {close!r}?" if close else f"unknown field; fields: {', '.join(FIELDS)}"
    return ConfigError(f"--config.{field}", value, hint)


def _experiment(values: flags.FlagValues) -> config.Experiment:
    """Load the config file and put the fields in their place that were given, of a repeated one the last."""
    if not values.config:
        raise ConfigError("--config", values.config, "name a config file, such as configs/quickstart.py")
    experiment, wrong = load_config(values.config), Wrong()
    given = {field: values[f"config.{field}"].value for field in FIELDS if values[f"config.{field}"].present}
    for field, value in given.items():
        experiment = replaced(experiment, field, value)
    whole = read(experiment, wrong)
    for field, value in given.items():
        with wrong.noted():
            require_say(whole.grid, field, value)
    if wrong.found:
        from collapse_jax.engine.validate import validate  # imports jax: what else is wrong is told with it

        with wrong.noted():
            validate(experiment)
        wrong.tell()
    return whole
