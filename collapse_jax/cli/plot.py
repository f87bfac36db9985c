"""The command `plot`."""

from collections.abc import Mapping, Sequence

from etils import epath

import collapse_jax
from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.cli.reading import THRESHOLDS, TRUST, levels


def run(options: Options) -> None:
    """Draw the figures of a sweep, or those that are named, and print the files."""
    assert options.workdir is not None
    draw(options.workdir, levels(options.flags), options.flags.trust, options.flags.figures)


def draw(workdir: epath.Path, thresholds: Mapping[str, float], trust: bool, names: Sequence[str] = ()) -> None:
    """Draw the figures of a sweep, read with some levels other than its own, and print the files."""
    for path in collapse_jax.plot(workdir, thresholds, names=names, trust=trust):
        print(path)


COMMAND = Command(
    run,
    "draw every figure that the results allow",
    "--workdir=runs/quickstart",
    flags={"figures": Flag("names of figures, comma-separated; all", (), tuple[str, ...])} | THRESHOLDS | TRUST,
)
