# %% [markdown]
# # How do I add a task of my own?
#
# A task is one Python file: how many examples and classes there are, and a function that returns the arrays.
# Everything else, grids, measures, resuming, figures, works as for the built-in ones. This task is the parity
# of 3 of 16 bits: neither a single bit nor a pair says anything of the label.

# %%
import pathlib
import tempfile

import numpy as np
import xarray as xr

import collapse_jax
from collapse_jax import tasks
from collapse_jax.experiment.config import Experiment, Grid, Model, Schedule, Snapshots, Task

folder = pathlib.Path(tempfile.mkdtemp())
(folder / "parity.py").write_text('''
"""Parity of 3 of 16 bits."""

import numpy as np

from collapse_jax.tasks import TaskInfo
from collapse_jax.tasks.assemble import assemble
from collapse_jax.tasks.base import InMemory

TRAIN, TEST, BITS, RELEVANT = 400, 600, 16, 3


def load(task):
    """Return the examples that the task asks for."""
    rng = np.random.default_rng(0)  # the same examples at every call: the runs' seeds are another matter
    bits = rng.choice(np.float32([-1, 1]), (TRAIN + TEST, BITS))
    labels = (bits[:, :RELEVANT].prod(axis=1) > 0).astype(np.int64)
    train, test = InMemory(bits[:TRAIN], labels[:TRAIN]), InMemory(bits[TRAIN:], labels[TRAIN:])
    return assemble(task, "vector", train, test, num_classes=2)


TASK = TaskInfo(load=load, train_size=TRAIN, test_size=TEST, num_classes=2, kind="vector")
''')
task = Task(f"{folder}/parity.py:TASK", train_size=400, test_size=600)

# %% [markdown]
# ## First check: the data are what they are meant to be
#
# The label is the product of the first three bits; alone, each bit agrees with it about half of the time.

# %%
data = tasks.load(task)
bits, sign = np.asarray(data.train_inputs), 2 * np.asarray(data.train_labels) - 1
assert (bits[:, :3].prod(1) == sign).all()
agreement = (bits == sign[:, None]).mean(0)
print(
    f"{len(bits)} examples; a bit agrees with the label in {agreement.min():.0%} to {agreement.max():.0%} of them"
)

# %% [markdown]
# ## A sweep
#
# From the command line: `train --config=FILE.py --config.task.dataset=parity.py:TASK`. The sweep records a hash
# of the file and refuses to continue when it has changed.

# %%
experiment = Experiment(
    name="Parity of 3 of 16 bits",
    grid=Grid(weight_decay=(1.0, 0.1, 0.0), learning_rate=(3e-3,), init_scale=(2.0,), seed=(0, 1, 2)),
    steps=1200,
    batch_size=100,
    task=task,
    model=Model(hidden=(64,)),
    log=Schedule(points=40),
    snapshots=Snapshots(Schedule(rule="explicit", at=())),
)
results = collapse_jax.train(experiment, folder / "sweep")
collapse_jax.figure(results, "accuracy")

# %%
taus = collapse_jax.timescales(results, {"test_accuracy": 0.95})
end = results.test_accuracy.isel(step=-1)
table = {
    "tau_fit": taus.tau_fit.median("seed"),
    "runs_at_0.95": (~taus.grok_censored).sum("seed"),
    "lowest_test_accuracy": end.min("seed"),
    "highest_test_accuracy": end.max("seed"),
}
xr.Dataset(table).reset_coords(drop=True).to_pandas().round(2)

# %% [markdown]
# All runs fit at about the same step; how many of them also find the parity depends on weight decay.
#
# **Limits.** Three seeds of one small network on one draw of the examples. The file is code: whoever opens a
# workdir of somebody else runs it only with `trust=True`.
