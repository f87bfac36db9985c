"""The command `report`."""

import collapse_jax
from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.cli.reading import THRESHOLDS, TRUST, levels
from collapse_jax.system.paths import path_of


def run(options: Options) -> None:
    """Write the page of a sweep, or of several side by side, and print its name."""
    given = levels(options.flags)
    workdirs, out = split_workdirs(options.flags.workdir), options.flags.out or None
    print(collapse_jax.report(workdirs, out, given, trust=options.flags.trust))


def split_workdirs(text: str) -> list[str]:
    """Split at commas, unless there is a directory of the whole name, commas and all."""
    if path_of("--workdir", text).exists():
        return [text]
    return [name for item in text.split(",") if (name := item.strip())]


COMMAND = Command(
    run,
    "write all that is known of a sweep, or of several (comma-separated), into one HTML file",
    "--workdir=runs/quickstart",
    flags={"out": Flag("file to write; report.html in the workdir, comparison.html in the first of several")}
    | THRESHOLDS
    | TRUST,
)
