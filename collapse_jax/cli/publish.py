"""The command `publish`."""

from collapse_jax.cli.base import Command, Flag, Options
from collapse_jax.errors import require


def run(options: Options) -> None:
    """Write a sweep into a folder for a data hub, and print the folder."""
    flags = options.flags
    require(bool(flags.to), "--to", flags.to, "name the folder to write")
    from collapse_jax.publishing.folder import publish  # imports matplotlib

    print(
        publish(options.workdir or "", flags.to, names=flags.figures, licence=flags.license, partial=flags.partial)
    )


COMMAND = Command(
    run,
    "write results, config, versions, figures, card and checksums into a folder for a data hub",
    "--workdir=runs/quickstart --to=quickstart_results",
    flags={
        "to": Flag("folder to write; it must not exist, or be empty"),
        "figures": Flag("names of figures, comma-separated; all", (), tuple[str, ...]),
        "license": Flag("of the results, as hubs name it", "apache-2.0"),
        "partial": Flag("also where runs are unfinished; the card says so", False, bool),
    },
)
