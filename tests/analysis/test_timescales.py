import math

import numpy as np
import pytest
import xarray as xr
from synthetic_results import COLLAPSE, GROK, as_zip, diverge, make_results, paper_schedule

import collapse_jax
from collapse_jax.analysis import Thresholds, scaled_time, timescales
from collapse_jax.analysis.crossings import crossing
from collapse_jax.errors import ConfigError


def one_run(steps, **curves):
    data = {k: ("step", np.asarray(v, np.float32)) for k, v in curves.items()}
    return xr.Dataset(data, coords={"step": np.asarray(steps)})


def test_crossing_between_log_points_is_the_closed_form():
    # Halfway in value is halfway in log(1 + step).
    taus = timescales(one_run([0, 9, 99, 999], train_accuracy=[0, 0.2, 0.4, 1.0]), Thresholds(0.7, 0.85, 0.01))
    assert float(taus["tau_fit"]) == pytest.approx(math.sqrt(100 * 1000) - 1, rel=1e-6)
    assert not taus["fit_censored"]
    assert (float(taus["fit_lower"]), float(taus["fit_upper"])) == (99, 999)


def test_rnc1_is_interpolated_in_its_logarithm():
    taus = timescales(one_run([9, 99], rnc1=[1e-1, 1e-3], train_accuracy=[1, 1]), Thresholds(0.99, 0.85, 1e-2))
    assert float(taus["tau_collapse"]) == pytest.approx(math.sqrt(10 * 100) - 1, rel=1e-5)
    # A variance of exactly 0 has no logarithm: straight line in the value.
    taus = timescales(one_run([9, 99], rnc1=[2e-2, 0.0], train_accuracy=[1, 1]), Thresholds(0.99, 0.85, 1e-2))
    assert float(taus["tau_collapse"]) == pytest.approx(math.sqrt(10 * 100) - 1, rel=1e-5)


def test_step_zero_takes_part():
    steps = [0, 1, 10]
    between = timescales(one_run(steps, train_accuracy=[0.0, 1.0, 1.0]), Thresholds(train_accuracy=0.5))
    assert float(between["tau_fit"]) == pytest.approx(math.sqrt(2) - 1)
    at_once = timescales(one_run(steps, train_accuracy=[1.0, 1.0, 1.0], test_accuracy=[0, 1, 1]))
    assert float(at_once["tau_fit"]) == 0
    assert not at_once["fit_censored"]
    assert np.isnan(at_once["separation"])


def test_value_equal_to_the_threshold_counts_in_float32():
    for level in (0.7, 0.85, 0.99):
        taus = timescales(one_run([1, 10, 100], train_accuracy=[0, level, 1]), Thresholds(train_accuracy=level))
        assert float(taus["tau_fit"]) == 10


def test_first_crossing_wins_over_a_later_fall():
    taus = timescales(one_run([1, 10, 100, 1000], test_accuracy=[0.1, 0.9, 0.2, 0.9]))
    assert 1 < float(taus["tau_grok"]) < 10


def test_censored_runs_keep_a_lower_bound():
    nan = np.nan
    values = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, nan, nan], [nan] * 4, [0.1, nan, 0.9, nan]], np.float32)
    found = crossing(values, np.array([0, 10, 100, 1000]), 0.8, ">=")
    np.testing.assert_array_equal(found.steps[:3], [1000, 10, nan])
    np.testing.assert_array_equal(found.censored, [True, True, True, False])
    np.testing.assert_array_equal(found.lower, [1000, 10, nan, 0])
    np.testing.assert_array_equal(found.upper, [np.inf, np.inf, np.inf, 100])
    assert np.isnan(found.resolution[:3]).all()


def test_a_gap_widens_the_interval_and_the_line_goes_over_it():
    nan = np.nan
    found = crossing(np.array([0.1, nan, nan, 0.9]), np.array([0, 10, 100, 1000]), 0.5, ">=")
    assert (found.lower, found.upper) == (0, 1000)
    assert found.resolution == pytest.approx(1001)
    assert found.steps == pytest.approx(math.sqrt(1001) - 1)
    # Nothing is known before the first point with a value.
    first = crossing(np.array([nan, 0.9]), np.array([0, 10]), 0.5, ">=")
    assert (first.lower, first.steps, first.upper) == (0, 10, 10)


def times(steps, level=0.01, diverged_at=-1, **curves):
    results = one_run(steps, **curves).assign(diverged_at=diverged_at)
    return timescales(results, {"rnc1": level, "train_accuracy": 0.99, "test_accuracy": 0.8})


def test_nothing_collapses_before_the_fit_or_without_a_fall():
    steps, fitted = [0, 1, 10, 100, 1000], [0.1, 0.1, 0.5, 1, 1]
    low = times(steps, train_accuracy=fitted, rnc1=[0.001, 0.001, 0.002, 0.003, 0.004])
    assert not low["collapse_applicable"]  # there from the start: nothing fell
    assert np.isnan(low["tau_collapse"])
    assert not low["collapse_censored"]
    # Below at step 1, above at the fit, and really below at last.
    early = times(steps, train_accuracy=fitted, rnc1=[0.02, 0.001, 0.5, 0.1, 0.001])
    assert (float(early["collapse_lower"]), float(early["collapse_upper"])) == (100, 1000)
    assert float(early["tau_collapse"]) == pytest.approx(math.sqrt(101 * 1001) - 1, rel=1e-6)
    # It fell before the fit and stayed: it has collapsed when it has fitted.
    with_fit = times(steps, train_accuracy=fitted, rnc1=[0.5, 0.001, 0.001, 0.001, 0.001])
    for kind in ("tau_{}", "{}_lower", "{}_upper"):
        assert float(with_fit[kind.format("collapse")]) == float(with_fit[kind.format("fit")])
    # At 10 % accuracy nothing has collapsed, and no later step says that it has.
    never = times(steps, train_accuracy=[0.1] * 5, rnc1=[0.5, 0.001, 0.001, 0.001, 0.001])
    assert not never["collapse_applicable"]
    assert (float(never["collapse_lower"]), float(never["collapse_upper"])) == (1000, np.inf)


def test_what_a_diverging_run_shows_last_is_no_event():
    nan, steps = np.nan, [0, 1, 10, 100]
    bad = times(steps, diverged_at=50, train_accuracy=[1, 1, 1, nan], rnc1=[0.5, 0.5, 1e-9, nan])
    assert bad["collapse_censored"]
    assert float(bad["tau_collapse"]) == 1  # the last step that says it had not happened
    same = times(steps, train_accuracy=[1, 1, 1, nan], rnc1=[0.5, 0.5, 1e-9, nan])
    assert 1 < float(same["tau_collapse"]) < 10
    at_once = times([0, 1], diverged_at=1, train_accuracy=[0.1, nan], rnc1=[1e-3, nan])
    assert np.isnan(at_once["tau_collapse"])
    assert not at_once["collapse_applicable"]


def test_events_that_do_not_last_say_for_how_long_and_from_when_they_do():
    steps = [0, 1, 10, 100, 1000, 10_000]
    found = times(steps, test_accuracy=[0.1, 0.9, 0.2, 0.9, 0.9, 0.9])
    assert float(found["grok_held"]) == pytest.approx(4 / 5)
    assert (float(found["grok_lower"]), float(found["grok_upper"])) == (0, 1)
    assert (float(found["grok_lasting_lower"]), float(found["grok_lasting_upper"])) == (10, 100)
    assert 10 < float(found["tau_grok_lasting"]) < 100
    lost = times(steps, test_accuracy=[0.1, 0.9, 0.9, 0.9, 0.9, 0.2])
    assert lost["grok_lasting_censored"]
    assert float(lost["tau_grok_lasting"]) == 10_000
    kept = times(steps, test_accuracy=[0.1, 0.9, 0.9, np.nan, 0.9, np.nan])
    assert float(kept["grok_held"]) == 1
    assert float(kept["tau_grok_lasting"]) == float(kept["tau_grok"])


def test_crossings_are_those_of_a_loop(rng):
    """Against the definition, read point by point, on random curves with gaps."""
    steps = np.array([0, 1, 2, 5, 9, 20, 50, 99])
    values = np.round(rng.uniform(0, 1, (300, len(steps))), 1)
    values[rng.uniform(size=values.shape) < 0.2] = np.nan
    for lasting in (False, True):
        found = crossing(values, steps, 0.5, ">=", lasting=lasting)
        for run, curve in enumerate(values):
            known = [(t, v) for t, v in zip(steps, curve, strict=True) if not np.isnan(v)]
            after = [i for i, (_, v) in enumerate(known) if v < 0.5]
            start = after[-1] + 1 if lasting and after else 0
            hit = next((i for i in range(start, len(known)) if known[i][1] >= 0.5), None)
            if hit is None:
                assert found.upper[run] == np.inf
                assert found.lower[run] == known[after[-1]][0] if after else np.isnan(found.lower[run])
                continue
            assert found.upper[run] == known[hit][0]
            assert found.lower[run] == (known[hit - 1][0] if hit else 0)
            assert found.lower[run] <= found.steps[run] <= found.upper[run]
            assert found.held[run] == np.mean([v >= 0.5 for _, v in known[hit:]])


def test_infinite_neighbour_gives_the_log_point():
    found = crossing(np.array([np.inf, 0.001]), np.array([10, 100]), 0.01, "<=", log=True)
    assert (found.lower, found.steps, found.upper) == (10, 100, 100)


@pytest.mark.parametrize("shape", ["product", "zip"])
def test_known_times_are_recovered(shape):
    results = make_results()
    taus = timescales(as_zip(results) if shape == "zip" else results)
    rate = taus["learning_rate"] * taus["weight_decay"]
    for phase, constant in (("grok", GROK), ("collapse", COLLAPSE)):
        truth = (constant / rate).broadcast_like(taus[f"tau_{phase}"]).transpose(*taus[f"tau_{phase}"].dims)
        hidden = taus[f"{phase}_censored"]
        # Nothing beyond the last log step is seen, and everything before it is.
        np.testing.assert_array_equal(hidden, truth > 300_000)
        np.testing.assert_array_equal(taus[f"tau_{phase}"].values[hidden], 300_000)
        resolved = ~hidden & ((1 + taus[f"{phase}_upper"]) / (1 + taus[f"{phase}_lower"]) < 1.5)
        ratio = (taus[f"tau_{phase}"] / truth).where(resolved)
        assert int(resolved.sum()) >= 15
        assert float(abs(ratio - 1).max()) < 0.02
    # The schedule has no point between 140 and 2000.
    assert (float(taus["fit_lower"].max()), float(taus["fit_upper"].min())) == (140, 2000)
    assert taus["tau_fit"].dtype == np.float64
    for name in taus.data_vars:
        assert {"long_name", "units", "definition"} <= taus[name].attrs.keys(), name
    assert taus["tau_grok"].attrs["units"] == "steps"


def test_separation_is_a_ratio_and_a_bound_where_grokking_is_censored():
    taus = timescales(make_results())
    np.testing.assert_allclose(taus["separation"], taus["tau_grok"] / taus["tau_fit"])
    np.testing.assert_array_equal(taus["separation_censored"], taus["grok_censored"])


def test_diverged_and_unfinished_runs():
    results = diverge(make_results(), 9000, weight_decay=0.01, seed=2)
    taus = timescales(results).sel(weight_decay=0.01)
    assert bool(taus["grok_censored"].sel(seed=2))
    assert not taus["fit_censored"].any()
    assert float(taus["tau_grok"].sel(seed=2)) == 8000
    assert int(taus["grok_censored"].sum()) == 1

    early = timescales(make_results(done=20_000))
    assert float(early["tau_collapse"].max()) == 20_000
    assert bool(early["collapse_censored"].sel(weight_decay=0.001).all())


def test_missing_variables_and_no_steps_leave_phases_out():
    results = make_results(weight_decay=(0.1,), seed=(0,))
    assert "tau_collapse" not in timescales(results.drop_vars("rnc1"))
    assert not timescales(results.isel(step=slice(0, 0))).data_vars


def test_scaled_time():
    results = scaled_time(make_results(weight_decay=(0.1, 0.3), seed=(0,), learning_rate=(1e-3, 1e-2)))
    clock = results["scaled_time"]
    assert set(clock.dims) == {"learning_rate", "weight_decay", "step"}
    assert float(clock.sel(learning_rate=1e-2, weight_decay=0.3, step=2000)) == pytest.approx(6.0)
    assert clock.attrs["units"] == "1"
    zipped = scaled_time(as_zip(make_results(weight_decay=(0.1,), seed=(0, 1))))
    assert set(zipped["scaled_time"].dims) == {"run", "step"}
    with pytest.raises(ValueError, match="learning_rate"):
        scaled_time(results.drop_vars(["learning_rate", "scaled_time"]))


def test_schedule_of_the_builder_is_the_papers():
    steps = paper_schedule(300_000)
    assert {0, 29, 140, 2000, 300_000} <= set(steps.tolist())


@pytest.mark.parametrize("function", [collapse_jax.timescales, collapse_jax.slopes])
def test_a_path_is_no_results(function):
    with pytest.raises(ConfigError, match=r"'runs/mine': must be a dataset as collapse_jax\.\w+ returns it"):
        function("runs/mine")
