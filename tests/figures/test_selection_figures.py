"""Figures of attention: lines are means over the seeds of the kinds and groups that they name."""

import numpy as np
import pytest
import xarray as xr
from figure_texts import check, note
from synthetic_families import attention

from collapse_jax.figures import FIGURES, NotDrawableError
from collapse_jax.measures.families.attention import TOKEN_KINDS, selected_loss

STEPS = (0, 1, 10, 100)


@pytest.fixture
def results(rng):
    return attention(rng, STEPS)


def line(axes, gid):
    (found,) = (each for each in axes.get_lines() if each.get_gid() == gid)
    return found


def test_attention_has_a_panel_per_setting_and_a_line_per_kind(results):
    figure = FIGURES["attention"](results)
    check(figure)
    assert [axes.get_title("left") for axes in figure.axes[:3]] == [f"d = 10, ‖μ‖ = {norm}" for norm in (1, 2, 3)]
    for axes, (d, norm) in zip(figure.axes, [(d, norm) for d in (10, 20) for norm in (1.0, 2.0, 3.0)], strict=True):
        for group in ("clean", "noisy"):
            for kind in TOKEN_KINDS:
                values = results[f"attention_{group}"].sel(dimension=d, signal_norm=norm, token_kind=kind)
                drawn = line(axes, f"attention_{group} {kind}")
                np.testing.assert_allclose(drawn.get_ydata(), values.mean("seed")[1:], rtol=1e-6)
                np.testing.assert_allclose(drawn.get_xdata(), STEPS[1:])


def test_losses_stand_beside_their_floors(results):
    figure = FIGURES["selection_losses"](results.isel(signal_norm=0))  # one axis: side by side
    assert len(figure.axes) == 2
    for number, axes in enumerate(figure.axes):
        for name in ("train_loss", "test_loss", "train_loss_selected"):
            mean = results[name].isel(signal_norm=0, dimension=number).mean("seed")
            np.testing.assert_allclose(line(axes, name).get_ydata(), mean[1:], rtol=1e-6)
        assert line(axes, "selected_loss").get_ydata()[0] == selected_loss(0.0)
    with pytest.raises(NotDrawableError, match=r"the measure attention \(attention_clean\) is not in the results"):
        FIGURES["attention"](results.drop_vars("attention_clean"))


def test_more_settings_than_panels_are_told(results):
    many = xr.concat([results] * 6, xr.Variable("flip_rate", np.arange(6) / 10), data_vars="all")
    many["diverged_at"] = many["diverged_at"].astype(int)
    figure = FIGURES["attention"](many)
    assert sum(axes.get_visible() for axes in figure.axes) == 16
    assert "16 of 36 settings are shown" in note(figure)


def test_the_map_has_the_means_of_its_cells_and_the_orders_of_the_theory(results):
    """|mu| = d^(1/4) is 1.78 at d = 10: between the cells of 1 and 2, whose middles are at 0.5 and 1.5."""
    figure = FIGURES["selection_map"](results)
    check(figure)
    for axes, name in zip(figure.axes, ("train_loss", "test_loss"), strict=False):
        mean = results[name].isel(step=-1).mean("seed").transpose("dimension", "signal_norm")
        np.testing.assert_allclose(axes.collections[0].get_array(), mean, rtol=1e-6)
        np.testing.assert_allclose(line(axes, "harmful").get_xdata(), [0.5 + 0.7783, 0.5 + 1.1147], atol=1e-4)
        np.testing.assert_allclose(line(axes, "no_overfitting").get_xdata(), [0.5 + 0.4142, 0.5 + 1.0], atol=1e-4)
    with pytest.raises(
        NotDrawableError, match="over signal_norm and any of dimension, weight_decay, flip_rate, each"
    ):
        FIGURES["selection_map"](results.isel(dimension=[0]))
    # The same cells over the weight decay: no line of the theory, which has none.
    figure = FIGURES["selection_map"](results.rename(dimension="weight_decay"))
    mean = results["test_loss"].isel(step=-1).mean("seed").transpose("dimension", "signal_norm")
    np.testing.assert_allclose(figure.axes[1].collections[0].get_array(), mean, rtol=1e-6)
    assert not any(axes.get_lines() for axes in figure.axes[:2])
    assert "SNR" not in note(figure)
