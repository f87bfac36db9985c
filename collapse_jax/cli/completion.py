"""The command `completion`: a script by which a shell completes commands, flags, fields and names."""

import argparse
import functools
from collections.abc import Mapping
from typing import Any

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.errors import ConfigError, require_one_of
from collapse_jax.experiment.load import FIELDS

SHELLS = ("bash", "zsh", "tcsh")
PROGRAM = "collapse-jax"


def command(commands: Mapping[str, Command]) -> Command:
    """Return the command that completes these, and itself."""
    shell = Flag(f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}", "bash")
    return Command(
        functools.partial(run, commands),
        "print what lets a shell complete commands, flags and fields",
        "--shell=bash",
        needs_workdir=False,
        flags={"shell": shell},
    )


def run(commands: Mapping[str, Command], options: Options) -> None:
    """Print the script for a shell."""
    require_one_of("--shell", options.flags.shell, SHELLS)
    try:
        import shtab
    except ImportError:
        needed = 'needs the package shtab: pip install "collapse-jax[completion]"'
        raise ConfigError("--shell", options.flags.shell, needed) from None
    print(shtab.complete(_parser(commands, shtab.FILE), shell=options.flags.shell))


def _parser(commands: Mapping[str, Command], files: Any) -> argparse.ArgumentParser:
    """Say what can be completed, in the only form that shtab reads.

    Args:
      commands: by name.
      files: what shtab takes for "here stands a file".
    """
    parser = argparse.ArgumentParser(PROGRAM)
    subparsers = parser.add_subparsers()
    for name, command in commands.items():
        one = subparsers.add_parser(name, help=command.help)
        named = [*(["workdir"] if command.needs_workdir else []), *(["config"] if command.needs_config else [])]
        fields = [f"config.{field}" for field in FIELDS] if command.needs_config else []
        for flag in [*named, *command.flags, *fields]:
            help_ = command.flags[flag].help if flag in command.flags else ""
            one.add_argument(f"--{flag}", help=help_.replace("%", "%%")).complete = files  # type: ignore[attr-defined]
        if command.argument:
            one.add_argument(command.argument, choices=command.choices)
    return parser
