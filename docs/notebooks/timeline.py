# %% [markdown]
# # Which measure moves first?
#
# Fit, grokking, collapse, information, complexity, synergy: each has its own story of what comes before what.
# Here all stored measures of one setting stand on one time axis, in the order of their main change, for two
# systems.

# %%
import collapse_jax

mnist = collapse_jax.open_results("../mnist_mlp")
modular = collapse_jax.open_results("../experiments/modular_synergy/everything")
for one in (mnist, modular):
    print(f"{one.attrs['title']}: {len(one.data_vars)} variables, {one.step.size} steps, {one.seed.size} seeds")

# %% [markdown]
# ## An MLP on MNIST, weight decay 0.03
#
# Each row is scaled to its own range: mean and range over seeds. The mark is the median step of the main
# change, the cut between two levels over log time that leaves least variance. `p` compares a row with the next
# one, paired over seeds.

# %%
chosen = (
    "train_accuracy",
    "test_accuracy",
    "weight_norm",
    "rnc1",
    "nc1",
    "nc2_condition",
    "superfluous_information",
    "superfluous_nhsic",
)
collapse_jax.figure(mnist, "everything", run={"weight_decay": 0.03}, names=chosen)

# %% [markdown]
# ## Addition modulo 113

# %%
chosen = (
    "train_accuracy",
    "test_accuracy",
    "weight_norm",
    "nc1",
    "rnc1",
    "complexity",
    "synergy",
    "superfluous_information",
)
collapse_jax.figure(modular, "everything", names=chosen)

# %% [markdown]
# ## The same in numbers
#
# First crossings of the levels, median over seeds.

# %%
for one in (mnist.sel(weight_decay=[0.03]), modular):
    taus = collapse_jax.timescales(one)
    print(one.attrs["title"])
    for name in ("fit", "grok", "collapse"):
        seen = ~taus[f"{name}_censored"]
        median = f"step {float(taus[f'tau_{name}'].median()):.0f}" if seen.any() else "-"
        print(f"  {name:9}{median:12} seen in {int(seen.sum())} of {seen.size} runs")

# %%
collapse_jax.figure(mnist, "timeline", run={"weight_decay": 0.03, "seed": 42})

# %% [markdown]
# **Limits.** An order of main changes is no order of causes. Of S seeds no p is below 2^(1 - S): five seeds
# cannot show a difference at 0.05. A curve that rises and falls has two changes, of which the larger counts.
