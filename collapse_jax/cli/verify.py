"""The command `verify`."""

import itertools

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.cli.reading import TRUST
from collapse_jax.errors import StoreError, require


def run(options: Options) -> None:
    """Read every file of a workdir, recompute what is asked for, and print what is damaged."""
    assert options.workdir is not None
    workdir, chunks = options.workdir, options.flags.replay
    require(chunks >= 0, "--replay", chunks, "must be 0 (none) or the number of chunks to compute again")

    from collapse_jax.workdir.verify import verify_workdir  # imports jax

    found = verify_workdir(workdir)
    if chunks:
        from collapse_jax.engine import replay

        replay.begin(workdir)
        found = itertools.chain(found, replay.replay_workdir(workdir, chunks, trust=options.flags.trust))
    damaged = 0
    for name, wrong in found:
        print(f"{name}: {wrong or 'good'}", flush=True)
        damaged += bool(wrong)
    if damaged:
        wrong = f"{damaged} damaged or not readable"
        raise StoreError(f"workdir={workdir}: {wrong}; see docs/reliability.md for what to do")


COMMAND = Command(
    run,
    "read every file and say which are damaged",
    "--workdir=runs/quickstart",
    flags={
        "replay": Flag(
            "also compute so many of the last chunks between stored states again, and compare bits", 0, int
        )
    }
    | TRUST,
)
