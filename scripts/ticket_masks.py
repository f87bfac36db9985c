"""Write the masks of one level of a sweep as a file that `training.mask` takes, a row for each run.

    python -m scripts.ticket_masks --workdir=runs/lottery_mlp --level=10 --file=masks.npz

A row is told by all hyperparameters of its run; seed s has the mask of seed s - `--shift` (1000), so that the
control has other initial weights, and, with 0, the ticket is trained again.
"""

import argparse
import pathlib

import jax
import numpy as np

import collapse_jax

SHIFT = 1000


def write(workdir: str, level: int, file: pathlib.Path, shift: int = SHIFT) -> None:
    """Write the file."""
    results = collapse_jax.open_results(workdir)
    steps = results["step"].values[results["level"].values == level]
    if not len(steps):
        raise SystemExit(f"--level={level}: must be in 0 ... {int(results['level'].max())}")
    snapshots = collapse_jax.open_snapshots(workdir)
    if steps.max() not in snapshots.steps:
        raise SystemExit(f"--level={level}: no snapshot of its end, step {steps.max()}")
    rows: dict[str, list[np.ndarray]] = {}
    for run, point in enumerate(snapshots.runs):
        for name, value in point.items():
            number = np.uint32(value + shift) if name == "seed" else np.float64(value)
            rows.setdefault(name, []).append(number)
        leaves = jax.tree_util.tree_leaves_with_path(snapshots.snapshot(int(steps.max()), run).mask)
        for path, kept in leaves:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            if name.endswith("/kernel"):
                rows.setdefault(name, []).append(np.asarray(kept))
    snapshots.close()
    np.savez_compressed(file, **{name: np.stack(values) for name, values in rows.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--level", required=True, type=int)
    parser.add_argument("--file", required=True, type=pathlib.Path)
    parser.add_argument("--shift", type=int, default=SHIFT, help="added to the seeds")
    write(**vars(parser.parse_args()))
