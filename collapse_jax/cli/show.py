"""The command `show`."""

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.cli.reading import THRESHOLDS, levels
from collapse_jax.errors import require_one_of
from collapse_jax.experiment.thresholds import with_levels


def run(options: Options) -> None:
    """Print the time scales and the last values of every run."""
    require_one_of("--format", options.flags.format, ("table", "json", "csv"))
    # These import xarray and scipy.
    from collapse_jax.analysis import records, tables
    from collapse_jax.analysis.events import own_thresholds
    from collapse_jax.workdir.results import open_results

    given = levels(options.flags)
    results = open_results(options.workdir or options.flags.workdir)  # a folder, or an address
    thresholds = with_levels(own_thresholds(results), given)
    writers = {"table": tables.both_tables, "json": records.as_json, "csv": records.as_csv}
    print(writers[options.flags.format](results, thresholds).rstrip("\n"))


COMMAND = Command(
    run,
    "print time scales and last values of every run",
    "--workdir=runs/quickstart",
    url=True,
    flags={"format": Flag("table, json or csv", "table")} | THRESHOLDS,
)
