"""The command `show`."""

from collapse_jax.cli.base import Command, Options
from collapse_jax.cli.reading import THRESHOLDS, levels
from collapse_jax.experiment.thresholds import with_levels


def run(options: Options) -> None:
    """Print the time scales and the last values of every run."""
    assert options.workdir is not None
    # These import xarray and scipy.
    from collapse_jax.analysis import tables
    from collapse_jax.analysis.events import own_thresholds
    from collapse_jax.workdir.results import open_results

    given = levels(options.flags)
    results = open_results(options.workdir)
    thresholds = with_levels(own_thresholds(results), given)
    print(tables.both_tables(results, thresholds))


COMMAND = Command(
    run, "print time scales and last values of every run", "--workdir=runs/quickstart", flags=THRESHOLDS
)
