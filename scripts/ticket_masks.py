"""Write the masks of one level of a sweep as files that `training.mask` takes: one for each learning rate.

    python -m scripts.ticket_masks --workdir=runs/lottery_mlp --level=10 --folder=masks

Seed s + 1000 of a file has the mask of seed s: the control has other initial weights.
"""

import argparse
import pathlib

import jax
import numpy as np

import collapse_jax

CONTROL = 1000


def write(workdir: str, level: int, folder: pathlib.Path) -> list[pathlib.Path]:
    """Write the files and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    results = collapse_jax.open_results(workdir)
    steps = results["step"].values[results["level"].values == level]
    if not len(steps):
        raise SystemExit(f"--level={level}: must be in 0 ... {int(results['level'].max())}")
    snapshots = collapse_jax.open_snapshots(workdir)
    found: dict[float, dict[str, list[np.ndarray]]] = {}
    for run, point in enumerate(snapshots.runs):
        masks = found.setdefault(point["learning_rate"], {"seed": []})
        masks["seed"].append(np.uint32(point["seed"] + CONTROL))
        leaves = jax.tree_util.tree_leaves_with_path(snapshots.snapshot(int(steps.max()), run).mask)
        for path, kept in leaves:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            if name.endswith("/kernel"):
                masks.setdefault(name, []).append(np.asarray(kept))
    snapshots.close()
    files = []
    for rate, masks in found.items():
        files.append(folder / f"learning_rate={rate:g}.npz")
        np.savez_compressed(files[-1], **{name: np.stack(arrays) for name, arrays in masks.items()})
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--level", required=True, type=int)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    for file in write(**vars(parser.parse_args())):
        print(file)
