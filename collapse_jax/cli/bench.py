"""The command `bench`."""

from collapse_jax.cli.base import Command, Options, each_leaf


def run(options: Options) -> None:
    """Time the packings of a network on this machine and print the flags of the fastest."""
    assert options.experiment is not None
    # These import jax.
    from collapse_jax.engine.validate import validate
    from collapse_jax.planning import bench

    for name, experiment in each_leaf(validate(options.experiment)):
        print(f"{name}{bench.report(experiment, bench.calibrate(experiment))}")


COMMAND = Command(
    run,
    "find the fastest packing of this network on this machine",
    "--config=configs/quickstart.py",
    needs_config=True,
    needs_workdir=False,
)
