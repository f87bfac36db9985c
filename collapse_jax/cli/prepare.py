"""The command `prepare`."""

from collapse_jax.cli.base import Command, Flag, Options


def run(options: Options) -> None:
    """Download a data set and prepare it."""
    from collapse_jax.tasks import prepare  # imports jax

    prepare.run(options.flags)


COMMAND = Command(
    run,
    "download a data set of TFDS, or the vocabulary of texts",
    "--dataset=fashion_mnist",
    needs_workdir=False,
    flags={
        "dataset": Flag("data set of TFDS, or vocabulary"),
        "data_dir": Flag("where prepared data goes; ~/tensorflow_datasets"),
        "manual_dir": Flag("folder of files at hand"),
        "order": Flag("official or tfds", "official"),
    },
)
