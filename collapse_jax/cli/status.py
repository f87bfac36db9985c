"""The command `status`."""

import dataclasses
import json
from typing import TYPE_CHECKING

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.errors import require_one_of

if TYPE_CHECKING:
    from collapse_jax.workdir.status import Status


def run(options: Options) -> None:
    """Print how far each part of a sweep is and who trains it."""
    assert options.workdir is not None
    require_one_of("--format", options.flags.format, ("table", "json"))
    from collapse_jax.workdir.status import status  # imports xarray

    found = status(options.workdir)
    if options.flags.format == "json":
        print(json.dumps([dataclasses.asdict(part) for part in found], indent=1, allow_nan=False))
    else:
        print("\n".join(map(described, found)))


def described(part: "Status") -> str:
    """Say in a line how far a part is."""
    heading = f"{part.part}: " if part.part else ""
    if part.step is None and not part.writer:
        return f"{heading}{part.state if part.state == 'not begun' else 'stopped before the first checkpoint'}"
    facts = [part.state, f"step {part.step or 0:,} of {part.steps:,} ({(part.step or 0) / part.steps:.0%})"]
    if part.rate:
        facts.append(f"{part.rate:,.0f} run-steps/s")
    if part.left is not None:
        facts.append(f"{duration(part.left)} left")
    facts.append(f"{part.runs:,} runs")
    facts += [f"{n} {word}" for n, word in ((part.diverged, "diverged"), (part.retired, "retired")) if n]
    if part.checkpoint is not None and part.checkpoint_age is not None:
        facts.append(f"checkpoint of step {part.checkpoint:,}, {duration(part.checkpoint_age)} old")
    if part.writer:
        facts.append(f"{part.writer} since {part.since}, {'alive' if part.alive else 'dead'}")
    return heading + ", ".join(facts)


def duration(seconds: float) -> str:
    """Show a time: "42 s", "1:05 min", "3:20 h", "2 d 4 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 86_400:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


COMMAND = Command(
    run,
    "say how far a sweep is, how long it will take, and who trains it",
    "--workdir=runs/quickstart",
    flags={"format": Flag("table or json", "table")},
)
