# %% [markdown]
# # Do lottery tickets need a small learning rate?
#
# A ticket is what magnitude pruning leaves, trained again from its own initial weights; the control is the same
# mask with other initial weights ([arXiv 2205.07320](https://arxiv.org/abs/2205.07320)). sklearn's digits, an
# MLP, 16 levels of pruning, 5 rates, 5 seeds.

# %%
import collapse_jax

FOLDER = "../experiments/lottery_digits"
tickets = collapse_jax.open_results(FOLDER).sel(flip_rate=0, drop=True).squeeze("weight_decay")
control = collapse_jax.open_results(f"{FOLDER}/control").sel(flip_rate=0, drop=True).squeeze("weight_decay")
print(f"levels 0 to {int(tickets.level.max())}, {tickets.seed.size} seeds; control: {control.seed.size} seeds")

# %% [markdown]
# ## How far is a ticket ahead of its mask?
#
# The control has the masks of level 10 and initial weights of its own seeds, 1000 to 1004, run by run in the
# same order.

# %%
LEVEL = 10
ends = tickets.isel(step=(tickets.level == LEVEL).values).isel(step=-1)
density = float(ends.density.mean())
advantage = ends.test_accuracy - control.test_accuracy.isel(step=-1).assign_coords(seed=ends.seed)
names = ["test_accuracy", "distance_from_initial", "hessian_trace"]
table = ends[names].mean("seed").to_dataframe()[names].assign(ahead_of_control=advantage.mean("seed"))
print(f"level {LEVEL}: {density:.1%} of the weights are left")
table.round(3)

# %%
for rate in (0.01, 0.3):
    one = advantage.sel(learning_rate=rate)
    print(f"rate {rate}: ahead by {float(one.mean()):.3f} ± {float(one.std(ddof=1)) / one.size**0.5:.3f}")
ratio = table.loc[0.3] / table.loc[0.01]
print(f"from 0.01 to 0.3 the distance from theta_0 grows {ratio.distance_from_initial:.1f} times,")
print(f"and the trace of the Hessian falls {1 / ratio.hessian_trace:.0f} times")

# %%
collapse_jax.figure(collapse_jax.open_results(FOLDER).sel(flip_rate=[0]), "ticket_rates")

# %% [markdown]
# **Limits.** How far a ticket is ahead is how far its control has not come: at the smallest rate neither is
# trained to the end, and where the control fits too (MNIST, 1000 images) little of the advantage is left. [All
# that was found](../papers/tickets.md).
