"""Runs that a stop rule ended, as tables, time scales, figures and reports see them."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from figure_texts import note
from report_pages import DECAYS, LAST, SEEDS, THRESHOLDS, experiment_of, one_figure, write
from synthetic_results import diverge, join_parts, make_results, retire

from collapse_jax.analysis import tables, timescales
from collapse_jax.analysis.groups import at_the_end, carried, take
from collapse_jax.analysis.quantities import quantity
from collapse_jax.analysis.summary import summarise
from collapse_jax.experiment.stopping import Stop
from collapse_jax.figures import FIGURES
from collapse_jax.figures.notes import progress_note
from collapse_jax.reporting.cautions import cautions
from collapse_jax.reporting.page import headline
from collapse_jax.reporting.sweeps import load
from collapse_jax.workdir.results import reached_step

__all__ = ["one_figure"]

AT = {(0.3, 1): 1000, (0.3, 2): 1400, (0.1, 1): 2000}  # and one run that goes on to the end


@pytest.fixture
def whole():
    return make_results(DECAYS, SEEDS, last=LAST)


@pytest.fixture
def results(whole):
    return retire(whole, AT)


def test_times_are_those_of_the_curves_until_the_run_retired(whole, results):
    """What came later is censored at the last step, what came before is as it was."""
    found = timescales(results, THRESHOLDS)
    for (decay, seed), at in AT.items():
        run = {"weight_decay": decay, "seed": seed}
        cut = timescales(whole.sel(run).isel(step=whole.step.values <= at), THRESHOLDS)
        for name in cut.data_vars:
            np.testing.assert_array_equal(found[name].sel(run), cut[name], err_msg=f"{name} {run}")
    lost = found.sel(weight_decay=0.3, seed=1)
    assert lost.collapse_censored
    assert lost.tau_collapse == lost.collapse_lower == 1000
    assert not timescales(whole, THRESHOLDS).sel(weight_decay=0.3, seed=1).collapse_censored


def test_tables_have_the_last_step_and_the_values_of_that_step(whole, results):
    summary = summarise(results, THRESHOLDS)
    assert summary.retired_at.tolist() == [1000, 1400, 2000, -1]
    assert summary.reached.tolist() == [1000, 1400, 2000, LAST]
    for run, ((decay, seed), at) in enumerate(AT.items()):
        expected = whole.test_accuracy.sel(weight_decay=decay, seed=seed, step=at)
        assert summary.final["test_accuracy"][run] == quantity(results, "test_accuracy").values[run] == expected
    header, *rows = tables.run_rows(summary)
    assert header[-2:] == ["diverged", "retired"]
    assert [row[-1] for row in rows] == ["at 1000", "at 1400", "at 2000", "-"]
    assert "retired: ended by the stop rule" in tables.both_tables(results, THRESHOLDS)
    assert "retired" not in tables.both_tables(whole, THRESHOLDS)


def test_a_run_that_diverged_is_no_retired_one(results):
    """It is trained no more either, and its step is in the results."""
    both = diverge(results, 500, weight_decay=0.3, seed=1)
    assert summarise(both, THRESHOLDS).retired_at.tolist() == [-1, 1400, 2000, -1]
    assert reached_step(both) == LAST


def test_a_sweep_whose_runs_have_retired_is_finished(tmp_path, results):
    rule = Stop(events=("fit", "grok"))
    sweep = load([write(tmp_path / "w", results, experiment_of(stop=rule))])[0]
    assert sweep.unfinished == []
    assert headline(sweep).endswith("finished, 3 retired by the stop rule.")
    said = [line for line in cautions(sweep) if "retired" in line]
    assert len(said) == 1
    assert said[0].startswith("3 of 4 runs retired at steps 1,000 to 2,000 by the stop rule (fit, grok): ")
    assert "What had not come by then of tau_collapse is a lower bound" in said[0]
    everything = dataclasses.replace(rule, events=("fit", "grok", "collapse"))
    sweep = load([write(tmp_path / "v", results, experiment_of(stop=everything))])[0]
    assert not any("What had not come" in line for line in cautions(sweep))


def test_progress_knows_retired_runs_from_late_ones(whole, results):
    all_retired = retire(whole, {(decay, seed): 1000 for decay in DECAYS for seed in SEEDS})
    late = results.assign({name: results[name].where(results.step <= 2500) for name in ("rnc1", "test_accuracy")})
    late = late[["rnc1", "test_accuracy", "diverged_at", "retired_at"]]
    assert progress_note(results) == progress_note(all_retired) == ""
    assert reached_step(results) == reached_step(all_retired) == LAST
    assert "Not finished" in progress_note(late)
    assert reached_step(late) < LAST


def test_figures_mark_where_runs_end(results):
    figure = FIGURES["accuracy"](results, THRESHOLDS)
    said = note(figure)
    assert "3 of 4 runs retired by the stop rule: a bar marks their last value, which they keep in the mean" in said
    marks = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "|"]
    ends = np.array([[float(line.get_xdata()[0]), float(line.get_ydata()[0])] for line in marks])
    for (decay, seed), at in AT.items():
        value = float(results.test_accuracy.sel(weight_decay=decay, seed=seed, step=at))
        assert np.isclose(ends, [at, value]).all(1).any()
    plt.close(figure)
    run = results.sel(weight_decay=[0.3], seed=[2])
    figure = FIGURES["timeline"](run, THRESHOLDS)
    assert "The stop rule ended the run at step 1,400." in note(figure)
    plt.close(figure)


def test_the_end_of_a_retired_run_is_its_last_value(whole, results):
    """Also of a variable with an axis of its own that is measured at few steps."""
    some = results.step.isin([0, 900, 1300, 1900, LAST])
    layered = xr.concat([whole.rnc1, 2 * whole.rnc1], "layer").where(some & results.rnc1.notnull())
    end = at_the_end(results.assign(layered=layered))
    for (decay, seed), at in AT.items():
        run = {"weight_decay": decay, "seed": seed}
        assert end.rnc1.sel(run) == whole.rnc1.sel(run | {"step": at})
        last = layered.step.values[some.values & (layered.step.values <= at)].max()
        np.testing.assert_array_equal(end.layered.sel(run), layered.sel(run | {"step": last}))
    on = {"weight_decay": 0.1, "seed": 2}
    assert end.rnc1.sel(on) == whole.rnc1.sel(on).isel(step=-1)
    xr.testing.assert_identical(at_the_end(whole), whole.isel(step=-1))


def test_means_hold_runs_that_retired_as_long_as_others_go_on(whole, results):
    some = results.step.isin([0, 900, 1300, 1900, LAST])
    rare = whole.rnc1.where(some & results.rnc1.notnull())
    runs = take(results.assign(rare=rare), [0, 1])  # of weight decay 0.3: none of them goes on beyond 1400
    for name in ("rnc1", "rare"):
        held, curve = carried(runs, name), runs[name]
        for run, at in enumerate((1000, 1400)):
            own, kept = curve.isel(run=run), held.isel(run=run)
            np.testing.assert_array_equal(kept.where(runs.step <= at), own.where(runs.step <= at))
            last = own.values[np.flatnonzero(own.notnull().values)[-1]]
            measured = runs.step.values[curve.notnull().any("run").values]
            later = [step for step in measured if step > at]
            assert bool(later) == (at == 1000)
            assert (kept.sel(step=later) == last).all()
            assert kept.notnull().sum() == own.notnull().sum() + len(later)
    xr.testing.assert_identical(carried(whole, "rnc1"), whole.rnc1)
    on = take(results, [2, 3])  # one of them goes on to the end
    assert carried(on, "rnc1").notnull().all()


def test_a_share_of_runs_is_drawn_while_one_is_looked_at(results):
    """No run of weight decay 0.3 was looked at after step 1400, and RNC1 has met its level in none of them."""
    figure = FIGURES["survival"](results, dataclasses.replace(THRESHOLDS, rnc1=1e-6))
    ends = sorted(
        line.get_xdata()[-1] for axes in figure.axes for line in axes.lines if line.get_gid() == "tau_collapse"
    )
    assert ends == [1400, LAST]
    plt.close(figure)


def test_parts_with_and_without_retired_runs_are_joined(whole, results):
    joined = join_parts({"width": (1, 2)}, [({"width": 1}, results), ({"width": 2}, whole)])
    assert joined.retired_at.sel(width=1).values.ravel().tolist() == [1000, 1400, 2000, -1]
    assert (joined.retired_at.sel(width=2) == -1).all()
