"""The command `merge`."""

from etils import epath

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.experiment import static_axes


def run(options: Options) -> None:
    """Join the shards of a workdir."""
    assert options.workdir is not None
    merge_shards(options.workdir, partial=options.flags.partial)


def merge_shards(workdir: epath.Path, *, partial: bool = False) -> None:
    """Join the shards of a workdir and print the files."""
    # These import jax.
    from collapse_jax import workdir as store
    from collapse_jax.engine import merge

    merge.merge(workdir, partial=partial)
    for folder in [folder for _, folder in static_axes.program_folders(workdir)] or [workdir]:
        print(folder / store.RESULTS)


COMMAND = Command(
    run,
    "join the shards of a workdir into one results file",
    "--workdir=runs/parts",
    flags={"partial": Flag("also shards that are not finished", False, bool)},
)
