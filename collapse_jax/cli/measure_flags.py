"""The flags of the command `measure`. Imports jax only inside `run`."""

import re

from absl import flags
from etils import epath

from collapse_jax.errors import ConfigError
from collapse_jax.measuring import MEMORY


def define_flags(values: flags.FlagValues) -> None:
    """Define the flags of `measure`; see `collapse_jax.measure` for what they mean."""
    text = {
        "measures": "names, comma-separated; FILE.py:FUNCTION is a measure of your own",
        "splits": "train or test, for the measures that can read either; train,test takes both",
        "steps": "snapshot steps to measure, comma-separated; all",
        "options": "options of the measures, such as k=3,mode=reference",
        "ood": ".npz file with inputs from outside the distribution",
        "label": "added to the names of variables and files, to keep results of other options apart",
    }
    for name, meaning in text.items():
        flags.DEFINE_string(name, "", meaning, flag_values=values)
    flags.DEFINE_integer("test_size", None, "test examples, the first ones; 0: all of the task", flag_values=values)
    flags.DEFINE_float("memory", MEMORY, "bound on the bytes of arrays in use", flag_values=values)


def run(workdir: epath.Path, values: flags.FlagValues) -> None:
    """Measure as the flags say, and print the files."""
    names = _list(values.measures)
    steps = [_step(item) for item in _list(values.steps)]
    options = split_options(values.options)
    from collapse_jax.measuring.run import measure_files

    for path in measure_files(
        workdir,
        names,
        splits=_list(values.splits),
        steps=steps or None,
        test_size=values.test_size,
        ood=values.ood or None,
        options=options,
        label=values.label,
        memory=values.memory,
    ):
        print(path)


def _list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _step(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError("--steps", text, "must be whole numbers, comma-separated") from None


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
