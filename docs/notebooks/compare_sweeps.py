# %% [markdown]
# # How do I compare two sweeps?
#
# Does Fashion-MNIST grok as MNIST does? Two sweeps with the same weight decays, read side by side, and one page
# of both.

# %%
import pathlib
import tempfile

import xarray as xr

import collapse_jax

mnist = collapse_jax.open_results("../mnist_mlp")
fashion = collapse_jax.open_results("../experiments/fashion_mlp").sel(train_size=1000, drop=True)
sweeps = {"MNIST": mnist, "Fashion-MNIST": fashion}
for name, results in sweeps.items():
    print(f"{name:14}", dict(results.diverged_at.sizes), f"{int(results.step[-1]):,} steps")

# %% [markdown]
# ## The same levels for both
#
# Time scales are times of the same events only with the same thresholds, and each sweep has its own: give them.
# 0.7 is a level that both data sets reach.

# %%
levels = {"train_accuracy": 0.99, "test_accuracy": 0.7, "rnc1": 0.02}
taus = {name: collapse_jax.timescales(results, levels) for name, results in sweeps.items()}
medians = [times[["tau_fit", "tau_grok", "tau_collapse"]].median("seed") for times in taus.values()]
both = xr.concat(medians, dim="data", coords="minimal", compat="override").assign_coords(data=list(taus))
both.tau_grok.transpose("weight_decay", "data").to_pandas().round()

# %%
for event in ("grok", "collapse"):
    unseen = {name: int(times[f"{event}_censored"].sum()) for name, times in taus.items()}
    print(f"{event}: runs that do not come so far, whose times are lower bounds: {unseen}")
print("times of Fashion-MNIST over those of MNIST:")
(both.sel(data="Fashion-MNIST") / both.sel(data="MNIST")).reset_coords(drop=True).to_pandas().round(2)

# %%
collapse_jax.figure(fashion, "phases")

# %% [markdown]
# ## One page of both
#
# `report` takes several workdirs, or folders with a results file: settings with the same values stand in one
# row, then the fields of the config that differ, then every figure beside the same one of the other. From the
# command line: `report --workdir=A,B`. Here three weight decays, two seeds and the accuracies alone, to be done
# in seconds.

# %%
folder = pathlib.Path(tempfile.mkdtemp())
for name, results in sweeps.items():
    (folder / name).mkdir()
    few = results[["train_accuracy", "test_accuracy", "diverged_at"]].sel(weight_decay=[0.3, 0.1, 0.01])
    few.isel(seed=[0, 1]).to_netcdf(folder / name / "results.nc")
page = collapse_jax.report([folder / name for name in sweeps], out=folder / "comparison.html")
text = page.read_text()
print(f"{page.name}: {len(text) / 1e6:.1f} MB, {text.count('<img')} figures, {text.count('<table')} tables")

# %% [markdown]
# **Limits.** Seeds of two sweeps are paired only where data and network are the same. Fashion-MNIST has two
# seeds here and MNIST five: a ratio of medians is a description, and no test.
