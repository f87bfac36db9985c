"""What cannot fit into memory is refused before anything is compiled or written, whatever the packing."""

import dataclasses

import pytest

import collapse_jax
from collapse_jax.engine import demand, train
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Packing

HUGE = Model(hidden=(200_000, 200_000))  # 4e10 parameters, of which 3 numbers are kept and one gradient


@pytest.mark.parametrize("packing", [Packing(), Packing(1, 1), Packing(2, 2)])
@pytest.mark.parametrize("axes", [{}, {"loss": ("squared_error_sum", "cross_entropy")}])
def test_states_that_do_not_fit_are_refused_before_anything_is_written(packing, axes, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "compile_programs", None)
    grid = dataclasses.replace(tiny().grid, **axes)
    with pytest.raises(ConfigError, match=r"^grid='4 runs': take \d+\.\d GB per device, .*not even one run fits"):
        collapse_jax.train(tiny(model=HUGE, grid=grid, packing=packing), tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_the_least_that_is_needed_is_counted_by_hand(tiny, tmp_path, monkeypatch):
    """An MLP of one hidden layer: P parameters, two moments of each, and one gradient."""
    experiment = tiny(model=Model(hidden=(16,)), grid=Grid(seed=(1, 2, 3)), packing=Packing(1, 1))
    parameters, images = 784 * 16 + 16 + 16 * 10 + 10, 784 * (100 + 150)
    least = 4 * (3 * 3 * parameters + parameters + images + 250)
    for limit, fits in ((least / 0.8 + 1000, True), (least / 0.8 - 1000, False)):
        monkeypatch.setattr(demand.packing, "device_memory", lambda limit=limit: int(limit))
        if fits:
            train.check_leaf(experiment, tmp_path / "w")
        else:
            with pytest.raises(ConfigError, match=r"^grid='3 runs'"):
                train.check_leaf(experiment, tmp_path / "w")
