# %% [markdown]
# # How do I add a measure of my own?
#
# A measure is a function of one run's snapshot, in jax.numpy. The engine batches it over runs and steps. This
# one asks in how many directions the test features vary.

# %%
import pathlib
import tempfile

import jax.numpy as jnp
import numpy as np

import collapse_jax
from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task


def directions(snapshot, *, centred=True):
    """(tr C)^2 / tr C^2 of the covariance C of the test features: D where all directions vary alike."""
    features = snapshot.test.features
    if centred:
        features = features - features.mean(0)
    squares = jnp.linalg.svd(features, compute_uv=False) ** 2
    return squares.sum() ** 2 / (squares**2).sum()


# %% [markdown]
# ## First check: a closed form
#
# Columns that are orthogonal, centred and of one length vary alike in each of their k directions: the measure
# must be k.

# %%
rng = np.random.default_rng(0)
labels = np.arange(120) % 3
for k in (1, 5, 20):
    columns = rng.normal(size=(120, k))
    columns = np.linalg.qr(columns - columns.mean(0))[0]
    given = {"train_features": columns, "train_labels": labels, "test_features": columns, "test_labels": labels}
    value = collapse_jax.measure_arrays(directions, **given)["directions"]
    print(f"k {k:2}   measured {value:.4f}")
    assert abs(value - k) < 1e-3

# %% [markdown]
# ## A tiny sweep
#
# Three weight decays and two seeds of a small MLP on 500 images of MNIST, 1000 steps, all in one program.
# Snapshots keep the parameters, so that anything can be measured later.

# %%
workdir = pathlib.Path(tempfile.mkdtemp()) / "sweep"
experiment = Experiment(
    name="A small MLP",
    grid=Grid(weight_decay=(0.5, 0.1, 0.0), learning_rate=(3e-3,), init_scale=(4.0,), seed=(0, 1)),
    steps=1000,
    task=Task(train_size=500, test_size=500),
    model=Model(hidden=(64, 64)),
    measures=("fit",),
    log=Schedule(points=20),
    snapshots=Snapshots(Schedule(rule="geometric", points=10), content=("parameters",), test_size=500),
)
results = collapse_jax.train(experiment, workdir)
results[["train_accuracy", "test_accuracy"]].isel(step=-1).mean("seed").to_pandas()[
    ["train_accuracy", "test_accuracy"]
]

# %% [markdown]
# ## Measured with the others
#
# `measure` takes the function itself, beside measures by name; its keyword arguments are options. From the
# command line the same is `--measures=FILE.py:directions`. Values join the results, with the first line of the
# docstring as definition.

# %%
results = collapse_jax.measure(workdir, [directions, "spectrum"])
print(results.directions.dims, "-", results.directions.attrs["definition"])
measured = results[["directions", "participation_ratio_test"]].dropna("step", how="all")
measured.directions.mean("seed").transpose("step", "weight_decay").to_pandas().astype(float).round(2)

# %% [markdown]
# ## Second check: another implementation
#
# The package has this measure, written independently: `participation_ratio` of the family `spectrum`.

# %%
difference = float(abs(measured.directions / measured.participation_ratio_test - 1).max())
print(f"largest relative difference over {measured.directions.size} values: {difference:.1e}")
assert difference < 1e-4

# %%
first, last = measured.directions.isel(step=[0, -1]).mean("seed").transpose("step", "weight_decay").values
for decay, before, after in zip(measured.weight_decay.values, first, last, strict=True):
    print(f"weight decay {decay}: features vary in {before:.1f} directions at first, in {after:.1f} at the end")

# %% [markdown]
# **Limits.** Two seeds and 1000 steps say how to do it, and nothing of grokking. A measure that is to stay
# belongs into `measures/`, with its null if it estimates anything: CONTRIBUTING.md has the recipe.
