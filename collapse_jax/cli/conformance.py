"""The command `conformance`."""

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.errors import ConformanceError
from collapse_jax.system import runtime


def run(options: Options) -> None:
    """Check the measures of this installation against their right values, case by case."""
    runtime.start(devices=1)
    from collapse_jax.conformance import check, report, this_installation  # imports jax

    verdicts = check(this_installation, options.flags.measure or None)
    print(report(verdicts))
    wrong = sum(verdict.outcome != "pass" for verdict in verdicts)
    if wrong:
        raise ConformanceError(f"{wrong} of {len(verdicts)} values are wrong or missing, on this machine")


COMMAND = Command(
    run,
    "check the measures of this installation against right values",
    "--measure=collapse",
    needs_workdir=False,
    flags={"measure": Flag("one family of measures; all")},
)
