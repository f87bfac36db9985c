"""Whatever a figure shows can be read: texts stay on the canvas and beside each other, keys beside points."""

import numpy as np
import pytest
import synthetic_figures
import xarray as xr
from figure_texts import check, outside, overlapping, seen
from matplotlib.figure import Figure
from synthetic_bounds import with_balancedness, with_bounds
from synthetic_families import with_layers
from synthetic_results import make_results

from collapse_jax.analysis.events import DELAY
from collapse_jax.figures import FIGURES, style, violins


@pytest.fixture(scope="module")
def results():
    return make_results((0.03, 0.3), (0, 1), last=100_000, jitter=0.2)


@pytest.mark.slow  # lays out every figure
@pytest.mark.parametrize("name", FIGURES)
def test_the_texts_of_every_figure_can_be_read(name):
    check(synthetic_figures.draw(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["phases", "layers", "survival"])
def test_long_legends_squeeze_no_titles(name):
    """Eight settings, each with a long name."""

    def many(results):
        results = results.isel(weight_decay=[-1])
        scales = [results] * 2, xr.Variable("init_scale", [1.0, 8.0])
        results = xr.concat(scales[0], scales[1], data_vars="all")
        results = xr.concat([results] * 2, xr.Variable("label_noise", [0.0, 0.125]), data_vars="all")
        results = xr.concat([results] * 2, xr.Variable("temperature", [1.0, 1234.5]), data_vars="all")
        return results.assign(diverged_at=results["diverged_at"].astype(int))

    figure = check(synthetic_figures.draw(name, many))
    assert len(figure.legends[0].get_texts()) == 8


def test_the_check_sees_what_cannot_be_read():
    figure = Figure(figsize=(4, 3))
    figure.text(0.5, 0.5, "some words")
    figure.text(0.52, 0.5, "others over them")
    figure.text(0.9, 0.1, "words that leave the canvas")
    figure.draw_without_rendering()
    assert overlapping(seen(figure)) == [("some words", "others over them")]
    assert outside(figure, seen(figure)) == ["words that leave the canvas"]


@pytest.mark.parametrize("letters", ["w", "i "])
def test_headings_are_wrapped_to_the_width_of_the_figure(letters):
    """However broad the letters are, and paragraphs stay."""
    figure = style.new_figure(4.0, 3.0)
    words = " ".join([letters.strip() * 7] * 12)
    style.heading(figure, words, f"{words}\nend")
    check(figure)
    assert " ".join(figure.get_suptitle().split()) == words
    assert figure.get_supxlabel().endswith("\nend")
    widest = max(text.get_window_extent().width for text in figure.texts)
    assert widest > 0.8 * figure.bbox.width


def test_a_short_heading_is_one_line():
    figure = style.new_figure(4.0, 3.0)
    style.heading(figure, "Title", "One.\nTwo.")
    assert (figure.get_suptitle(), figure.get_supxlabel()) == ("Title", "One.\nTwo.")


def labels(axis):
    low, high = axis.get_view_interval()
    return [t.label1.get_text() for t in axis.get_major_ticks() if low <= t.get_loc() <= high]


@pytest.mark.parametrize("span", [(2100, 8700), (1.2, 1.9), (31, 880), (0.0021, 0.0087)])
def test_a_logarithmic_axis_has_labels_though_it_holds_no_power_of_ten(span):
    axes = style.new_figure(4.0, 3.0).subplots()
    axes.set_ylim(*span)
    style.log_values(axes, plain=True)
    axes.figure.draw_without_rendering()
    assert len([label for label in labels(axes.yaxis) if label]) >= 2


def test_times_within_a_decade_have_labels(results):
    """Nothing but grokking, at 6,000 and at 3,500 steps."""
    near = results.assign_coords(weight_decay=[0.1, 0.2])
    crossing = xr.DataArray([6000, 3500], dims="weight_decay")
    accuracy = xr.where(near["step"] >= crossing, 0.9, 0.1).broadcast_like(near["rnc1"])
    figure = check(FIGURES["timescales"](near[["diverged_at"]].assign(test_accuracy=accuracy)))
    axes = figure.axes[0]
    assert axes.get_ylim()[1] / axes.get_ylim()[0] < 10
    assert len(labels(axes.yaxis)) >= 2


def test_the_key_of_times_lies_over_no_point():
    rates = make_results((0.003, 0.03, 0.3), (0, 1), (1e-3, 3e-3), last=30_000, jitter=0.2)
    for made in (rates, rates.isel(learning_rate=0)):
        figure = check(FIGURES["timescales"](made))
        for axes in figure.axes:
            if axes.get_legend():
                box = axes.get_legend().get_window_extent()
                points = np.concatenate([axes.transData.transform(line.get_xydata()) for line in axes.get_lines()])
                assert not box.count_contains(points)


PANELS = {"layers": with_layers, "balancedness": with_balancedness, "bounds": with_bounds, "phases": lambda r: r}


@pytest.mark.parametrize("name", PANELS)
def test_two_steps_leave_no_panel_empty(name, results):
    """Step 0 has no logarithm: what is left is one point, which needs a marker to be seen."""
    figure = FIGURES[name](PANELS[name](results).isel(step=[0, -1]))
    for axes in figure.axes:
        dots = [line for line in axes.get_lines() if line.get_marker() == "o" and line.get_markevery() is not None]
        drawn = [line for line in axes.get_lines() if line.get_gid() and len(line.get_xdata()) > 1]
        assert dots or drawn


def test_only_values_without_neighbours_are_dots():
    axes = style.new_figure(4.0, 3.0).subplots()
    y = np.array([1.0, np.nan, 2.0, np.inf, 3.0, 4.0, np.nan, 5.0])
    style.line(axes, np.arange(8.0), y)
    style.line(axes, np.arange(3.0), np.arange(3.0))
    first, second = axes.get_lines()
    assert first.get_markevery().tolist() == [0, 2, 7]
    assert second.get_marker() == "None"


@pytest.mark.parametrize(
    ("ratio", "bound", "text"),
    [
        (30.66, False, "Grokking came 30.7 times later than fitting"),
        (0.228, False, "Grokking came 4.39 times earlier than fitting"),
        (0.228, True, "Grokking came more than 0.228 times as late as fitting"),
        (12.0, True, "Grokking came more than 12 times as late as fitting"),
    ],
)
def test_what_came_first_is_said_in_words_that_fit(ratio, bound, text):
    assert DELAY.text(ratio, bound) == text


def test_percentages_lie_beside_the_violins():
    figure = check(violins(synthetic_figures.collapsed(0.9, ((0, 1),))))
    for axes in figure.axes:
        boxes = [text.get_window_extent().transformed(axes.transData.inverted()) for text in axes.texts]
        areas = [area.get_datalim(axes.transData) for area in axes.collections]
        assert len(boxes) == len(areas) == 2
        assert not any(box.overlaps(area) for box in boxes for area in areas)
