"""The figures of complexity: what they draw, and what they refuse."""

import numpy as np
import pytest
from figure_texts import check
from synthetic_families import DISTORTIONS, LEVEL, SLOPE, with_complexity
from synthetic_results import as_zip, diverge, make_results

from collapse_jax.figures import FIGURES, NotDrawableError
from collapse_jax.figures.complexity import log_fit


@pytest.fixture(scope="module")
def results():
    return with_complexity(make_results(weight_decay=(0.03, 0.3), seed=(0, 1), jitter=0.2, noise=0.01))


CASES = {
    "product": lambda r: r,
    "zip": as_zip,
    "one_run": lambda r: r.isel(seed=[0], weight_decay=[1]),
    "diverged": lambda r: diverge(r, 9000, weight_decay=0.3, seed=1),
    "complexity_alone": lambda r: r[["complexity", "diverged_at"]],
}


@pytest.mark.parametrize("name", ["complexity", "rate_distortion"])
@pytest.mark.parametrize("case", CASES)
def test_figures_draw(name, case, results):
    figure = FIGURES[name](CASES[case](results))
    check(figure)
    assert figure._suptitle.get_text()


@pytest.mark.parametrize("name", ["complexity", "rate_distortion"])
def test_what_is_missing_is_said(name, results):
    with pytest.raises(NotDrawableError, match="the measure complexity is not in the results"):
        FIGURES[name](results[["rnc1"]])
    with pytest.raises(NotDrawableError, match="no value at any step"):
        FIGURES[name](results.where(results["step"] < 0))


def lines_of(figure, name):
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == name]


@pytest.mark.parametrize(("asked", "shown"), [(1.0, 1.0), (3.9, 4.0), (1e-9, 0.0625)])
def test_the_complexity_of_the_nearest_distortion_is_drawn(results, asked, shown):
    figure = FIGURES["complexity"].function(results, distortion=asked)
    solid, dashed = (lines_of(figure, name) for name in ("complexity", "quantised_complexity"))
    assert (len(solid), len(dashed)) == (2, 2)
    # Complexity is known at fewer steps than accuracy.
    assert len(lines_of(figure, "test_accuracy")[0].get_xdata()) > 9 * len(solid[0].get_xdata())
    np.testing.assert_allclose(solid[0].get_ydata(), SLOPE * np.log(shown) + LEVEL)
    np.testing.assert_allclose(dashed[0].get_ydata(), 2 * (SLOPE * np.log(shown) + LEVEL))
    assert {axes.get_title("left") for axes in figure.axes if axes.get_visible()} == {
        "Accuracy: test, train dashed",
        "Complexity; by quantisation alone dashed",
        "Description length",
        "Naive size: bzip2, not quantised",
    }


def test_the_fit_of_rates_is_the_line_that_they_lie_on(results):
    figure = FIGURES["rate_distortion"](results)
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == [f"λ = {decay}: -5e+03 ln d + 3e+04, R² 1.000" for decay in (0.03, 0.3)]
    assert len(lines_of(figure, "complexity_over_steps")) == len(DISTORTIONS)


def test_a_fit_is_that_of_least_squares(rng):
    d, y = rng.uniform(0.1, 4, 6), rng.normal(size=6)
    a, b, share = log_fit(d, y)
    assert a == pytest.approx(np.cov(np.log(d), y)[0, 1] / np.var(np.log(d), ddof=1))
    assert a * np.log(d).mean() + b == pytest.approx(y.mean())
    assert share == pytest.approx(np.corrcoef(np.log(d), y)[0, 1] ** 2)
    assert np.isnan(log_fit(d, np.ones(6))[2])


def test_two_distortions_make_no_fit(results):
    with pytest.raises(NotDrawableError, match="fewer than three distortions"):
        FIGURES["rate_distortion"](results.isel(distortion=[0, 1]))


def test_sizes_that_hardly_differ_lie_inside_their_panel(results):
    growing = results.assign(naive_size=results["naive_size"] + results["step"] / 1e3)
    line = lines_of(FIGURES["complexity"](growing), "naive_size")[0]
    low, high = line.axes.get_ylim()
    assert low == 0
    assert high > 1.02 * line.get_ydata().max()
