"""Write the masks of the sub-network experiment: the most synergistic neurons of every seed, and their controls.

    python scripts/synergy_masks.py --workdir=runs/synergy_seeds --weight_decay=2 --since=31 --target=FOLDER
    python scripts/synergy_masks.py --workdir=runs/synergy_scales --init_scale=8 --since=31 --target=FOLDER

Of each seed the set of lowest O-information of all measured steps from `since` (arXiv 2408.08944, Figures 6 and 7;
before the training set is fitted synergy is that of the initial weights), as masks of the first layer:
subnetwork.npz keeps its neurons' weights, inverse.npz those of all others. random.npz and random_inverse.npz keep
as many neurons as these, drawn at random: sets of unequal size do not compare.
"""

import argparse
import pathlib

import numpy as np
import xarray as xr

import collapse_jax


def members_of(results: xr.Dataset, since: int) -> tuple[np.ndarray, np.ndarray]:
    """Return of every seed the set of most synergy from step `since` [S, D] and its step [S]."""
    known = results["synergy"].notnull().all("seed")
    results = results.isel(step=np.flatnonzero((results["step"] >= since) & known))
    best = results["synergy"].argmax("step")
    members = results["synergy_members"].isel(step=best).transpose("seed", "neuron").values == 1
    return members, results["step"].values[best]


def masks_of(members: np.ndarray, seeds: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each kind of mask the neurons that it keeps [S, D]; random ones are drawn by the seed."""
    drawn = np.stack([np.random.default_rng(int(seed)).permutation(members.shape[1]) for seed in seeds])
    size = members.sum(axis=1, keepdims=True)
    # The neurons of a random inverse are the last of the same order: disjoint from those of the random set.
    return {"subnetwork": members, "random": drawn < size, "inverse": ~members, "random_inverse": drawn >= size}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--weight_decay", type=float)
    parser.add_argument("--init_scale", type=float)
    parser.add_argument("--since", type=int, default=1)
    parser.add_argument("--target", type=pathlib.Path, required=True)
    arguments = vars(parser.parse_args())
    results = collapse_jax.open_results(arguments["workdir"])
    for name in ("weight_decay", "init_scale"):
        if arguments[name] is not None:
            results = results.sel({name: arguments[name]}, method="nearest")
    single = [name for name in ("weight_decay", "init_scale") if results.sizes.get(name) == 1]
    members, steps = members_of(results.squeeze(single), arguments["since"])
    seeds = results["seed"].values.astype(np.int64)
    for seed, step, size in zip(seeds, steps, members.sum(axis=1), strict=True):
        print(f"seed {seed}: step {step}, {size} of {members.shape[1]} neurons")
    arguments["target"].mkdir(parents=True, exist_ok=True)
    for name, kept in masks_of(members, seeds).items():
        np.savez_compressed(
            arguments["target"] / f"{name}.npz", **{"hidden_0/kernel": kept[:, None, :], "seed": seeds}
        )


if __name__ == "__main__":
    main()
