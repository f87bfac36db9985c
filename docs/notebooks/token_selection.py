# %% [markdown]
# # When is overfitting benign?
#
# Attention with one query, trained on noisy labels, selects the token of the signal, or the noise that fits a
# wrong label ([arXiv 2409.17625](https://arxiv.org/abs/2409.17625)). Three cells of dimension and signal, 20
# seeds each, and the map of all of them.

# %%
import pandas as pd

import collapse_jax

FOLDER = "../experiments/token_selection"
cells = {name: collapse_jax.open_results(f"{FOLDER}/{name}") for name in ("harmful", "benign", "large_signal")}
rows = {}
for name, results in cells.items():
    last = results.isel(step=-1)
    rows[name] = {"dimension": int(results.dimension[0]), "signal": float(results.signal_norm)}
    for part in ("train_accuracy", "test_accuracy"):
        values = last[part]
        rows[name] |= {part: float(values.mean()), f"lowest_{part}": float(values.min())}
pd.DataFrame.from_dict(rows, orient="index").round(3)

# %% [markdown]
# Harmful: wrong labels are fitted and unseen examples suffer. Benign: they are fitted and unseen examples are
# right all the same. Large signal: wrong labels are not fitted at all.
#
# ## Which token does attention select?

# %%
collapse_jax.figure(cells["harmful"], "attention")

# %% [markdown]
# ## The map
#
# 39 dimensions x 39 signals x 2 seeds.

# %%
grid = collapse_jax.open_results(f"{FOLDER}/map")
last = grid.isel(step=-1).mean("seed").squeeze("weight_decay")
fitted, right = last.train_accuracy > 0.95, last.test_accuracy > 0.95
counts = {
    "fitted and right": fitted & right,
    "fitted and wrong": fitted & ~right,
    "not fitted": ~fitted,
}
print({name: int(found.sum()) for name, found in counts.items()}, "of", fitted.size)
collapse_jax.figure(grid, "selection_map")

# %% [markdown]
# **Limits.** 1,000 steps: "not fitted" may be a plateau that some runs leave later. 20 sequences are few, two
# seeds a cell as well. [All that was found](../papers/token_selection.md).
