"""The figures of information: what they draw, and what they refuse."""

import numpy as np
import pytest
from figure_texts import check, note
from synthetic_information import add_information, add_layers
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
    "one_permutation": lambda r: r.drop_vars(
        [name for name in r.data_vars if "null_sd" in name or name.endswith("_p") or "_p_sigma" in name]
    ),
    "layers": lambda r: add_layers(r, 2),
    "without_nulls": lambda r: r.drop_vars([name for name in r.data_vars if "_null" in name]),
}


def lines_of(figure, name):
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_figures_draw(name, case, results):
    figure = FIGURES[name](CASES[case](results))
    check(figure)
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


def test_superfluous_shows_the_null_of_every_setting_and_what_it_explains(results):
    figure = FIGURES["superfluous"](results)
    name = "superfluous_information"
    nulls, steps = lines_of(figure, f"{name}_null"), lines_of(figure, name)[0].get_xdata()
    expected = results[f"{name}_null"].mean("seed").sel(step=steps)
    assert len(nulls) == 3
    for line, decay in zip(nulls, results["weight_decay"].values, strict=True):
        np.testing.assert_allclose(line.get_ydata(), expected.sel(weight_decay=decay))
    bands = [c for axes in figure.axes for c in axes.collections if c.get_gid() == f"{name}_null"]
    top = bands[0].get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(float(expected.isel(weight_decay=0).max()) + 0.01)  # 0.01: the spread
    assert "within classes" in note(figure)
    assert all(len(line.get_xdata()) == 0 for line in lines_of(figure, f"{name}_in_null"))
    changed = results.copy(deep=True)
    changed[f"{name}_p"].loc[{"weight_decay": 0.03, "seed": 1, "step": steps[2]}] = 0.2
    marks = lines_of(FIGURES["superfluous"](changed), f"{name}_in_null")
    assert [list(line.get_xdata()) for line in marks] == [[], [steps[2]], []]
    # Each of these would be evidence if it were the only one: there are dozens (Holm).
    results = results.assign({f"{name}_p": results[f"{name}_p"] * 0 + 0.01})
    marks = lines_of(FIGURES["superfluous"](results), f"{name}_in_null")
    assert all(len(line.get_xdata()) == len(steps) for line in marks)


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


@pytest.mark.parametrize("count", [1, 3])
def test_plane_has_a_row_for_every_layer(count, results):
    decay = results.isel(weight_decay=[0])
    layered = add_layers(decay, count)
    figure = FIGURES["information_plane_of_layers"](layered)
    check(figure)
    assert len(figure.axes) == 2 * count + 1  # codes and bins, and the colours
    rows = [axes for axes in figure.axes if axes.get_ylabel().startswith("codes")]
    assert [axes.get_ylabel().split("\n")[0] for axes in rows] == [
        f"codes, layer {layer + 1} of {count}" for layer in range(count)
    ]
    assert {axes.get_xlabel() for axes in rows} == {"I(Z;X) (nat)"}  # one name for all, which the row completes
    assert len({axes.get_xlim() for axes in rows}) == 1  # layers are compared on the same axes
    shown = [c for axes in rows for c in axes.collections if c.get_gid() == "layer_mi_zy"]
    mean = decay[["mi_zx", "mi_zy"]].mean("seed").squeeze().dropna("step")
    for above, dots in zip(reversed(range(count)), shown, strict=True):
        expected = np.stack([mean["mi_zx"], mean["mi_zy"]], axis=1) - 0.1 * above
        np.testing.assert_allclose(dots.get_offsets(), expected, rtol=1e-6)
    # The plane of the features is as it was: it may have been measured at more steps.
    plain = FIGURES["information_plane"](layered)
    assert [axes.get_ylabel().split("\n")[0] for axes in plain.axes[:-1]] == ["codes", "noise σ = 0.1", "nHSIC"]
    with pytest.raises(NotDrawableError, match="layer_mi_zx and layer_mi_zy"):
        FIGURES["information_plane_of_layers"](decay)


def test_plane_shows_the_spread_of_nulls(results):
    figure = FIGURES["information_plane"](results.isel(weight_decay=[0]))
    bars = [c for axes in figure.axes for c in axes.collections if c.get_gid() == "mi_zy_null_sd"]
    across = np.array([np.ptp(segment[:, 0]) for segment in bars[0].get_segments()])
    np.testing.assert_allclose(across, 0.02, rtol=1e-6)  # twice the spread, 0.01
