"""Reads the command line: a command, its flags, and the config with its overrides."""

import textwrap
from typing import Any

from absl import flags

from collapse_jax.cli.base import Flag, Options
from collapse_jax.cli.commands import COMMANDS
from collapse_jax.errors import ConfigError, Wrong, require, unknown
from collapse_jax.experiment import config
from collapse_jax.experiment.axes import replaced, require_say
from collapse_jax.experiment.describe import Field, fields
from collapse_jax.experiment.load import FIELDS, from_file, unknown_field
from collapse_jax.experiment.typed import from_text, literal, read
from collapse_jax.system.paths import is_url, path_of

WORKDIR = Flag("directory of the sweep", None)
CONFIG = Flag("config file and its argument, FILE.py or FILE.py:ARGUMENT", None)
FIELDS_HEADING = """
Fields of the experiment, with what they are where the config file says nothing; several values are written 0,1,2.
The docstrings of collapse_jax.experiment.config have the texts in full."""
WIDTH = 118
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
    argument = _parse_flags(values, argv, COMMANDS[argv[0]].argument)
    if "workdir" in values and not values.workdir:
        raise ConfigError("--workdir", values.workdir, "name the directory of the sweep")
    experiment = _experiment(values) if "config" in values else None
    url = COMMANDS[argv[0]].url and is_url(values.workdir)
    workdir = path_of("--workdir", values.workdir) if "workdir" in values and not url else None
    return Options(workdir, experiment, values, argument)


def flags_help(name: str) -> str:
    """Describe the flags of a command, one on each line."""
    values = _flags_of(name)
    shown = [f"  --{flag}: {values[flag].help}" for flag in sorted(values) if not flag.startswith("config.")]
    if "config" in values:
        shown += [FIELDS_HEADING, *map(_field_help, fields())]
    command = COMMANDS[name]
    return "\n".join([f"collapse-jax {' '.join(filter(None, (name, command.argument)))}: {command.help}", *shown])


def _field_help(field: Field) -> str:
    """Describe a field of the experiment in one line."""
    default = field.default if isinstance(field.default, str) and field.default else repr(field.default)
    line = f"--config.{field.name}={default}: {field.text}"
    return f"  {textwrap.shorten(line, WIDTH, placeholder=' ...')}"


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


def _parse_flags(values: flags.FlagValues, argv: list[str], argument: str) -> str:
    """Parse, say what absl raises in the form of all errors, and return the word after the command."""
    try:
        left_over = values(argv)
    except flags.UnrecognizedFlagError as error:
        name, value = error.flagname, error.flagvalue.partition("=")[2]
        if name.startswith("config.") and "config" in values:
            raise unknown_field(f"--{name}", name.removeprefix("config."), value) from None
        known = [flag for flag in values if not flag.startswith("config.")]
        allowed = unknown("flag", name, known) if known else f"{argv[0]} takes no flags"
        raise ConfigError(f"--{name}", value, allowed) from None
    except flags.IllegalFlagValueError as error:
        if isinstance(error.__context__, ConfigError):  # of `Reader`
            raise error.__context__ from None
        raise ConfigError("argument", " ".join(argv[1:]), str(error)) from None
    except (flags.Error, ValueError) as error:  # as of a value after --noFLAG
        raise ConfigError("argument", " ".join(argv[1:]), str(error)) from None
    _, *words = left_over
    taken = 1 if argument else 0
    if len(words) > taken:
        raise ConfigError("argument", words[taken], "not understood; flags are --name=value")
    for name in values:
        if not name.startswith("config.") and name not in NAMED:
            empty = values[name].present and values[name].value == ""  # which would be taken for the default
            require(not empty, f"--{name}", "", "needs a value, or leave the flag out")
    return words[0] if words else ""


def _experiment(values: flags.FlagValues) -> config.Experiment:
    """Load the config file and put the fields in their place that were given, of a repeated one the last."""
    if not values.config:
        raise ConfigError("--config", values.config, "name a config file, such as configs/quickstart.py")
    experiment, wrong = from_file("--config", values.config), Wrong()
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
