"""The command `verify`."""

from collapse_jax.cli.base import Command, Options
from collapse_jax.errors import StoreError


def run(options: Options) -> None:
    """Read every file of a workdir and print which are damaged."""
    assert options.workdir is not None

    from collapse_jax.workdir.verify import verify_workdir  # imports jax

    damaged = 0
    for name, wrong in verify_workdir(options.workdir):
        print(f"{name}: {wrong or 'good'}")
        damaged += bool(wrong)
    if damaged:
        wrong = f"{damaged} damaged or not readable"
        raise StoreError(f"workdir={options.workdir}: {wrong}; see docs/reliability.md for what to do")


COMMAND = Command(run, "read every file and say which are damaged", "--workdir=runs/quickstart")
