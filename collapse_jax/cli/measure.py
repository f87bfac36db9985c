"""The command `measure`."""

import re

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.cli.reading import TRUST
from collapse_jax.errors import ConfigError
from collapse_jax.measuring import MEMORY
from collapse_jax.system import runtime


def run(options: Options) -> None:
    """Measure as the flags say, and print the files."""
    assert options.workdir is not None
    values = options.flags
    names, steps = _list(values.measures), [_step(item) for item in _list(values.steps)]
    chosen = split_options(values.options)
    runtime.start(devices=1)
    from collapse_jax.measuring.run import Asked, measure_files  # imports jax

    asked = Asked(
        names,
        splits=_list(values.splits),
        steps=steps or None,
        test_size=values.test_size,
        ood=values.ood or None,
        options=chosen,
        label=values.label,
        memory=values.memory,
        trust=values.trust,
    )
    for path in measure_files(options.workdir, asked):
        print(path)


def split_options(text: str) -> dict[str, str]:
    """Split "k=3,mode=reference" at the commas that begin a new name.

    Raises:
      ConfigError: a part is not NAME=VALUE, or a name stands there twice.
    """
    options: dict[str, str] = {}
    for part in re.split(r",(?=\s*\w+\s*=)", text) if text else []:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name.isidentifier():
            raise ConfigError("--options", text, "must be NAME=VALUE,NAME=VALUE, such as k=3,mode=reference")
        if name in options:
            raise ConfigError("--options", text, f"{name!r} stands there twice")
        options[name] = value
    return options


def _list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _step(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError("--steps", text, "must be whole numbers, comma-separated") from None


COMMAND = Command(
    run,
    "take measures from the stored snapshots",
    "--workdir=runs/quickstart --measures=nhsic,mutual_information",
    flags={
        "measures": Flag("names, comma-separated; FILE.py:FUNCTION is a measure of your own"),
        "splits": Flag("train or test, for the measures that can read either; train,test takes both"),
        "steps": Flag("snapshot steps to measure, comma-separated; all"),
        "options": Flag("options of the measures, such as k=3,mode=reference"),
        "ood": Flag(".npz file with inputs from outside the distribution"),
        "label": Flag("added to the names of variables and files, to keep results of other options apart"),
        "test_size": Flag("test examples, the first ones; 0: all of the task", None, int | None),
        "memory": Flag("bound on the bytes of arrays in use", MEMORY, float),
    }
    | TRUST,
)
