"""The commands by name."""

from collapse_jax.cli import (
    bench,
    completion,
    conformance,
    listing,
    measure,
    merge,
    plan,
    plot,
    prepare,
    publish,
    report,
    reproduce,
    show,
    status,
    train,
    verify,
)
from collapse_jax.cli.base import Command

COMMANDS: dict[str, Command] = {
    "train": train.COMMAND,
    "measure": measure.COMMAND,
    "merge": merge.COMMAND,
    "plot": plot.COMMAND,
    "report": report.COMMAND,
    "show": show.COMMAND,
    "status": status.COMMAND,
    "verify": verify.COMMAND,
    "bench": bench.COMMAND,
    "plan": plan.COMMAND,
    "prepare": prepare.COMMAND,
    "list": listing.COMMAND,
    "conformance": conformance.COMMAND,
    "publish": publish.COMMAND,
    "reproduce": reproduce.COMMAND,
}
COMMANDS["completion"] = completion.command(COMMANDS)
