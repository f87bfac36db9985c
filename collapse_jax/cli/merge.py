"""The command `merge`."""

from collapse_jax.cli.base import Command, Flag, Options


def run(options: Options) -> None:
    """Write the joined results of all parts of a workdir and print the file."""
    assert options.workdir is not None
    from collapse_jax.workdir.results import merge  # imports jax

    print(merge(options.workdir, partial=options.flags.partial))


COMMAND = Command(
    run,
    "join the parts of a workdir into one results file",
    "--workdir=runs/parts",
    flags={"partial": Flag("also parts that are not finished", False, bool)},
)
