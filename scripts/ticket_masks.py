"""Write the masks of one level of a sweep as a file that `training.mask` takes, a row for each run.

    python -m scripts.ticket_masks --workdir=runs/lottery_mlp --level=10 --file=masks.npz

A row is told by all hyperparameters of its run; seed s has the mask of seed s - `--shift` (1000), so that the
control has other initial weights, and, with 0, the ticket is trained again.
"""

import argparse
import pathlib

import numpy as np

import collapse_jax

SHIFT = 1000
MASKS = "parameters/mask/"


def write(workdir: str, level: int, file: pathlib.Path, shift: int = SHIFT) -> None:
    """Write the file."""
    results = collapse_jax.open_results(workdir)
    steps = results["step"].values[results["level"].values == level]
    if not len(steps):
        raise SystemExit(f"--level={level}: must be in 0 ... {int(results['level'].max())}")
    snapshots = collapse_jax.open_snapshots(workdir)
    if steps.max() not in snapshots.steps:
        raise SystemExit(f"--level={level}: no snapshot of its end, step {steps.max()}")
    stored = snapshots.load(int(steps.max()))
    snapshots.close()
    masks = {
        name.removeprefix(MASKS): kept
        for name, kept in stored.items()
        if name.startswith(MASKS) and name.endswith("/kernel")
    }
    if not masks:
        raise SystemExit(f"--workdir={workdir}: stored no masks; it needs levels and snapshots of parameters")
    points = snapshots.runs
    axes = {name: np.array([point[name] for point in points]) for name in points[0]}
    axes["seed"] = (axes["seed"] + shift).astype(np.uint32)
    np.savez_compressed(file, **axes, **masks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--level", required=True, type=int)
    parser.add_argument("--file", required=True, type=pathlib.Path)
    parser.add_argument("--shift", type=int, default=SHIFT, help="added to the seeds")
    write(**vars(parser.parse_args()))
