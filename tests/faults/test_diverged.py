"""Runs that go wrong on their own: documented values, and not one bit of their neighbours."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from etils import epath
from harness import experiment

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.experiment.config import Grid, Optimizer, Task
from collapse_jax.training import RunState
from collapse_jax.workdir.netcdf import write_dataset

RATES = (1e-5, 2e-5)
MEASURES = ("fit", "norms", "collapse")


def sweep(rates, **changes):
    grid = Grid(weight_decay=(0.1,), learning_rate=rates, init_scale=(1.0,), seed=(1,))
    fixed = {"optimizer": Optimizer("sgd"), "grid": grid, "measures": MEASURES}
    return dataclasses.replace(experiment(**fixed | changes), checkpoint_seconds=1e6)


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """The sweep without the run that diverges."""
    return collapse_jax.train(sweep(RATES), tmp_path_factory.mktemp("without") / "w")


@pytest.mark.parametrize("bad", [1e3, 1e38], ids=["nan", "inf"])
def test_neighbours_keep_their_bits_and_the_report_names_the_run(without, tmp_path, capsys, bad):
    results = collapse_jax.train(sweep((RATES[0], bad, RATES[1])), tmp_path / "w")
    neighbours = results.sel(learning_rate=list(RATES))
    for name in without.data_vars:
        np.testing.assert_array_equal(neighbours[name], without[name], err_msg=name)
    run = results.sel(learning_rate=bad).squeeze()
    first_bad = run.diverged_at.item()
    assert 0 < first_bad <= 10
    for name in run.data_vars.keys() - {"diverged_at"}:
        assert run[name].where(run.step >= first_bad, drop=True).isnull().all(), name
    assert run.train_loss.sel(step=0).notnull()
    *said, last = capsys.readouterr().err.splitlines()
    assert any(f"diverged at step {first_bad}: " in line and f"learning rate {bad:g}" in line for line in said)
    assert last.startswith("1 of 3 runs diverged: ")
    assert f"learning rate {bad:g}" in last
    assert last.endswith(f"at step {first_bad}")


def test_values_from_before_the_results_are_masked_all_the_same(tmp_path):
    """Measured while there was no results.nc, and so nobody knew of the divergence: masked when it is known."""
    workdir, away = tmp_path / "w", tmp_path / "results.nc"
    trained = collapse_jax.train(sweep(RATES), workdir)
    (workdir / "results.nc").rename(away)
    early = collapse_jax.measure(workdir, "norms", label="later")
    at = trained.diverged_at.where(trained.learning_rate == RATES[0], 15).astype(np.int32)
    write_dataset(trained.assign(diverged_at=at), epath.Path(workdir / "results.nc"))
    results = collapse_jax.open_results(workdir)
    bad = (results.diverged_at >= 0) & (results.step >= results.diverged_at)
    names = [name for name in early.data_vars if name.endswith("_later")]
    for name in names:
        known = results[name].sel(step=early.step)
        assert known.where(bad).isnull().all(), name
        xr.testing.assert_equal(known.where(~bad), early[name].where(~bad))
    assert early.weight_norm_later.where(bad).notnull().any()  # else there was nothing to mask
    collapse_jax.measure(workdir, "norms", label="later")  # has nothing to measure, and masks its file
    file = collapse_jax.open_results(workdir / "measures" / "norms_later.nc")
    assert file.weight_norm_later.where(bad).isnull().all()
    assert file.diverged_at.equals(results.diverged_at)


def test_parameters_that_overflow_without_the_loss_are_noticed(tmp_path, monkeypatch, capsys):
    """An infinite bias behind a rectifier leaves the loss finite."""
    from collapse_jax.training import run as run_module

    original = run_module.init_run

    def broken(recipe, h, data) -> RunState:
        state = original(recipe, h, data)
        first = next(name for name in state.params if name != "head")
        layer = state.params[first]
        bias = layer["bias"].at[0].set(jnp.where(h.learning_rate == jnp.float32(RATES[1]), -jnp.inf, 0.0))
        return state.replace(params={**state.params, first: {**layer, "bias": bias}})

    monkeypatch.setattr(collapse_jax.engine.compile, "init_run", broken)
    results = collapse_jax.train(sweep(RATES), tmp_path / "w")
    assert results.diverged_at.squeeze().values.tolist() == [-1, 0]
    assert "1 of 2 runs diverged" in capsys.readouterr().err


def test_missing_classes_have_documented_values(tmp_path):
    """Ten training images hold seven of the ten classes: they are left out of class means, and nothing is nan."""
    what = sweep(RATES, batch_size=5, task=Task(train_size=10, test_size=100))
    results = collapse_jax.train(what, tmp_path / "w")
    assert (results.diverged_at == -1).all()
    for name in ("within_class_variance", "rnc1", "rnc1_mean_norm", "nc2_condition", "train_accuracy"):
        assert np.isfinite(results[name]).all(), name


def test_features_without_variance_have_documented_values(tmp_path, monkeypatch):
    """All-zero parameters: one point for all examples. The measures say so; the run is healthy."""
    from collapse_jax.training import run as run_module

    original = run_module.init_run

    def collapsed(recipe, h, data) -> RunState:
        state = original(recipe, h, data)
        keep = (h.learning_rate != jnp.float32(RATES[1])).astype(jnp.float32)
        return state.replace(params=jax.tree.map(lambda leaf: leaf * keep, state.params))

    monkeypatch.setattr(collapse_jax.engine.compile, "init_run", collapsed)
    results = collapse_jax.train(sweep(RATES), tmp_path / "w").squeeze()
    dead, alive = (results.sel(learning_rate=rate).isel(step=0) for rate in reversed(RATES))
    assert (results.diverged_at == -1).all()
    assert dead.within_class_variance == 0
    assert dead.weight_norm == 0
    assert np.isnan(dead.rnc1)
    assert np.isnan(dead.nc2_equinorm)
    assert np.isfinite(alive.rnc1)


def test_a_sweep_with_a_diverged_run_ends_with_0(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "from harness import experiment\nfrom test_diverged import sweep\n"
        "def get_config(arg=''):\n    return sweep((1e-5, 1e3))\n"
    )
    assert main(["train", f"--config={path}", f"--workdir={tmp_path / 'w'}", "--nofigures"]) == 0
    assert main(["show", f"--workdir={tmp_path / 'w'}"]) == 0
