# %% [markdown]
# # Does the complexity of a network rise when it memorises, and fall when it generalises?
#
# Complexity is the number of bytes of the shortest description of the weights found, within a distortion of the
# training loss ([arXiv 2412.09810](https://arxiv.org/abs/2412.09810)). Addition modulo 113, a one-layer
# transformer, 3 seeds: with all regularisers of the paper, and without.

# %%
import pandas as pd

import collapse_jax

FOLDER = "../experiments/modular_complexity"
regularised = collapse_jax.open_results(f"{FOLDER}/addition")
plain = collapse_jax.open_results(f"{FOLDER}/addition_plain")
print(regularised.complexity.attrs["definition"])


# %% [markdown]
# ## Rise and fall
#
# Kilobytes at distortion 1 of the loss, mean of three seeds, and accuracies at the end.


# %%
def kilobytes(results):
    """Return the complexity at distortion 1, in kB, at the steps at which it was measured."""
    return results.complexity.sel(distortion=1).dropna("step", how="all") / 1000


arms = {
    "all regularisers": regularised.squeeze("weight_decay"),
    "weight decay alone": plain.sel(weight_decay=1),
    "none": plain.sel(weight_decay=0),
}
rows = {}
for name, results in arms.items():
    curve = kilobytes(results).mean("seed")
    rows[name] = {
        "first": float(curve[0]),
        "highest": float(curve.max()),
        "at_step": int(curve.step[int(curve.argmax("step"))]),
        "last": float(curve[-1]),
        "train_accuracy": float(results.train_accuracy.isel(step=-1).mean("seed")),
        "test_accuracy": float(results.test_accuracy.isel(step=-1).mean("seed")),
    }
pd.DataFrame.from_dict(rows, orient="index").round(3)

# %%
collapse_jax.figure(regularised, "complexity")

# %% [markdown]
# ## Rate and distortion
#
# The smaller the change of the loss that is allowed, the more bytes it takes.

# %%
last = regularised.complexity.dropna("step", how="all").isel(step=-1).mean("seed").squeeze("weight_decay")
print("   ".join(f"{float(d):g}: {float(last.sel(distortion=d)) / 1000:.1f} kB" for d in last.distortion))
collapse_jax.figure(regularised, "rate_distortion")

# %% [markdown]
# **Limits.** An upper bound by one description and one compressor. It belongs to the weights and not to the
# function: permuting neurons changes the bytes. At distortion 1 of squared error a network of zeros would do;
# here the loss is cross-entropy. [What the number is and is not](../complexity.md).
