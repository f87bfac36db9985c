"""Rates, Turnbull curves and the test between settings, against closed forms, scipy and definitions."""

import itertools

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from synthetic_results import as_zip, diverge, make_results

from collapse_jax.analysis import tables, timescales, turnbull
from collapse_jax.analysis.summary import summarise
from collapse_jax.analysis.survival import survival, wilson
from collapse_jax.figures import FIGURES, NotDrawableError

INF = np.inf


def intervals(rng, count=25):
    """Times seen at random steps only, some of them not at all."""
    steps = np.unique(rng.integers(1, 60, 12)).astype(float)
    times = rng.exponential(30, count)
    lower = np.array([max([0.0, *steps[steps < time]]) for time in times])
    upper = np.array([min([INF, *steps[steps >= time]]) for time in times])
    return lower, upper


def likelihood(curve, lower, upper):
    inside = (lower[:, None] <= curve.left) & (curve.right <= upper[:, None])
    return inside @ curve.mass


def test_the_curve_of_right_censored_times_is_kaplan_meiers(rng):
    times, seen = rng.exponential(10, 40).round(1) + 0.1, rng.random(40) < 0.6
    found = turnbull.turnbull(times, np.where(seen, times, INF))
    expected = stats.ecdf(stats.CensoredData.right_censored(times, ~seen)).sf
    last = times[seen].max()
    at = expected.quantiles[expected.quantiles <= last]
    np.testing.assert_allclose(found.survival(at)[1], expected.evaluate(at), atol=1e-6)


def test_intervals_that_touch_share_no_time():
    found = turnbull.turnbull(np.array([0.0, 10, 10]), np.array([10.0, 100, 100]))
    np.testing.assert_allclose(found.mass, [1 / 3, 2 / 3], atol=1e-9)
    assert found.median == (10, 100)
    np.testing.assert_allclose(
        found.survival(np.array([0, 5, 10, 50, 100])), [[1, 2 / 3, 2 / 3, 0, 0], [1, 1, 2 / 3, 2 / 3, 0]]
    )
    never = turnbull.turnbull(np.array([5.0, 7]), np.array([INF, INF]))
    assert never.median == (7, INF)
    at_once = turnbull.turnbull(np.array([0.0, 0]), np.array([0.0, 10]))
    np.testing.assert_allclose(at_once.survival(np.array([0]))[1], 0.5)


def test_no_shift_of_mass_is_likelier_and_none_lies_elsewhere(rng):
    for _ in range(20):
        lower, upper = intervals(rng)
        found = turnbull.turnbull(lower, upper)
        assert found.mass.sum() == pytest.approx(1)
        assert (found.mass >= 0).all()
        # The derivative towards a mass at any one place, of an innermost interval or not, is not positive.
        share = likelihood(found, lower, upper)
        for place in np.linspace(0.5, 80, 300):
            assert np.mean(((lower < place) & (place <= upper)) / share) <= 1 + 1e-6


def test_the_curve_is_the_limit_of_expectation_maximisation(rng):
    lower, upper = intervals(rng)
    found = turnbull.turnbull(lower, upper)
    inside = (lower[:, None] <= found.left) & (found.right <= upper[:, None])
    mass = np.full(len(found.mass), 1 / len(found.mass))
    for _ in range(20_000):
        weight = inside * mass
        mass = (weight / weight.sum(axis=1, keepdims=True)).mean(axis=0)
    assert np.log(inside @ mass).sum() <= np.log(inside @ found.mass).sum() + 1e-9
    np.testing.assert_allclose(np.log(inside @ mass).sum(), np.log(inside @ found.mass).sum(), atol=1e-3)


@pytest.mark.parametrize(("seen", "runs"), [(0, 5), (3, 5), (5, 5), (28, 30)])
def test_wilson_ends_where_the_rate_is_one_and_a_half_thousandths_off(seen, runs):
    z = stats.norm.ppf(0.975)
    for end in wilson(seen, runs):
        assert abs(seen / runs - end) == pytest.approx(z * np.sqrt(end * (1 - end) / runs), abs=1e-12)


def test_scores_are_derivatives_of_the_likelihood(rng):
    lower, upper = intervals(rng)
    curve = turnbull.turnbull(lower, upper)
    before, after = curve.survival(lower)[1], curve.survival(upper)[1]
    found = turnbull.scores(lower, upper)
    assert found.sum() == pytest.approx(0, abs=1e-9)

    def log_likelihood(factor):  # a hazard that is exp(factor) times as high
        return np.log(before ** np.exp(factor) - after ** np.exp(factor))

    numeric = (log_likelihood(1e-5) - log_likelihood(-1e-5)) / 2e-5
    np.testing.assert_allclose(found, numeric - numeric.mean(), atol=1e-4)


def test_the_test_is_the_share_of_all_permutations_within_seeds():
    lower = np.array([0, 2, 4, 1, 3, 2, 5, 6.0])
    upper = lower + 1
    groups, seeds = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 1, 2, 3, 0, 1, 2, 3])
    values = turnbull.scores(lower, upper)

    def statistic(values):
        return values[groups == 0].sum() ** 2 / 4 + values[groups == 1].sum() ** 2 / 4

    every = []
    for swaps in itertools.product([False, True], repeat=4):
        order = np.array([run + 4 if swap else run for run, swap in enumerate(swaps)])
        every.append(statistic(np.concatenate([values[order], values[(order + 4) % 8]])))
    exact = np.mean(np.array(every) >= statistic(values) - 1e-9)
    found = turnbull.group_test(lower, upper, groups, seeds)
    assert found == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 2000))
    assert found == turnbull.group_test(lower[::-1], upper[::-1], groups[::-1], seeds[::-1]) or exact < 1
    assert np.isnan(turnbull.group_test(lower, upper, np.zeros(8), seeds))


def test_equal_settings_differ_as_often_as_the_test_says(rng, monkeypatch):
    monkeypatch.setattr(turnbull, "PERMUTATIONS", 99)
    groups, seeds = np.repeat(np.arange(3), 5), np.tile(np.arange(5), 3)
    found = []
    for _ in range(200):
        times = np.exp(rng.normal(size=5))[seeds] * np.exp(0.3 * rng.normal(size=15))
        lower = np.floor(3 * times)
        found.append(turnbull.group_test(lower, np.where(lower > 6, INF, lower + 1), groups, seeds))
    assert np.mean(np.array(found) <= 0.05) < 0.13
    assert 0.3 < np.mean(np.array(found) <= 0.5) < 0.7


def test_no_run_is_left_out_for_what_did_not_happen_to_it():
    results = make_results(weight_decay=(0.001, 0.01, 0.1), seed=(0, 1, 2), last=30_000, jitter=0.1)
    results = diverge(results, 1000, weight_decay=0.1, seed=2)
    fit, grok, collapse = survival(timescales(results))
    assert [(group.point["weight_decay"], group.seen, group.runs) for group in grok.groups] == [
        (0.001, 0, 3),
        (0.01, 0, 3),
        (0.1, 2, 3),
    ]
    # The run that diverged before is as likely to have grokked with either of the others.
    np.testing.assert_allclose(grok.groups[2].curve.mass, [1 / 2, 1 / 2], atol=1e-6)
    assert fit.groups[0].rate == 1
    assert collapse.p > 0
    low = results["rnc1"].where(results["weight_decay"] != 0.1, 1e-6)
    (*_, collapse) = survival(timescales(results.assign(rnc1=low)))
    assert collapse.groups[2].runs == 0  # there was nothing that could fall
    rows = tables.survival_rows(summarise(results.assign(rnc1=low)))
    assert ["tau_collapse", "0.1", "n/a", "n/a", "n/a"] in rows
    assert ["tau_grok", "0.001", "0 of 3", "0.00 [0.00, 0.56]", "> 30,000"] in rows


@pytest.mark.parametrize("shape", [lambda r: r, as_zip], ids=["product", "zip"])
def test_the_figure_has_a_curve_for_each_setting_and_rows_for_what_passes(shape):
    results = make_results(weight_decay=(0.01, 0.1, 0.3), seed=(0, 1, 2), jitter=0.2)
    figure = FIGURES["survival"](shape(results))
    figure.canvas.draw()
    curves = [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == "tau_grok"]
    assert len(curves) == 3
    for curve in curves:
        assert curve.get_ydata()[0] == 1
        assert (np.diff(curve.get_ydata()) <= 1e-12).all()
    dipping = results.assign(test_accuracy=results["test_accuracy"].where(results["step"] != 300_000, 0.1))
    below = FIGURES["survival"](shape(dipping))
    assert sum(axes.get_title("left").endswith("for good") for axes in below.axes) == 3
    lost = [line for axes in below.axes for line in axes.get_lines() if line.get_gid() == "tau_grok_lasting"]
    assert all((line.get_ydata() == 1).all() for line in lost)
    with pytest.raises(NotDrawableError, match="one run per setting"):
        FIGURES["survival"](shape(results.isel(seed=[0])))


def test_unfinished_and_empty_results_have_no_curve_to_fall():
    results = make_results(weight_decay=(0.1,), seed=(0, 1), last=3000)
    empty = results.where(results["step"] < 0).assign(diverged_at=xr.zeros_like(results["diverged_at"]) - 1)
    assert all(group.runs == 0 for found in survival(timescales(empty)) for group in found.groups)
