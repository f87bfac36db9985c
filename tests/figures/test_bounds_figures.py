"""The figures of bounds and of balancedness."""

import numpy as np
import pytest
from figure_texts import check, note
from synthetic_bounds import with_balancedness, with_bounds
from synthetic_results import as_zip, diverge, make_results, retire

from collapse_jax.figures import FIGURES, NotDrawableError
from collapse_jax.figures.balancedness import deviation, law, relative

CASES = {
    "product": lambda r: r,
    "zip": as_zip,
    "one_seed": lambda r: r.isel(seed=[0]),
    "no_seed": lambda r: r.isel(seed=0),
    "one_run": lambda r: r.isel(seed=0, weight_decay=1),
    "unfinished": lambda r: r.where(r["step"] <= 20_000).assign(diverged_at=r["diverged_at"]),
    "diverged": lambda r: diverge(r, 9000, weight_decay=0.3, seed=1),
    "never_healthy": lambda r: diverge(r, 0, weight_decay=0.3),
    "no_decay": lambda r: make_results(weight_decay=(0.0, 0.03), seed=(0, 1)),
    "rates": lambda r: make_results(weight_decay=(0.03, 0.3), seed=(0, 1), learning_rate=(1e-3, 3e-3)),
}


@pytest.fixture(scope="module")
def results():
    return make_results(weight_decay=(0.003, 0.03, 0.3), seed=(0, 1, 2), jitter=0.2)


def gids(axes, name):
    return [line for line in axes.get_lines() if line.get_gid() == name]


@pytest.mark.parametrize("case", CASES)
def test_figures_draw(case, results):
    results = CASES[case](results)
    for name, add in (("bounds", with_bounds), ("balancedness", with_balancedness)):
        figure = FIGURES[name](add(results))
        check(figure)
        assert figure._suptitle.get_text()


def test_what_is_missing_is_said(results):
    with pytest.raises(NotDrawableError, match="generalisation and collapse_bounds"):
        FIGURES["bounds"](results)
    with pytest.raises(NotDrawableError, match="balancedness"):
        FIGURES["balancedness"](results)
    for name, add in (("bounds", with_bounds), ("balancedness", with_balancedness)):
        with pytest.raises(NotDrawableError, match="step"):
            FIGURES[name](add(results).isel(step=[0]))
    part = with_bounds(results)[["test_error_bound", "diverged_at"]]
    figure = FIGURES["bounds"](part)
    assert [axes.get_title("left") for axes in figure.axes] == ["Test error: Theorem 3.2"]


def test_bounds_lie_above_the_truth_and_keep_their_steps(results):
    figure = FIGURES["bounds"](with_bounds(results, every=10))
    error = figure.axes[0]
    truth, bound = gids(error, "test_error")[0], gids(error, "test_error_bound")[0]
    assert len(bound.get_xdata()) < len(truth.get_xdata()) / 5  # snapshots are fewer than log steps
    assert np.isfinite(bound.get_ydata()).all()  # and joined by a line without gaps
    at = np.isin(truth.get_xdata(), bound.get_xdata())
    np.testing.assert_allclose(bound.get_ydata() / truth.get_ydata()[at], 40, rtol=1e-5)
    assert "condition of its theorem" in note(figure)
    assert "1, above which" in note(figure)


def test_means_of_balancedness_end_where_the_first_run_retires(results):
    """The law goes on; a last value that is kept would leave it, and a mean over the others jump."""
    whole = with_balancedness(results, error=0.02, floor=0.0)
    decay, seed = (float(whole["weight_decay"][0]), int(whole["seed"][0]))
    at = int(whole["step"][len(whole["step"]) // 2])
    ended, free = (FIGURES["balancedness"](r) for r in (retire(whole, {(decay, seed): at}), whole))
    every = ([line for axes in figure.axes for line in gids(axes, "relative")] for figure in (ended, free))
    curves = [[line for line in found if line.get_linestyle() != "None"] for found in every]  # no marks of ends
    for cut, line in zip(*curves, strict=True):
        x, count = cut.get_xdata(), len(cut.get_xdata())
        np.testing.assert_array_equal(cut.get_ydata(), line.get_ydata()[:count])
        assert x.max() <= at or count == len(line.get_xdata())
    assert any(len(cut.get_xdata()) < len(line.get_xdata()) for cut, line in zip(*curves, strict=True))


def test_balancedness_against_theory(results):
    figure = FIGURES["balancedness"](with_balancedness(results, error=0.02, floor=0.0))
    assert [a.get_title("left") for a in figure.axes[:3]] == [
        "Layers 1 and 2 (per neuron, ReLU)",
        "Layers 2 and 3 (per neuron, ReLU)",
        "Layers 3 and 4 (matrix, linear)",
    ]
    measured, theory = gids(figure.axes[0], "relative")[2], gids(figure.axes[0], "theory")[2]
    np.testing.assert_allclose(theory.get_ydata(), (1 - 3e-4) ** (2 * theory.get_xdata()), rtol=1e-9)
    early = theory.get_ydata() > 1e-9
    np.testing.assert_allclose(measured.get_ydata()[early] / theory.get_ydata()[early], 1.02, rtol=1e-5)
    assert "left to right: 2 %, 2 %, 2 %." in note(figure)
    against = gids(figure.axes[3], "measured")[2]
    np.testing.assert_allclose(against.get_xdata()[1:], theory.get_ydata(), rtol=1e-9)


@pytest.mark.parametrize(
    ("fields", "exact", "why"),
    [
        ({}, [True, True, True], "matrix, linear"),
        ({"last_layer_act": True}, [True, True, True], "per neuron, ReLU"),
        ({"activation": "gelu"}, [False, False, True], "matrix, linear"),
        ({"optimizer": "adamw"}, [False, False, False], "matrix, linear, adamw"),
        ({"momentum": 0.9}, [False, False, False], "matrix, linear, sgd with momentum"),
    ],
)
def test_laws_follow_from_the_config(results, fields, exact, why):
    import json

    results = with_balancedness(results, **fields)
    laws = [law(json.loads(results.attrs["experiment"]), pair, 3) for pair in range(3)]
    assert [rule.exact for rule in laws] == exact
    assert laws[-1].why == why
    text = note(FIGURES["balancedness"](results))
    assert ("Descriptive: no conservation law" in text) == (not any(exact))
    assert ("Other activations: descriptive" in text) == (any(exact) and not all(exact))
    assert not law({}, 0, 3).exact


def test_relative_and_deviation_by_hand(results):
    results = with_balancedness(results, error=0.5, floor=0.0).isel(weight_decay=2)
    steps, measured, theory = relative(results.transpose("seed", ..., "step"), "imbalance", 0)
    assert measured.shape == (3, len(steps))
    np.testing.assert_allclose(measured[:, 0], 1)
    assert deviation(measured, theory) == pytest.approx(0.5)
    assert np.isnan(deviation(measured * np.nan, theory))
