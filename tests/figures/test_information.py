"""The figures of information: what they draw, and what they refuse."""

import numpy as np
import pytest
from synthetic_information import add_information
from synthetic_results import as_zip, diverge, make_results

from collapse_jax.figures import FIGURES, NotDrawableError

NAMES = ("superfluous", "information_plane", "sandwich")


@pytest.fixture(scope="module")
def results():
    return add_information(make_results(weight_decay=(0.003, 0.03, 0.3), seed=(0, 1, 2), jitter=0.2, noise=0.01))


CASES = {
    "product": lambda r: r,
    "zip": as_zip,
    "one_run": lambda r: r.isel(seed=[0], weight_decay=[1]),
    "diverged": lambda r: diverge(r, 9000, weight_decay=0.3, seed=1),
    "one_family": lambda r: r.drop_vars([name for name in r.data_vars if "nhsic" in name or "mi_z" in name]),
    "without_nulls": lambda r: r.drop_vars([name for name in r.data_vars if "_null" in name]),
}


def lines_of(figure, name):
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_figures_draw(name, case, results):
    figure = FIGURES[name](CASES[case](results))
    figure.canvas.draw()  # warnings are errors
    assert figure._suptitle.get_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_said(name, results):
    with pytest.raises(NotDrawableError, match=r"in the results"):
        FIGURES[name](results[["rnc1", "diverged_at"]])
    with pytest.raises(NotDrawableError, match="no value at any step"):
        FIGURES[name](results.where(results["step"] < 0))


def test_superfluous_has_curves_nulls_and_the_variance(results):
    figure = FIGURES["superfluous"](results)
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["Mutual information of codes", "Noisy channel, σ = 0.1", "nHSIC", "Within-class variance"]
    curves = lines_of(figure, "superfluous_information")
    assert len(curves) == 3
    # Snapshots are rarer than log steps: a curve joins what was measured.
    assert all(np.isfinite(line.get_ydata()).all() for line in curves)
    assert len(curves[0].get_xdata()) < len(lines_of(figure, "rnc1")[0].get_xdata()) / 3
    (null,) = lines_of(figure, "superfluous_information_null")
    np.testing.assert_allclose(null.get_ydata(), 0, atol=0.05)


def test_sandwich_keeps_the_order_of_its_bounds(results):
    figure = FIGURES["sandwich"](results)
    assert [axes.get_title("left") for axes in figure.axes[:3]] == ["σ = 0.03", "σ = 0.1", "σ = 0.3"]
    for estimate, log_det, trace in zip(
        *(lines_of(figure, f"{name}_sigma010") for name in ("noisy_zx_given_y", "log_det_bound", "trace_bound")),
        strict=True,
    ):
        assert np.all(estimate.get_ydata() <= log_det.get_ydata() * 1.05)
        assert np.all(log_det.get_ydata() <= trace.get_ydata() * 1.001)


def test_plane_shows_at_most_six_weight_decays_and_their_nulls():
    many = add_information(make_results(weight_decay=tuple(np.geomspace(1e-3, 0.3, 9)), seed=(0,)))
    figure = FIGURES["information_plane"](many)
    assert len(figure.axes) == 3 * 6 + 1
    dots = {c.get_gid() for axes in figure.axes for c in axes.collections}
    assert {"mi_zy", "mi_zy_null", "nhsic_zy_null"} <= dots
