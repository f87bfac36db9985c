"""What a command is: a function, its flags and one line of help. Imports no jax: wrong flags are told at once."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from absl import flags
from etils import epath

from collapse_jax.experiment import config
from collapse_jax.experiment.cuts import next_cut, parts


@dataclasses.dataclass
class Options:
    """What the user asked for.

    Attributes:
      workdir: directory of the sweep; None where the command takes none, and where it is an address.
      experiment: None for commands that read a finished sweep.
      flags: all flags of the command.
      argument: the word after the command; "" where there is none.
    """

    workdir: epath.Path | None
    experiment: config.Experiment | None
    flags: flags.FlagValues
    argument: str = ""


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of a command.

    Attributes:
      help: one line.
      default: what it is when it is not given.
      kind: its type.
    """

    help: str
    default: Any = ""
    kind: Any = str


@dataclasses.dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
      function: does the work; heavy modules are imported by it, when the flags have been understood.
      help: one line.
      example: its flags in a typical call.
      needs_config: whether it takes --config.
      needs_workdir: whether it takes --workdir.
      flags: its other flags.
      argument: what the word after the command is, in capitals; "" for a command that takes flags alone.
      choices: what that word may be.
      url: whether --workdir may be the https address of published results, which `open_results` reads; then
        `Options.workdir` is None.
    """

    function: Callable[[Options], None]
    help: str
    example: str
    needs_config: bool = False
    needs_workdir: bool = True
    flags: Mapping[str, Flag] = dataclasses.field(default_factory=dict)
    argument: str = ""
    choices: tuple[str, ...] = ()
    url: bool = False


def each_leaf(experiment: config.Experiment) -> list[tuple[str, config.Experiment]]:
    """Return a heading and the experiment of each part; no heading for an experiment that is not cut."""
    cut = next_cut(experiment)
    return [(f"{p.text}\n", p.experiment) for p in parts(experiment, cut)] if cut else [("", experiment)]
