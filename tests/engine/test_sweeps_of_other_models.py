"""Texts and convolutions through the whole engine, run by run and in vmapped tiles."""

import dataclasses

import numpy as np
import pytest
from stand_ins import write_stand_ins

import collapse_jax
from collapse_jax.experiment.config import Experiment, Grid, Model, Packing, Schedule, Snapshots, Task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_stand_ins(folder)
    return folder


def small(task, model):
    """Four runs of a small model, whose initial weights are scaled, for some steps."""
    return Experiment(
        grid=Grid(weight_decay=(0.01,), init_scale=(1.0, 4.0), seed=(0, 1)),
        steps=12,
        batch_size=10,
        task=task,
        model=model,
        measures=("fit", "norms"),
        log=Schedule(rule="explicit", at=(0,)),
        snapshots=Snapshots(Schedule(rule="explicit"), (), test_size=30),
    )


def models(folder):
    names = {"dataset": "train.jsonl", "test_file": "test.jsonl", "vocabulary": "vocab.txt"}
    texts = Task(**{name: str(folder / file) for name, file in names.items()}, train_size=35, test_size=30)
    images = Task(str(folder / "images.npz"), train_size=35, test_size=30)
    return {
        "text": small(texts, Model("transformer", width=8, heads=2)),
        "cnn": small(images, Model("cnn", width=4)),
    }


@pytest.mark.slow  # compiles four sweeps
@pytest.mark.parametrize("name", ["text", "cnn"])
def test_tiles_of_runs_train_as_single_runs_do(name, folder, tmp_path):
    if name == "text":
        pytest.importorskip("tokenizers", reason="the extra `data` is not installed")
    experiment = models(folder)[name]
    single, tiled = (
        collapse_jax.train(dataclasses.replace(experiment, packing=packing), tmp_path / str(i))
        for i, packing in enumerate((Packing(2, 1), Packing(1, 2)))
    )
    assert dict(single.sizes) | {"step": 2} == {"weight_decay": 1, "init_scale": 2, "seed": 2, "step": 2}
    for variable in ("train_loss", "test_loss", "weight_norm"):
        assert single[variable].notnull().all()
        np.testing.assert_allclose(tiled[variable], single[variable], rtol=2e-3, atol=1e-4, err_msg=variable)
    assert np.all(single.train_loss.isel(step=-1) < single.train_loss.isel(step=0))
