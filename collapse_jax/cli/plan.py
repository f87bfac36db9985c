"""The command `plan`."""

from collapse_jax.cli.base import Command, Flag, Options, each_leaf


def run(options: Options) -> None:
    """Print what a sweep would take of hardware that is not at hand."""
    assert options.experiment is not None
    from collapse_jax.planning import plan  # imports jax

    for name, experiment in each_leaf(options.experiment):
        print(f"{name}{plan(experiment, options.flags.target, fast=options.flags.fast)}")


COMMAND = Command(
    run,
    "estimate memory, packing and time on hardware that is not at hand",
    "--config=configs/quickstart.py --target=tpu-v5e:2x2",
    needs_config=True,
    needs_workdir=False,
    flags={
        "target": Flag("chip:topology, such as tpu-v5e:2x2 or h100:8; tpu-v5e:2x2", None),
        "fast": Flag("compile nothing: lower bounds from shapes, in seconds", False, bool),
    },
)
