"""Figures over any axes of a grid: planes, numbers against an axis, and colours by another than weight decay."""

import numpy as np
import pytest
import xarray as xr
from figure_texts import check, note
from matplotlib.colors import LogNorm, Normalize
from synthetic_results import as_zip, diverge, make_results

from collapse_jax.figures import FIGURES, NotDrawableError, series, style
from collapse_jax.figures.against_axis import _legible

DECAYS, RATES = (0.03, 0.1, 0.3), (1e-3, 3e-3)


@pytest.fixture(scope="module")
def results():
    return make_results(DECAYS, (0, 1), RATES, last=3000, jitter=0.2)


def plane(figure):
    (mesh,) = figure.axes[0].collections
    return mesh.get_array()


@pytest.mark.parametrize("shape", [lambda r: r, as_zip], ids=["product", "zip"])
def test_heatmap_shows_the_mean_of_each_cell(shape, results):
    figure = FIGURES["heatmap"](shape(results))
    check(figure)
    last = results["test_accuracy"].isel(step=-1).mean("seed").transpose("learning_rate", "weight_decay")
    np.testing.assert_allclose(plane(figure), last, rtol=1e-6)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("weight decay λ", "learning rate η")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.03", "0.1", "0.3"]
    turned = FIGURES["heatmap"](shape(results), x="learning_rate", y="weight_decay", value="rnc1", log=True)
    geometric = np.exp(np.log(results["rnc1"].isel(step=-1)).mean("seed")).transpose("weight_decay", ...)
    np.testing.assert_allclose(plane(turned), geometric, rtol=1e-5)
    assert isinstance(turned.axes[0].collections[0].norm, LogNorm)
    assert type(figure.axes[0].collections[0].norm) is Normalize


def test_heatmap_leaves_cells_without_a_value_grey_and_marks_bounds(results):
    gone = diverge(results, 100, weight_decay=0.3, learning_rate=3e-3)
    figure = FIGURES["heatmap"](gone)
    assert np.ma.getmaskarray(plane(figure)).sum() == 1
    assert [text.get_text() for text in figure.axes[0].texts].count("–") == 1
    times = FIGURES["heatmap"](results, value="tau_collapse")
    texts = [text.get_text() for text in times.axes[0].texts]
    assert "> 3k" in texts
    assert not texts[-1].startswith(">")  # the strongest decay at the highest rate collapses in time
    assert "lower bound" in note(times)


def test_heatmap_has_a_panel_per_setting_of_the_other_axes(results):
    both = xr.concat([results, results * 0.5], xr.Variable("init_scale", [1.0, 8.0]))
    both["diverged_at"] = both["diverged_at"].astype(int) * 0 - 1
    figure = FIGURES["heatmap"](both, x="weight_decay", y="learning_rate")
    assert [axes.get_title("left") for axes in figure.axes[:2]] == ["init scale = 1", "init scale = 8"]
    for problem, change in (("fewer than two axes", results.isel(learning_rate=0)), ("not in", results)):
        with pytest.raises(NotDrawableError, match=problem):
            FIGURES["heatmap"](change, value="nothing")


@pytest.mark.parametrize("shape", [lambda r: r, as_zip], ids=["product", "zip"])
def test_against_axis_draws_the_mean_and_the_range(shape, results):
    figure = FIGURES["against_axis"](shape(results), values=("test_accuracy", "tau_grok"))
    check(figure)
    lines = [line for line in figure.axes[0].get_lines() if line.get_gid() == "test_accuracy"]
    assert len(lines) == len(RATES)
    last = results["test_accuracy"].isel(step=-1)
    for line, rate in zip(lines, RATES, strict=True):
        np.testing.assert_allclose(line.get_xdata(), DECAYS)
        np.testing.assert_allclose(line.get_ydata(), last.sel(learning_rate=rate).mean("seed"), rtol=1e-6)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0.001", "0.003"]
    assert figure.legends[0].get_title().get_text() == "learning rate η"
    assert any(line.get_marker() == "^" for line in figure.axes[1].get_lines())  # did not grok in time
    other = FIGURES["against_axis"](shape(results), x="learning_rate", colour="weight_decay")
    assert other.axes[0].get_xlabel() == "learning rate η"
    assert len(other.legends[0].get_texts()) == len(DECAYS)


def test_against_axis_takes_words_and_zero():
    few = make_results((0.0, 0.1, 0.3), (0, 1), last=1000)
    words = xr.concat([few, few], xr.Variable("optimizer", ["sgd", "adamw"]))
    figure = FIGURES["against_axis"](words, x="optimizer")
    check(figure)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["sgd", "adamw"]
    zero = FIGURES["against_axis"](few)
    lines = [line for line in zero.axes[0].get_lines() if line.get_gid() == "test_accuracy"]
    assert len(lines[0].get_xdata()) == 3
    with pytest.raises(NotDrawableError, match="no axis varies"):
        FIGURES["against_axis"](few.isel(weight_decay=[1]))


@pytest.mark.parametrize("name", ["phases", "timeline", "heatmap", "against_axis", "timescales"])
def test_a_grid_without_weight_decay_is_drawn(name, results):
    bare = results.isel(weight_decay=0, drop=True)
    bare = xr.concat([bare, bare], xr.Variable("init_scale", [1.0, 8.0]))
    figure = FIGURES[name](bare)
    check(figure)
    if name == "phases":
        assert [s.name for s in series.split(bare.isel(init_scale=0, drop=True))] == ["0.001", "0.003"]
        assert len(figure.legends[0].get_texts()) == 4


def test_colour_by_another_axis(results):
    found = series.split(results, "learning_rate")
    assert [next(iter(s.point)) for s in found] == ["learning_rate"] * 6
    one = results.isel(weight_decay=0)
    figure = FIGURES["phases"](one, colour="learning_rate")
    colours = [line.get_color() for line in figure.axes[1].get_lines() if line.get_gid() == "rnc1"]
    norm = style.log_norm(RATES)
    assert [tuple(c) for c in colours] == [style.value_colour(rate, norm) for rate in RATES]


def test_values_of_both_signs_are_told_apart(results):
    """They have no logarithm; one after the other, in their order."""
    one = results.isel(weight_decay=0, learning_rate=0, drop=True)
    values = [0.03, -0.03, 0.0, -0.003]
    found = series.split(xr.concat([one] * 4, xr.Variable("nhsic", values)), "nhsic")
    assert [s.point["nhsic"] for s in found] == sorted(values)
    lightness = [sum(np.array(s.colour[:3]) * (0.2126, 0.7152, 0.0722)) for s in found]
    assert lightness == sorted(set(lightness), reverse=True)


def test_an_axis_of_one_value_gives_way_and_values_are_in_the_order_of_numbers(results):
    bare = results.isel(weight_decay=[0], learning_rate=0, drop=True)
    several = xr.concat([bare] * 3, xr.Variable("init_scale", [50.0, 8.0, 1.0])).transpose("weight_decay", ...)
    found = series.split(several)
    assert [s.point for s in found] == [{"init_scale": value} for value in (1.0, 8.0, 50.0)]
    alone = series.split(several.isel(init_scale=[0]))
    assert [list(s.point) for s in alone] == [["weight_decay"]]
    two = xr.concat([several] * 2, xr.Variable("temperature", [1.0, 10.0])).transpose("weight_decay", ...)
    pairs = [(scale, t) for scale in (1.0, 8.0, 50.0) for t in (1.0, 10.0)]
    assert [tuple(s.point.values()) for s in series.split(two)] == pairs


def test_ticks_that_would_overlap_have_no_text():
    """On a logarithmic axis 0.2 and 0.3 are close, 0.001 to 0.3 in thirds of a decade are not."""
    decays = ["0", "0.01", "0.03", "0.1", "0.2", "0.3", "0.5", "0.7", "1"]
    close = _legible([0.0033, *map(float, decays[1:])], decays, True)
    assert close == ["0", "0.01", "0.03", "0.1", "0.2", "", "0.5", "", "1"]
    decays = ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3"]
    assert _legible([float(text) for text in decays], decays, True) == decays
