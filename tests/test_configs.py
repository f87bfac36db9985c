"""Every file in configs/ loads, validates and trains in its smoke size."""

import dataclasses
import importlib.util
import pathlib

import numpy as np
import pytest
import shared_data
from stand_ins import use_stand_ins, write_stand_ins

import collapse_jax
from collapse_jax import tasks
from collapse_jax.engine.compile import check_model
from collapse_jax.engine.validate import validate
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.cuts import next_cut, parts
from collapse_jax.system import runtime

ROOT = pathlib.Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.py"))
# One config for every kind of model and of inputs; the others train among the slow tests.
# `tests/cli` trains `quickstart`, a multilayer perceptron.
KINDS = {"cnn_mnist", "transformer_mnist"}


def stem(path):
    return path.stem


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    """Write the generated data sets once."""
    folder = tmp_path_factory.mktemp("stand_ins")
    write_stand_ins(folder)
    return folder


def test_every_figure_and_every_further_question_has_a_config():
    figures = {"mnist_mlp", "fashion_mlp", "cnn_mnist", "transformer_mnist", "resnet18_cifar10"}
    texts = {"transformer_sst2", "transformer_trec", "transformer_ag_news"}
    beyond = {"omnigrok_mnist", "init_scale_mlp", "no_weight_decay_mlp", "normalisation_mlp", "cross_entropy_mlp"}
    more = {"optimizer_mlp", "modular_addition", "label_noise_mlp", "theory_mlp", "balancedness_mlp", "quickstart"}
    others = {"modular_complexity", "modular_synergy", "layerwise_mlp", "layerwise_cifar10", "token_selection"}
    tickets = {"lottery_mlp", "lottery_nets"}
    names = {path.stem for path in CONFIGS}
    assert names == figures | texts | beyond | more | others | tickets
    page = (ROOT / "docs" / "experiments.md").read_text()
    assert [name for name in names if f"configs/{name}.py" not in page] == []


@pytest.mark.parametrize("path", CONFIGS, ids=stem)
def test_config_loads_and_refuses_unknown_arguments(path, stand_ins):
    module = load(path)
    for arg in ("", "cpu"):
        assert isinstance(validate(use_stand_ins(module.get_config(arg), stand_ins)), Experiment)
        assert f"--config=configs/{path.name}{':' + arg if arg else ' '}" in module.__doc__
    with pytest.raises(ValueError, match="nonsense"):
        module.get_config("nonsense")


@shared_data.needs("text", "tokenizer", "fashion_mnist")
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("transformer_trec", {"dataset": "text/train_5500.label", "test_file": "text/TREC_10.label"}),
        ("transformer_sst2", {"dataset": "text/sst2_train.jsonl.gz", "test_file": "text/sst2_dev.jsonl.gz"}),
        ("fashion_mlp", {"data_dir": ""}),
    ],
)
def test_configs_take_the_files_of_the_data_sets(name, files):
    experiment = load(ROOT / "configs" / f"{name}.py").get_config("cpu")
    changes = {field: str(shared_data.FOLDER / file) for field, file in files.items()}
    experiment.task = dataclasses.replace(experiment.task, **changes, vocabulary=str(shared_data.VOCABULARY))
    assert isinstance(validate(experiment), Experiment)


@pytest.mark.parametrize("path", CONFIGS, ids=stem)
def test_the_network_of_every_part_takes_the_data_of_its_task(path, stand_ins):
    experiment = use_stand_ins(load(path).get_config("smoke"), stand_ins)
    cut = next_cut(experiment)
    for part in [part.experiment for part in parts(experiment, cut)] if cut else [experiment]:
        with runtime.numbers(part):
            check_model(part, tasks.load(part.task, part.dtype))


@pytest.mark.parametrize(
    "path",
    [path if path.stem in KINDS else pytest.param(path, marks=pytest.mark.slow) for path in CONFIGS],
    ids=stem,
)
def test_smoke_trains(path, tmp_path, stand_ins):
    experiment = use_stand_ins(load(path).get_config("smoke"), stand_ins)
    results = collapse_jax.train(experiment, tmp_path / "workdir")
    assert results.step.values[-1] == experiment.steps
    assert results.train_accuracy.notnull().all()
    loss = results.train_loss
    assert np.all(loss.isel(step=-1) < loss.isel(step=0))


def test_the_main_experiment_is_the_paper_s():
    """6 weight decays x 5 seeds, AdamW at 1e-3, batch 100, scale 8, three hidden layers of 200."""
    experiment = validate(load(next(path for path in CONFIGS if path.stem == "mnist_mlp")).get_config("300k"))
    assert experiment.grid.weight_decay == (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    assert len(experiment.grid.seed) == 5
    assert (experiment.steps, experiment.batch_size, experiment.loss) == (300_000, 100, "squared_error_sum")
    assert (experiment.grid.learning_rate, experiment.grid.init_scale) == ((1e-3,), (8.0,))
    assert (experiment.optimizer.name, experiment.model.hidden) == ("adamw", (200, 200, 200))
