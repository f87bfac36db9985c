# %% [markdown]
# # Does a network forget its input once it has fitted?
#
# The information bottleneck says that the features Z keep the label Y and lose what else they knew of the input
# X: I(Z;X) - I(Z;Y) should fall. Every estimate here stands beside its **null**, the same estimate on permuted
# rows. For the difference these are permuted within classes: what it says of features that know the label and
# nothing else. Main experiment, 39 snapshots, 2,000 test images.

# %%
import numpy as np
import xarray as xr

import collapse_jax

results = collapse_jax.open_results("../mnist_mlp")
for name in ("mi_zx", "mi_zy", "superfluous_information", "superfluous_information_null"):
    print(f"{name:30} {results[name].attrs['definition']}")

# %% [markdown]
# ## Where does training move?
#
# The plane of I(Z;X) and I(Z;Y) for two weight decays, one estimator a row, time as colour, nulls as crosses.

# %%
runs = results.sel(weight_decay=[0.1, 0.01])
collapse_jax.figure(runs, "information_plane")

# %% [markdown]
# ## How much of the fall is the null's?
#
# What falls with the null is no evidence of forgetting: features that knew nothing but the label would show it
# too.


# %%
def fall(name):
    """Return the mean over seeds of the fall from the first snapshot to the last one, by weight decay."""
    values = results[name].dropna("step", how="all").mean("seed")
    return values.isel(step=0, drop=True) - values.isel(step=-1, drop=True)


names = ("superfluous_information", "superfluous_nhsic")
shares = xr.Dataset({f"{name}: share of the null": fall(f"{name}_null") / fall(name) for name in names})
shares.reset_coords(drop=True).to_pandas().round(2)

# %% [markdown]
# ## Is what is left beyond the null?
#
# A permutation p-value for every run and snapshot, corrected for all of them by Holm's rule: sorted, the i-th
# smallest of n times n - i + 1.

# %%
p = results.superfluous_information_p.values
p = np.sort(p[np.isfinite(p)])
corrected = np.minimum(1, np.maximum.accumulate(p * (p.size - np.arange(p.size))))
apart = int((corrected < 0.05).sum())
print(f"{apart} of {p.size} values are apart from their null; the largest corrected p is {corrected.max():.2g}")
end = results.superfluous_information.dropna("step", how="all").isel(step=-1).mean("seed")
print(f"at the end the estimate is {float(end.min()):.2f} to {float(end.max()):.2f} nats (means of seeds)")

# %%
collapse_jax.figure(runs, "superfluous")

# %% [markdown]
# **Limits.** No difference of true informations is negative; the estimate ends below zero, because four
# principal components of X have lost a part of the label that Z has. So its size means little, and its changes
# within one setting more. nHSIC is no amount of information at all. [What each estimator can and cannot
# say](../information.md).
