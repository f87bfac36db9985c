"""The table of events: what derives from it, extremes, preconditions, and whose thresholds are read."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest
import xarray as xr
from synthetic_results import as_zip, make_results

from collapse_jax.analysis import EVENTS, Event, Thresholds, slopes, tables, thresholds_of, timescales
from collapse_jax.analysis.crossings import extreme
from collapse_jax.analysis.groups import flat, groups_of, points_of, take
from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment import config
from collapse_jax.experiment.points import describe_point, file_name, point_text, symbols_text
from collapse_jax.figures import FIGURES

PEAK = Event(
    "peak",
    "complexity",
    "argmax",
    quantity="complexity",
    long_name="time of the highest complexity",
    title="Peak",
    past="at its peak",
    colour="#009e73",
    marker="v",
)


def with_complexity(results: xr.Dataset) -> xr.Dataset:
    """A hump over log(1 + step) around step 999, higher for larger seeds."""
    clock = np.log10(1 + results["step"])
    hump = (1 + results["seed"]) * np.exp(-((clock - 3) ** 2)) + 0 * results["rnc1"]
    return results.assign(complexity=hump.transpose(*results["rnc1"].dims).astype(np.float32))


def test_one_entry_is_seen_in_times_tables_slopes_and_figures(monkeypatch):
    monkeypatch.setitem(EVENTS, "peak", PEAK)
    results = with_complexity(make_results(weight_decay=(0.03, 0.1, 0.3), seed=(0, 1), last=3000))
    steps = results["step"].values
    taus = timescales(results)
    assert (taus["tau_peak"] == steps[np.abs(np.log1p(steps) - 3 * np.log(10)).argmin()]).all()
    assert not taus["peak_censored"].any()
    assert "tau_peak" in slopes(taus)["tau"]
    shown = tables.runs_table(results)
    assert {"tau_peak", "diverged"} <= set(shown.splitlines()[0].split())
    assert "complexity" in shown.splitlines()[0].split()
    assert "tau_peak: steps until the highest complexity" in shown
    assert "tau_peak" in tables.seeds_table(results)
    figure = FIGURES["timeline"](results)
    names = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any("at its peak at step" in name for name in names)
    assert {"complexity", "tau_peak"} <= {line.get_gid() for axes in figure.axes for line in axes.get_lines()}
    lines = [line.get_gid() for line in FIGURES["timescales"](results).axes[0].get_lines()]
    assert "fit_peak" in lines
    assert "theory_peak" not in lines


def test_extremes_lie_between_their_neighbours_and_are_bounds_at_the_end():
    nan = np.nan
    values = np.array([[1, 3, 2, 1], [1, 2, 3, nan], [3, 3, 1, 1], [nan] * 4, [1, np.inf, 2, 1]])
    found = extreme(values, np.array([0, 9, 99, 999]), "argmax")
    np.testing.assert_array_equal(found.steps, [9, 99, 0, nan, 99])
    np.testing.assert_array_equal(found.censored, [False, True, False, True, False])
    np.testing.assert_array_equal(found.lower, [0, 99, 0, nan, 0])
    np.testing.assert_array_equal(found.upper, [99, np.inf, 9, np.inf, 999])
    gaps = extreme(np.array([1, nan, 3, nan, 2]), np.array([0, 5, 9, 50, 99]), "argmax")
    assert (gaps.lower, gaps.steps, gaps.upper) == (0, 9, 99)
    np.testing.assert_array_equal(extreme(-values, np.array([0, 9, 99, 999]), "argmin").steps, found.steps)


def test_an_event_counts_from_the_one_before_it(monkeypatch):
    late = dataclasses.replace(EVENTS["collapse"], after="fit", falls=False, threshold=0.1)
    monkeypatch.setitem(EVENTS, "collapse", late)
    steps = [0, 10, 100, 1000]
    rnc1 = xr.DataArray(
        np.array([[0.01, 0.5, 0.5, 0.01], [0.01, 0.01, 0.01, 0.01]], np.float32), dims=("run", "step")
    )
    accuracy = xr.DataArray(np.array([[0.1, 1, 1, 1], [0.1] * 4], np.float32), dims=("run", "step"))
    results = xr.Dataset({"train_accuracy": accuracy, "rnc1": rnc1}, {"step": steps})
    taus = timescales(results)
    assert 100 < float(taus["tau_collapse"][0]) < 1000  # not step 0, before the fit
    assert taus["collapse_censored"].values.tolist() == [False, True]
    assert taus["tau_collapse"][1] == 1000  # not fitted by then, and so not collapsed once fitted
    assert taus["collapse_applicable"].values.tolist() == [True, False]
    assert "RNC1 ≤ 0.1, once fitted" in taus["tau_collapse"].attrs["definition"]
    assert "tau_collapse" not in timescales(results.drop_vars("train_accuracy"))


def test_results_are_read_with_their_own_thresholds_unless_others_are_given():
    own = Thresholds(train_accuracy=0.5, test_accuracy=0.3, rnc1=0.1)
    experiment = dataclasses.asdict(config.Experiment(thresholds=own))
    bare = make_results(weight_decay=(0.03, 0.1, 0.3), seed=(0,), last=3000)
    results = bare.assign_attrs(experiment=json.dumps(experiment))
    assert thresholds_of(results) == own
    assert thresholds_of(bare) == Thresholds()
    assert thresholds_of(results, Thresholds()) == Thresholds()
    for read in (timescales, tables.runs_table):
        assert str(read(results)) == str(read(results, own))
        assert str(read(results)) != str(read(results, Thresholds()))
    words = [text.get_text() for axes in FIGURES["timescales"](results).axes for text in axes.texts]
    assert any("Fit (train accuracy ≥ 0.5)" in text for text in words)
    some = {"test_accuracy": 0.85}
    assert thresholds_of(results, some) == dataclasses.replace(own, test_accuracy=0.85)
    xr.testing.assert_identical(timescales(results, some)["tau_fit"], timescales(results)["tau_fit"])
    assert not timescales(results, some)["tau_grok"].equals(timescales(results)["tau_grok"])
    with pytest.raises(ConfigError, match=r"thresholds.rnc1=2: must be in \(0, 1\]"):
        thresholds_of(results, {"rnc1": 2})
    with pytest.raises(ConfigError, match="did you mean 'rnc1'"):
        thresholds_of(results, {"rnc": 0.1})
    with pytest.raises(WorkdirError, match="its thresholds"):
        thresholds_of(bare.assign_attrs(experiment="{}"))


@pytest.mark.parametrize("shape", [lambda r: r, as_zip])
def test_runs_are_grouped_by_what_they_share(shape):
    results = shape(make_results(weight_decay=(0.1, 0.3), seed=(5, 7), learning_rate=(1e-3, 3e-3), last=100))
    points = points_of(results)
    assert len(points) == 8
    groups = groups_of(points)
    assert [len(runs) for _, runs in groups] == [2] * 4
    for point, runs in groups:
        part = take(results, runs)
        assert part["rnc1"].dims == ("run", "step")
        assert part["seed"].values.tolist() == [5, 7]
        assert {(w, r) for w, r in zip(part.weight_decay.values, part.learning_rate.values, strict=True)} == {
            (point["weight_decay"], point["learning_rate"])
        }
        np.testing.assert_array_equal(part["rnc1"], flat(results["rnc1"], results)[runs])
    assert len(groups_of(points, ("seed", "learning_rate"))) == 2
    without = [{"weight_decay": point["weight_decay"]} for point in points]
    assert len(groups_of(without)) == 8  # nothing says that they repeat each other


def test_points_have_one_name_for_each_purpose():
    point = {"weight_decay": 0.1, "optimizer": "my own", "width": 64}
    assert point_text(point) == "weight decay 0.1, optimizer my own, width 64"
    assert symbols_text(point) == "λ = 0.1, optimizer = my own, width = 64"
    assert describe_point(point) == "weight_decay=0.1, optimizer=my own, width=64"
    assert file_name(point) == "weight_decay=0.1_optimizer=my_own_width=64"


def test_the_documented_entry_is_an_event(monkeypatch):
    text = (pathlib.Path(__file__).parents[2] / "docs" / "extending.md").read_text()
    (block,) = re.findall(
        r"^```python\n(from collapse_jax.analysis import EVENTS.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    monkeypatch.setitem(EVENTS, "peak", PEAK)  # so that it is taken back
    exec(block, {})
    results = with_complexity(make_results(weight_decay=(0.1,), seed=(0,), last=3000)).rename(
        complexity="effective_rank"
    )
    taus = timescales(results)
    assert EVENTS["peak"].after == "fit"
    assert float(taus["tau_peak"].item()) > float(taus["tau_fit"].item())
