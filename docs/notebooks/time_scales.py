# %% [markdown]
# # Do fitting and collapse run on different clocks?
#
# Theorem 4.3 of [arXiv 2509.20829](https://arxiv.org/abs/2509.20829) says of gradient descent: the time to fit
# does not depend on the weight decay λ, the time to collapse is proportional to 1/(ηλ): on log-log axes the
# slopes are 0 and -1. Here are the 30 runs of the main experiment: an MLP on 1000 images of MNIST under AdamW,
# 6 weight decays, 5 seeds.

# %%
import collapse_jax

results = collapse_jax.open_results("../mnist_mlp")
print(results.attrs["title"], dict(results.diverged_at.sizes))
end = ["train_accuracy", "test_accuracy", "rnc1"]
results[end].isel(step=-1).mean("seed").to_pandas()[end]

# %% [markdown]
# ## When does each run fit, grok, collapse?
#
# `timescales` reads the first crossing of each level off the curves. A run that never crossed is *censored*:
# its time is a lower bound, and no average may take it for the time itself.

# %%
taus = collapse_jax.timescales(results)
names = ["tau_fit", "tau_grok", "tau_collapse"]
for name in names:
    print(f"{name:13}", taus[name].attrs["definition"])
table = taus[names].median("seed").to_pandas()[names].round().astype(int)
table.assign(runs_not_collapsed=taus.collapse_censored.sum("seed"))

# %% [markdown]
# ## Slopes, and whether there is a line at all
#
# Maximum likelihood with censored runs; the interval is a jackknife over seeds, which share initial weights and
# batches over the weight decays. `p` is that of lack of fit: where it is small, the points lie on no line and
# its slope answers nothing.

# %%
fits = collapse_jax.slopes(taus)
fits[["slope", "low", "high", "p", "theory", "censored"]].to_pandas().round(3)

# %%
rejected = [str(fit.tau.values) for fit in fits.p if fit < 0.05]
print(f"no power of the weight decay (p < 0.05): {', '.join(rejected) or 'none'}")
print("slopes from one weight decay to the next:")
fits.local_slope.to_pandas().round(2)

# %%
collapse_jax.figure(results, "timescales")

# %% [markdown]
# ## The network of the theorem
#
# Full-batch gradient descent on two linear last layers, as the proof has it. Here the lines are lines.

# %%
theory = collapse_jax.slopes(collapse_jax.timescales(collapse_jax.open_results("../theory_mlp")))
theory[["slope", "low", "high", "p", "theory"]].sel(tau=["tau_fit", "tau_collapse"]).to_pandas().round(3)

# %% [markdown]
# **Limits.** Times are seen at log points only, and first crossings are not for good: a run may leave the level
# again (`tau_collapse_lasting`). Under AdamW the smallest weight decays grok long before 1/(ηλ), which the
# theorem, on gradient descent, does not speak of.
