"""Write the masks of the sub-network experiment: the most synergistic neurons of every seed, and the others.

    python scripts/synergy_masks.py --workdir=runs/synergy_cpu --weight_decay=2 --target=FOLDER

Of each seed the set of lowest O-information of all measured steps but 0 (arXiv 2408.08944, Figures 6 and 7), as
masks of the first layer: subnetwork.npz keeps its neurons' weights, inverse.npz those of all others.
"""

import argparse
import pathlib

import numpy as np

import collapse_jax

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--workdir", required=True)
parser.add_argument("--weight_decay", type=float, required=True)
parser.add_argument("--target", type=pathlib.Path, required=True)
arguments = parser.parse_args()

results = collapse_jax.open_results(arguments.workdir).sel(weight_decay=arguments.weight_decay, method="nearest")
results = results.isel(step=np.flatnonzero((results["step"] > 0) & results["synergy"].notnull().all("seed")))
best = results["synergy"].argmax("step")
members = results["synergy_members"].isel(step=best).transpose("seed", "neuron").values.astype(bool)
for seed, step, size in zip(results.seed.values, results.step.values[best], members.sum(axis=1), strict=True):
    print(f"seed {seed}: step {step}, {size} of {members.shape[1]} neurons")
for name, kept in (("subnetwork", members), ("inverse", ~members)):
    masks = {"hidden_0/kernel": kept[:, None, :], "seed": results.seed.values.astype(np.int64)}
    np.savez_compressed(arguments.target / f"{name}.npz", **masks)
