"""The command `plot`."""

import collapse_jax
from collapse_jax.cli.base import Command, Options
from collapse_jax.system import runtime


def run(options: Options) -> None:
    """Draw the figures of a sweep and print the files."""
    assert options.workdir is not None
    runtime.start(devices=1)
    for path in collapse_jax.plot(options.workdir):
        print(path)


COMMAND = Command(run, "draw every figure that the results allow", "--workdir=runs/quickstart")
