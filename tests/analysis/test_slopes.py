import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize
from scipy.stats import f, linregress, norm, t
from synthetic_results import PAPER_DECAYS, as_zip, make_results

from collapse_jax.analysis import Thresholds, slopes, tables, timescales
from collapse_jax.analysis.linearity import linearity
from collapse_jax.analysis.slopes import fits_of
from collapse_jax.analysis.summary import summarise
from collapse_jax.analysis.tobit import FLOOR, fit_line
from collapse_jax.figures import FIGURES, NotDrawableError

DECAYS = np.array(PAPER_DECAYS)
LIMIT = 1e5


def power_law(slope=-1.0, constant=300.0, seeds=5, spread=0.3, seed=0, limit=np.inf):
    """tau_grok = constant * weight_decay^slope with log-normal scatter, seen up to `limit`."""
    scatter = spread * np.random.default_rng(seed).normal(size=(len(DECAYS), seeds))
    tau = constant * DECAYS[:, None] ** slope * np.exp(scatter)
    dims = ("weight_decay", "seed")
    return xr.Dataset(
        {"tau_grok": (dims, np.minimum(tau, limit)), "grok_censored": (dims, tau > limit)},
        coords={"weight_decay": DECAYS, "seed": np.arange(seeds)},
    )


def line(taus, **options):
    return slopes(taus, **options).sel(tau="tau_grok")


def test_uncensored_is_least_squares():
    taus = power_law()
    fit = line(taus)
    expected = linregress(np.log(np.repeat(DECAYS, 5)), np.log(taus["tau_grok"].values.ravel()))
    assert float(fit["slope"]) == pytest.approx(expected.slope, abs=1e-12)
    assert float(fit["intercept"]) == pytest.approx(expected.intercept, abs=1e-12)
    assert float(fit["low"]) < float(fit["slope"]) < float(fit["high"])
    assert int(fit["censored"]) == 0
    assert int(fit["runs"]) == 30


def test_newton_meets_least_squares_when_the_censoring_carries_no_weight():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=20), rng.normal(size=20)
    censored = np.arange(20) == 19
    weights = np.ones((2, 20))
    weights[:, 19] = 1e-13
    with_newton = fit_line(x, y, censored, weights)
    closed = fit_line(x[:19], y[:19], censored[:19], np.ones((1, 19)))
    np.testing.assert_allclose(np.array(with_newton)[:, 0], np.array(closed)[:, 0], rtol=1e-6)


def test_censored_fit_maximises_the_likelihood():
    taus = power_law(limit=LIMIT)
    x, y = np.log(np.repeat(DECAYS, 5)), np.log(taus["tau_grok"].values.ravel())
    censored = taus["grok_censored"].values.ravel()
    assert 5 < censored.sum() < 15

    def loss(p):
        z = (y - p[0] - p[1] * x) / np.exp(p[2])
        return -np.where(censored, norm.logsf(z), norm.logpdf(z) - p[2]).sum()

    oracle = minimize(loss, [5.0, -0.7, -1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    fit = line(taus)
    assert float(fit["slope"]) == pytest.approx(oracle.x[1], abs=2e-4)
    assert float(fit["intercept"]) == pytest.approx(oracle.x[0], abs=1e-3)
    assert float(fit["sigma"]) == pytest.approx(np.exp(oracle.x[2]), rel=1e-3)


def test_censored_fit_recovers_the_truth_where_least_squares_does_not():
    found, naive = [], []
    for seed in range(100):
        taus = power_law(seed=seed, limit=LIMIT)
        found.append(float(line(taus)["slope"]))
        naive.append(linregress(np.log(np.repeat(DECAYS, 5)), np.log(taus["tau_grok"].values.ravel())).slope)
    assert abs(np.mean(found) + 1.0) < 0.02
    assert np.mean(naive) > -0.9  # the lower bounds flatten it


def test_seeds_are_left_out_whole():
    # A factor per seed that is common to all weight decays touches no slope.
    tau = 300 / DECAYS[:, None] * np.exp(np.random.default_rng(1).normal(size=5))[None, :]
    taus = power_law().assign(tau_grok=(("weight_decay", "seed"), tau))
    fit = line(taus)
    assert float(fit["slope"]) == pytest.approx(-1.0, abs=1e-12)
    assert float(fit["high"] - fit["low"]) < 1e-9


def test_exact_line_with_censoring_stays_finite():
    fit = line(power_law(spread=0.0, limit=LIMIT))
    assert float(fit["slope"]) == pytest.approx(-1.0, abs=1e-6)
    assert float(fit["sigma"]) == pytest.approx(FLOOR, rel=1e-3)


def test_undetermined_slopes_are_nan():
    every = power_law(limit=1.0)
    assert np.isnan(line(every)["slope"])
    assert int(line(every)["censored"]) == 30
    only_one_observed = power_law(spread=0.01, limit=1500.0)
    assert np.isnan(line(only_one_observed)["slope"])
    assert np.isnan(line(power_law().sel(weight_decay=[0.1]))["slope"])
    assert np.isnan(line(power_law().sel(weight_decay=0.1))["slope"])
    one_seed = line(power_law().isel(seed=[0]))
    assert np.isfinite(one_seed["slope"])
    assert np.isnan(one_seed["low"])
    assert one_seed["why"] == "one seed"
    assert "two values" in str(line(every)["why"].values)
    few = power_law(spread=0.01, seeds=2, limit=1500.0)  # seen at the largest weight decay alone, but for one run
    few["tau_grok"][4, 0], few["grok_censored"][4, 0] = 1400.0, False
    assert np.isfinite(line(few)["slope"])
    assert np.isnan(line(few)["low"])
    assert line(few)["why"] == "without one of the seeds there is no slope"


def test_no_weight_decay_and_missing_values_are_left_out():
    taus = power_law()
    zero = taus.isel(weight_decay=[0]).assign_coords(weight_decay=[0.0])
    fit = line(xr.concat([zero, taus], "weight_decay"))
    assert float(fit["slope"]) == pytest.approx(float(line(taus)["slope"]))
    assert int(fit["excluded"]) == 5
    assert int(fit["runs"]) == 30
    taus["tau_grok"][0, 0] = np.nan
    assert int(line(taus)["excluded"]) == 1


def test_theory_values_and_recovered_slopes_from_curves():
    # Weight decays whose times lie where the schedule is dense.
    table = slopes(timescales(make_results(weight_decay=(0.003, 0.01, 0.03), jitter=0.1)))
    np.testing.assert_array_equal(table["theory"], [0, -1, -1])
    np.testing.assert_allclose(table["slope"], [0, -1, -1], atol=0.06)
    assert list(table["tau"].values) == ["tau_fit", "tau_grok", "tau_collapse"]


def test_zip_grid_gives_the_product_grids_slopes():
    taus = timescales(make_results(jitter=0.2))
    zipped = timescales(as_zip(make_results(jitter=0.2)))
    for name in ("slope", "low", "high", "censored"):
        np.testing.assert_allclose(slopes(zipped)[name], slopes(taus)[name], atol=1e-9)


@pytest.mark.parametrize("shuffled", [False, True])
def test_runs_that_differ_in_more_than_the_axis_get_a_slope_per_setting(shuffled):
    product = make_results(weight_decay=(0.01, 0.1, 0.3), learning_rate=(3e-3, 1e-3), seed=(0, 1), jitter=0.1)
    zipped = as_zip(product)
    if shuffled:  # as in a shard, the runs of a setting need not be neighbours
        zipped = zipped.isel(run=np.random.default_rng(0).permutation(zipped.sizes["run"]))
    taus = timescales(zipped)
    found, expected = slopes(taus), slopes(timescales(product))
    assert found["slope"].dims == ("tau", "setting")
    assert found.attrs == expected.attrs
    order = [found["learning_rate"].values.tolist().index(rate) for rate in expected["learning_rate"]]
    for name in ("slope", "low", "high", "runs"):
        np.testing.assert_allclose(found[name][:, order], expected[name], atol=1e-9)
    for point, part, fit in fits_of(taus, found):
        assert set(part["learning_rate"].values) == {point["learning_rate"]}
        assert part.sizes["run"] == fit["runs"].sel(tau="tau_fit") == 6
    summary = summarise(zipped, Thresholds())
    assert len(summary.slopes) == 6
    assert {(*fit.point,) for fit in summary.slopes} == {("learning_rate",)}


def test_no_slope_where_another_hyperparameter_varies_with_the_axis():
    zipped = as_zip(make_results(weight_decay=(0.01, 0.1), seed=(0, 1)))
    zipped = zipped.assign_coords(learning_rate=("run", np.where(zipped["weight_decay"] == 0.1, 1e-3, 2e-3)))
    assert np.isnan(slopes(timescales(zipped))["slope"]).all()
    assert summarise(zipped, Thresholds()).slopes == []
    with pytest.raises(NotDrawableError, match="no two runs"):
        FIGURES["timescales"](zipped)


def test_other_dims_get_a_slope_each_and_other_axes_work():
    results = make_results(weight_decay=(0.01, 0.1), learning_rate=(1e-3, 3e-3), jitter=0.1)
    taus = timescales(results)
    assert slopes(taus)["slope"].dims == ("tau", "learning_rate")
    by_rate = slopes(taus, "learning_rate")
    assert by_rate["slope"].dims == ("tau", "weight_decay")
    assert np.isnan(slopes(taus, "seed")["theory"]).all()
    with pytest.raises(ValueError, match="axis='width'"):
        slopes(taus, "width")


def test_the_interval_is_t_times_the_jackknife_over_seeds(rng):
    taus = power_law(seeds=4, seed=int(rng.integers(2**31)))
    x, y = np.log(DECAYS), np.log(taus["tau_grok"].values)
    kept = [np.delete(np.arange(4), s) for s in range(4)]
    without = np.array([linregress(np.repeat(x, 3), y[:, keep].ravel()).slope for keep in kept])
    error = np.sqrt(3 / 4 * np.sum((without - without.mean()) ** 2))
    fit = line(taus, confidence=0.9)
    assert float(fit["high"] - fit["slope"]) == pytest.approx(t.ppf(0.95, 3) * error, rel=1e-9)
    assert float(fit["slope"] - fit["low"]) == pytest.approx(t.ppf(0.95, 3) * error, rel=1e-9)


def test_lack_of_fit_is_the_classical_ratio(rng):
    x, y = np.repeat(np.log(DECAYS), 5), rng.normal(size=30)
    found = linearity(x, y, np.zeros(30, bool))
    groups = y.reshape(6, 5)
    fitted = linregress(x, y)
    pure = np.sum((groups - groups.mean(axis=1, keepdims=True)) ** 2)
    lack = 5 * np.sum((groups.mean(axis=1) - fitted.intercept - fitted.slope * np.log(DECAYS)) ** 2)
    assert found.f == pytest.approx((lack / 4) / (pure / 24), rel=1e-4)  # `FLOOR` in both
    assert found.p == pytest.approx(f.sf(found.f, 4, 24))
    np.testing.assert_allclose(found.local, np.diff(groups.mean(axis=1)) / np.diff(np.log(DECAYS)), rtol=1e-9)


def test_lack_of_fit_is_that_of_the_likelihoods_where_points_are_censored(rng):
    x = np.repeat([0.0, 1.0, 2.0], 8)
    y = 1 + x + np.repeat([0.0, 0.8, 0.0], 8) + 0.3 * rng.normal(size=24)
    hidden = y > 2.9
    y = np.minimum(y, 2.9)

    def best(means, start):
        def loss(p):
            z = (y - means(p)) / np.exp(p[-1])
            return -np.where(hidden, norm.logsf(z), norm.logpdf(z) - p[-1]).sum()

        near = minimize(loss, start, method="BFGS", options={"gtol": 1e-8}).x
        # By values alone: differences of values, of which BFGS makes its gradient, end at 1e-7.
        return minimize(loss, near, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}).fun

    gain = best(lambda p: p[0] + p[1] * x, [1.0, 1.0, -1.0])
    gain -= best(lambda p: np.take(p[:3], x.astype(int)), [1.0, 2.0, 3.0, -1.0])
    n = (~hidden).sum()
    assert linearity(x, y, hidden).f == pytest.approx(np.expm1(2 * gain / n) * (n - 3), rel=1e-3)


def test_a_true_line_is_rejected_as_often_as_it_says(rng):
    x = np.repeat(np.log(DECAYS), 3)
    p = [linearity(x, -x + 0.3 * rng.normal(size=18), np.zeros(18, bool)).p for _ in range(400)]
    assert 0.01 < np.mean(np.array(p) < 0.05) < 0.11
    assert 0.4 < np.mean(np.array(p) < 0.5) < 0.6


def test_a_rejected_line_is_marked_where_its_slope_is_shown():
    bent = power_law(spread=0.05)
    bent["tau_grok"] = bent["tau_grok"] * np.exp(0.2 * np.log(bent["weight_decay"]) ** 2)
    fit = line(bent)
    assert float(fit["p"]) < 1e-6
    np.testing.assert_allclose(fit["between"], np.sqrt(DECAYS[1:] * DECAYS[:-1]))
    slope = np.diff(np.log(bent["tau_grok"]).mean("seed")) / np.diff(np.log(DECAYS))
    np.testing.assert_allclose(fit["local_slope"], slope, rtol=1e-6)
    results = make_results(weight_decay=(0.01, 0.1, 0.3), jitter=0.1)
    late = (results["weight_decay"] == 0.1) & (results["step"] < 30_000)
    results["train_accuracy"] = results["train_accuracy"].where(~late, 0.1)
    shown = tables.runs_table(results)
    assert "slope of tau_fit against weight decay" in shown
    rejected = [fit for fit in summarise(results).slopes if fit.rejected]
    assert [fit.tau for fit in rejected] == ["tau_fit", "tau_collapse"]  # which counts from the fit on
    assert all(
        f"slope of {fit.tau} against weight decay: {fit.slope:.2f} (no line: lack" in shown for fit in rejected
    )
    figure = FIGURES["timescales"](results)
    styles = {one.get_gid(): one.get_linestyle() for one in figure.axes[0].get_lines() if one.get_gid()}
    for fit in summarise(results).slopes:
        assert styles[f"fit_{fit.tau.removeprefix('tau_')}"] == (":" if fit.rejected else "-")
    assert "Dotted lines are rejected" in figure._supxlabel.get_text()
