"""The command `report`."""

import collapse_jax
from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.cli.reading import THRESHOLDS, levels
from collapse_jax.system import runtime


def run(options: Options) -> None:
    """Write the page of a sweep, or of several side by side, and print its name."""
    runtime.start(devices=1)
    workdirs = [item.strip() for item in options.flags.workdir.split(",")]
    given = levels(options.flags)
    print(collapse_jax.report([workdir for workdir in workdirs if workdir], options.flags.out or None, given))


COMMAND = Command(
    run,
    "write all that is known of a sweep, or of several (comma-separated), into one HTML file",
    "--workdir=runs/quickstart",
    flags={"out": Flag("file to write; report.html in the workdir, comparison.html in the first of several")}
    | THRESHOLDS,
)
