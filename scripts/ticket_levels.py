"""What a network is at the end of each level of pruning, and how many steps of the level it took to get there.

    python -m scripts.ticket_levels --workdir=runs/grok,runs/grok_control --test_accuracy=0.8

A line for each setting and level: means over seeds of what was measured in-line, and of the first logged step of
the level at which the accuracy of the training set is 0.99 (fit) and that of the test set `--test_accuracy` (grok),
with the number of seeds that reach it where these are not all. A sweep without levels, such as a control, is one.
"""

import argparse

import numpy as np
import xarray as xr

import collapse_jax
from collapse_jax.analysis.groups import groups_of, points_of, take

SHOWN = ("train_accuracy", "test_accuracy", "noisy_accuracy", "noisy_true_accuracy", "rnc1", "nc1", "nc2")


def first_steps(level: xr.Dataset, variable: str, value: float) -> str:
    """The first step of a level at which a variable is at least a value: mean of the runs that come there."""
    reached = level[variable].transpose("run", "step").values >= value
    steps = level["level_step"].values[reached.argmax(axis=1)][reached.any(axis=1)]
    if not len(steps):
        return "never"
    some = "" if len(steps) == len(reached) else f" ({len(steps)} of {len(reached)})"
    return f"{steps.mean():.0f} [{steps.min()}, {steps.max()}]{some}"


def table(results: xr.Dataset, test_accuracy: float) -> str:
    """The lines, between tabs."""
    names = [name for name in SHOWN if name in results]
    if "level" not in results.coords:
        steps = results["step"].values
        results = results.assign_coords(level=("step", np.zeros_like(steps)), level_step=("step", steps))
    lines = []
    for point, chosen in groups_of(points_of(results)):
        runs = take(results, chosen).isel(step=results["step"].values > 0)
        for number in np.unique(runs["level"].values):
            level = runs.isel(step=runs["level"].values == number)
            last = level.isel(step=-1)
            means = [f"{float(last[name].mean('run')):.3g}" for name in names]
            steps = [first_steps(level, "train_accuracy", 0.99), first_steps(level, "test_accuracy", test_accuracy)]
            lines.append([*(f"{value:g}" for value in point.values()), str(number), *means, *steps])
    header = [*points_of(results)[0], "level", *names, "fit", "grok"]
    return "\n".join("\t".join(line) for line in [[name for name in header if name != "seed"], *lines])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True, help="one or more, comma-separated")
    parser.add_argument("--test_accuracy", type=float, default=0.8)
    arguments = parser.parse_args()
    for workdir in arguments.workdir.split(","):
        print(workdir, table(collapse_jax.open_results(workdir), arguments.test_accuracy), sep="\n")
