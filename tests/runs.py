"""Runs trained without a sweep: the programs of the engine, called by hand."""

import itertools

import jax
import numpy as np

from collapse_jax import tasks
from collapse_jax.engine import packing
from collapse_jax.experiment.config import Packing
from collapse_jax.experiment.grid import grid_runs
from collapse_jax.training import advance_run, init_run, make_recipe
from collapse_jax.training.hyperparameters import stack_hyperparameters
from collapse_jax.training.terms import terms_of


def train(experiment, cuts=(), layout=None, data=None):
    """Return the trained states of all runs as host arrays, cut into calls at `cuts`."""
    runs = grid_runs(experiment.grid)
    layout = packing.choose_layout(layout or Packing(1, 1), len(runs))
    data = data or tasks.load(experiment.task, experiment.dtype)
    initial, advance = programs(experiment, layout, data)
    data = packing.place(layout, data, shared=True)
    hparams = packing.place(layout, stack_hyperparameters(runs))
    states = initial(hparams, data)
    for start, stop in itertools.pairwise([0, *cuts, experiment.steps] if experiment.steps else []):
        states = advance(states, hparams, data, np.int32(start), np.int32(stop))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(runs)], states)


def programs(experiment, layout, data, made={}):  # noqa: B006 - shared by all tests of the session
    """Return init and advance of a grid, the same wherever the recipe is; jit compiles them for each shape."""
    e = experiment
    static = (e.model, e.loss, e.optimizer, e.training, e.batch_size or e.task.train_size, e.dtype, terms_of(e))
    key = repr((*static, data.num_classes, data.vocabulary_size, layout.devices, layout.runs_per_tile))
    if key not in made:
        recipe = make_recipe(experiment, data)
        initial = packing.over_runs(layout, lambda h, d: init_run(recipe, h, d))
        advance = packing.over_runs_in_place(layout, lambda s, h, d, a, b: advance_run(recipe, s, h, d, a, b))
        made[key] = initial, advance
    return made[key]


def begin(recipe, h, data):
    """Return the initial state of a run, compiled as a whole: as many programs as operations take longer."""
    return jax.jit(lambda h, data: init_run(recipe, h, data))(h, data)


def one(experiment):
    """Return recipe, hyperparameters and data of the first run."""
    data = tasks.load(experiment.task, experiment.dtype)
    h = jax.tree.map(lambda leaf: leaf[0], stack_hyperparameters(grid_runs(experiment.grid)))
    return make_recipe(experiment, data), h, jax.tree.map(jax.numpy.asarray, data)


def take(states, index):
    return jax.tree.map(lambda leaf: leaf[index], states)


def assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def distance(a, b):
    """Largest difference of two trees."""
    return max(jax.tree.leaves(jax.tree.map(lambda x, y: float(np.abs(x - y).max(initial=0)), a, b)))
