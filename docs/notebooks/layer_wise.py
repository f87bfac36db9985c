# %% [markdown]
# # What do layers keep of inputs and labels, trained end to end or one by one?
#
# In layer-wise training every layer has a head and a loss of its own, and no gradient crosses from one into
# another ([arXiv 2402.09050](https://arxiv.org/abs/2402.09050)). Six layers, 4,000 images of MNIST, 5 seeds.

# %%
import collapse_jax

results = collapse_jax.open_results("../experiments/layerwise_mlp").squeeze("weight_decay")
end = results.isel(step=-1)
end[["train_accuracy", "test_accuracy"]].mean("seed").to_dataframe()[["train_accuracy", "test_accuracy"]].round(3)

# %% [markdown]
# ## The label, by depth
#
# nHSIC with the labels at the end of training, beside its null (labels permuted): what is beyond it.

# %%
names = ["layer_nhsic_zy", "layer_nhsic_zy_null"]
last = results[names].dropna("step", how="all").isel(step=-1).mean("seed")
beyond = last.layer_nhsic_zy - last.layer_nhsic_zy_null
rise = {"in all": last.layer_nhsic_zy, "beyond the null": beyond}
for name, values in rise.items():
    change = values.sel(layer=5) - values.sel(layer=0)
    print(
        f"from the first layer to the last, {name}:",
        {str(s): round(float(change.sel(scheme=s)), 2) for s in results.scheme.values},
    )
beyond.transpose("layer", "scheme").to_pandas().round(2)

# %%
collapse_jax.figure(collapse_jax.open_results("../experiments/layerwise_mlp"), "layer_profile")

# %% [markdown]
# **Limits.** nHSIC counts directions that both kernels resolve, it is no amount of information, and its null is
# large: read it beyond the null. One network and one data set. [All that was found](../papers/layerwise.md).
