"""The command `show`."""

from collapse_jax.cli.base import Command, Options


def run(options: Options) -> None:
    """Print the time scales and the last values of every run."""
    assert options.workdir is not None
    # These import jax.
    from collapse_jax.analysis import tables
    from collapse_jax.analysis.events import own_thresholds
    from collapse_jax.workdir.results import open_results

    results = open_results(options.workdir)
    thresholds = own_thresholds(results)
    print(tables.runs_table(results, thresholds))
    print(tables.seeds_table(results, thresholds))


COMMAND = Command(run, "print time scales and last values of every run", "--workdir=runs/quickstart")
