"""The command `plot`."""

from collections.abc import Mapping

from etils import epath

import collapse_jax
from collapse_jax.cli.base import Command, Options
from collapse_jax.cli.reading import THRESHOLDS, TRUST, levels
from collapse_jax.system import runtime


def run(options: Options) -> None:
    """Draw the figures of a sweep and print the files."""
    assert options.workdir is not None
    draw(options.workdir, levels(options.flags), options.flags.trust)


def draw(workdir: epath.Path, thresholds: Mapping[str, float], trust: bool) -> None:
    """Draw the figures of a sweep, read with some levels other than its own, and print the files."""
    runtime.start(devices=1)
    for path in collapse_jax.plot(workdir, thresholds, trust=trust):
        print(path)


COMMAND = Command(
    run, "draw every figure that the results allow", "--workdir=runs/quickstart", flags=THRESHOLDS | TRUST
)
