import math

import numpy as np
import pytest
import xarray as xr
from synthetic_results import COLLAPSE, GROK, as_zip, diverge, make_results, paper_schedule

from collapse_jax.analysis import Thresholds, scaled_time, timescales
from collapse_jax.analysis.timescales import first_crossing


def one_run(steps, **curves):
    data = {k: ("step", np.asarray(v, np.float32)) for k, v in curves.items()}
    return xr.Dataset(data, coords={"step": np.asarray(steps)})


def test_crossing_between_log_points_is_the_closed_form():
    # Halfway in value is halfway in log(1 + step).
    taus = timescales(one_run([0, 9, 99, 999], train_accuracy=[0, 0.2, 0.4, 1.0]), Thresholds(0.7, 0.85, 0.01))
    assert float(taus["tau_fit"]) == pytest.approx(math.sqrt(100 * 1000) - 1, rel=1e-6)
    assert not taus["fit_censored"]
    assert float(taus["fit_bracket"]) == pytest.approx(10)


def test_rnc1_is_interpolated_in_its_logarithm():
    taus = timescales(one_run([9, 99], rnc1=[1e-1, 1e-3]), Thresholds(0.99, 0.85, 1e-2))
    assert float(taus["tau_collapse"]) == pytest.approx(math.sqrt(10 * 100) - 1, rel=1e-5)
    # A variance of exactly 0 has no logarithm: straight line in the value.
    taus = timescales(one_run([9, 99], rnc1=[2e-2, 0.0]), Thresholds(0.99, 0.85, 1e-2))
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
    tau, censored, bracket = first_crossing(values, np.array([0, 10, 100, 1000]), 0.8, ">=")
    np.testing.assert_array_equal(tau, [1000, 10, nan, 100])  # after a gap: the log point itself
    np.testing.assert_array_equal(censored, [True, True, True, False])
    assert np.isnan(bracket[:3]).all()


def test_infinite_neighbour_gives_the_log_point():
    tau, censored, _ = first_crossing(np.array([np.inf, 0.001]), np.array([10, 100]), 0.01, "<=", log=True)
    assert tau == 100
    assert not censored


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
        resolved = ~hidden & (taus[f"{phase}_bracket"] < 1.5)
        ratio = (taus[f"tau_{phase}"] / truth).where(resolved)
        assert int(resolved.sum()) >= 15
        assert float(abs(ratio - 1).max()) < 0.02
    # The schedule has no point between 140 and 2000: the bracket owns up to it.
    assert float(taus["fit_bracket"].min()) > 10
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
