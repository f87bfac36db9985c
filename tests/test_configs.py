"""Every file in configs/ loads, validates and trains in its smoke size."""

import importlib.util
import pathlib

import numpy as np
import pytest

import collapse_jax
from collapse_jax.config import Experiment
from collapse_jax.validate import validate

CONFIGS = sorted((pathlib.Path(__file__).parents[1] / "configs").glob("*.py"))


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configs_of_the_readme_are_there():
    assert {"quickstart", "mnist_mlp", "theory_mlp"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_loads_and_refuses_unknown_arguments(path):
    module = load(path)
    assert isinstance(validate(module.get_config()), Experiment)
    assert f"--config=configs/{path.name}" in module.__doc__
    with pytest.raises(ValueError, match="nonsense"):
        module.get_config("nonsense")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_smoke_trains(path, tmp_path):
    experiment = load(path).get_config("smoke")
    results = collapse_jax.train(experiment, tmp_path / "workdir")
    assert results.step.values[-1] == experiment.steps
    assert results.train_accuracy.notnull().all()
    loss = results.train_loss
    assert np.all(loss.isel(step=-1) < loss.isel(step=0))


def test_the_main_experiment_is_the_paper_s():
    """6 weight decays x 5 seeds, AdamW at 1e-3, batch 100, scale 8, three hidden layers of 200."""
    experiment = load(next(path for path in CONFIGS if path.stem == "mnist_mlp")).get_config("300k")
    assert experiment.grid.weight_decay == (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    assert len(experiment.grid.seed) == 5
    assert (experiment.steps, experiment.batch_size, experiment.loss) == (300_000, 100, "squared_error_sum")
    assert (experiment.grid.learning_rate, experiment.grid.init_scale) == ((1e-3,), (8.0,))
    assert (experiment.optimizer.name, experiment.model.hidden) == ("adamw", (200, 200, 200))
