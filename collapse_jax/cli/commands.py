"""The commands by name."""

from collapse_jax.cli import bench, conformance, measure, merge, plan, plot, prepare, report, show, train, verify
from collapse_jax.cli.base import Command

COMMANDS: dict[str, Command] = {
    "train": train.COMMAND,
    "measure": measure.COMMAND,
    "merge": merge.COMMAND,
    "plot": plot.COMMAND,
    "report": report.COMMAND,
    "show": show.COMMAND,
    "verify": verify.COMMAND,
    "bench": bench.COMMAND,
    "plan": plan.COMMAND,
    "prepare": prepare.COMMAND,
    "conformance": conformance.COMMAND,
}
