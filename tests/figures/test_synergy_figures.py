"""The figures of synergy and of everything: what they draw, and what they refuse."""

import numpy as np
import pytest
import xarray as xr
from figure_texts import check, note
from synthetic_families import HIGH, LOW, with_synergy
from synthetic_results import as_zip, diverge, make_results, retire

from collapse_jax.analysis.order import order
from collapse_jax.figures import FIGURES, NotDrawableError
from collapse_jax.figures.everything import pick_setting, reduced


@pytest.fixture(scope="module")
def results():
    part = make_results(weight_decay=(0.03, 0.3), seed=(0, 1, 2), jitter=0.1, noise=0.003, last=100_000)
    return with_synergy(part)


CASES = {
    "product": lambda r: r,
    "zip": as_zip,
    "one_run": lambda r: r.isel(seed=[0], weight_decay=[1]),
    "diverged": lambda r: diverge(r, 9000, weight_decay=0.3, seed=1),
    "alone": lambda r: r[["synergy", "redundancy", "diverged_at"]],
}


@pytest.mark.parametrize("name", ["synergy", "synergy_phases", "everything"])
@pytest.mark.parametrize("case", CASES)
def test_figures_draw(name, case, results):
    figure = FIGURES[name](CASES[case](results))
    check(figure)
    assert figure._suptitle.get_text()


def drawn(figure, name):
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == name]


def test_bits_and_nulls_are_those_of_the_results_and_what_does_not_fit_is_named(results):
    figure = FIGURES["synergy"](results)
    mean = results["synergy"].isel(weight_decay=0).mean("seed").dropna("step")
    np.testing.assert_allclose(drawn(figure, "synergy")[0].get_ydata(), mean.values[1:], rtol=1e-5)
    assert len(drawn(figure, "synergy_null")) == len(drawn(figure, "synergy_spectrum_null")) == 2
    assert "Faint, does not fit: λ = 0.3." in note(figure)
    alphas = [line.get_alpha() for line in drawn(figure, "synergy")]
    assert alphas[0] == 1 > alphas[1]


def test_nulls_are_taken_of_the_runs_that_the_bits_are_taken_of(results):
    """A run that retires keeps its last value in both: they do not part where it does."""
    at = int(results["step"][-1] // 3)
    early = retire(results, {(0.03, 0): at})
    for name in ("synergy", "synergy_null"):
        array = early[name].sel(weight_decay=0.03).dropna("step", how="all")
        kept = array.transpose("seed", "step").to_pandas().ffill(axis=1).mean()
        found = drawn(FIGURES["synergy"](early), name)[0].get_ydata()
        np.testing.assert_allclose(found, kept.values[1:], rtol=1e-5)


def test_phases_are_cut_where_the_curves_change(results):
    figure = FIGURES["synergy_phases"](results)
    known = results["step"].values[::4]
    for axes in figure.axes[::2]:
        cuts = [line.get_xdata()[0] for line in axes.get_lines() if line.get_gid() == "change"]
        assert len(cuts) == 2
        for cut, at in zip(cuts, (LOW, HIGH), strict=True):
            assert known[known < at].max() <= cut <= known[known >= at].min()


def test_a_phase_of_one_step_is_named_by_it(results):
    """The redundancy leaps at the last measured step."""
    last = results["step"].values[::4][-1]
    leap = results["redundancy"] + 50 * (results["step"] == last)
    figure = FIGURES["synergy_phases"](results.assign(redundancy=leap))
    assert figure.axes[1].get_legend().get_texts()[-1].get_text() == f"{last:,.0f}"


def test_rows_of_everything_are_in_the_order_of_their_moves(results):
    figure = FIGURES["everything"](results, run={"weight_decay": 0.03})
    runs = reduced(pick_setting(results, None, {"weight_decay": 0.03}).runs, ("synergy", "redundancy", "rnc1"))
    moves = {m.variable: m for m in order(runs, {"synergy": False, "redundancy": False, "rnc1": True})}
    shown = {
        line.get_gid().removeprefix("move_"): line.get_xdata()[0]
        for axes in figure.axes
        for line in axes.get_lines()
        if str(line.get_gid()).startswith("move_")
    }
    assert list(shown.values()) == sorted(shown.values())
    assert {"train_accuracy", "test_accuracy", "rnc1", "weight_norm", "synergy", "redundancy"} <= shown.keys()
    for name, move in moves.items():
        assert shown[name] == pytest.approx(move.median)
    assert shown["redundancy"] == pytest.approx(LOW, rel=0.8)  # one step in four is known


def test_other_axes_of_a_variable_are_averaged_and_the_distortion_is_the_one_nearest_to_1(results):
    runs = pick_setting(results, None, {"weight_decay": 0.3}).runs
    distortion = xr.DataArray([4.0, 0.9, 0.1], dims="distortion", coords={"distortion": [4.0, 0.9, 0.1]})
    runs = runs.assign(
        complexity=runs["rnc1"] * distortion, rank=runs["rnc1"] * xr.DataArray([1.0, 3.0], dims="matrix")
    )
    found = reduced(runs, ("complexity", "rank", "nothing"))
    expected = runs["rnc1"].transpose("run", "step")
    xr.testing.assert_allclose(found["complexity"], 0.9 * expected)
    xr.testing.assert_allclose(found["rank"], 2 * expected)


@pytest.mark.parametrize("name", ["synergy", "synergy_phases"])
def test_what_is_missing_is_said(name, results):
    with pytest.raises(NotDrawableError, match="the measure synergy is not in the results"):
        FIGURES[name](results[["rnc1"]])


def test_everything_says_what_it_cannot_draw(results):
    for run, message in (({"weight_decay": 7.0}, "no run has"), ({"width": 1}, "'width' is not a coordinate")):
        with pytest.raises(NotDrawableError, match=message):
            FIGURES["everything"](results, run=run)
    with pytest.raises(NotDrawableError, match=r"none of .* is in the results"):
        FIGURES["everything"](results[["diverged_at"]])
    with pytest.raises(NotDrawableError, match="nothing moves"):
        FIGURES["everything"](results[["rnc1", "diverged_at"]].map(lambda v: 0 * v))
