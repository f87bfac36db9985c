"""The figures of what layers keep: their points are the numbers of the results."""

import numpy as np
import pytest
import xarray as xr
from figure_texts import check
from synthetic_families import schemes
from synthetic_results import diverge, make_results

from collapse_jax.figures import FIGURES, NotDrawableError

NAMES = ("layer_planes", "layer_profile", "last_layer")
LAYERS = 3


@pytest.fixture(scope="module")
def results():
    return schemes()


def lines_of(figure, name):
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == name]


CASES = {
    "schemes": lambda r: r,
    "one_program": lambda r: r.isel(scheme=0),
    "one_run": lambda r: r.isel(seed=[0]),
    "diverged": lambda r: diverge(r, 0, scheme="layerwise"),
    "shallow": lambda r: r.assign(
        {n: r[n].where((r["scheme"] == "end_to_end") | (r["layer"] < 2)) for n in r if "layer" in r[n].dims}
    ),
    "one_kernel": lambda r: r.drop_vars([name for name in r.data_vars if name.endswith("_free")]),
    "without_nulls": lambda r: r.drop_vars([name for name in r.data_vars if "_null" in name]),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", CASES)
def test_figures_draw(name, case, results):
    results = results.assign_coords(layer=np.arange(LAYERS))
    figure = FIGURES[name](CASES[case](results))
    check(figure)
    assert figure._suptitle.get_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_said(name, results):
    with pytest.raises(NotDrawableError, match=r"of the measure layerwise\) is not in the results"):
        FIGURES[name](make_results())
    with pytest.raises(NotDrawableError, match="no value at any step"):
        FIGURES[name](results.where(results["step"] < 0))


def test_planes_have_a_panel_per_scheme_a_row_per_kernel_and_a_line_per_layer(results):
    figure = FIGURES["layer_planes"](results)
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["scheme = end_to_end", "scheme = layerwise"] * 2
    assert [axes.get_ylabel().splitlines()[0] for axes in figure.axes[::2]] == [
        "centred",
        "centred, median bandwidth, m = 64",
    ]
    ways = lines_of(figure, "layer_nhsic_zy")
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in ways] == [
        (50, 5),
        (40, 5.5),
        (30, 6),
        (50, 5),
        (40, 5),
        (30, 5),
    ]
    crosses = lines_of(figure, "layer_nhsic_zy_null_free")
    assert [(line.get_xdata().item(), line.get_ydata().item()) for line in crosses[:2]] == [(99, 9), (79, 10)]


def test_the_profile_is_the_last_step_against_the_depth(results):
    figure = FIGURES["layer_profile"](results.assign(layer_rnc1=0.1 * results["layer_nhsic_zx"]))
    first, second = lines_of(figure, "layer_nhsic_zy")
    np.testing.assert_allclose(first.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(first.get_ydata(), [5, 5.5, 6])
    np.testing.assert_allclose(second.get_ydata(), 5)
    np.testing.assert_allclose(lines_of(figure, "layer_nhsic_zx_null")[0].get_ydata(), [49, 39, 29])
    assert len(lines_of(figure, "layer_rnc1")) == 2


def test_the_last_layer_of_each_network_is_drawn(results):
    shallow = CASES["shallow"](results.assign_coords(layer=np.arange(LAYERS)))
    deep, flat = lines_of(FIGURES["last_layer"](shallow), "layer_nhsic_zx")
    assert (set(deep.get_ydata()), set(flat.get_ydata())) == ({30.0}, {40.0})
    figure = FIGURES["last_layer"](shallow)
    assert [axes.get_title("left") for axes in figure.axes] == [
        "nHSIC with the inputs",
        "nHSIC with the labels",
        "",
        "",
    ]
    null = lines_of(figure, "layer_nhsic_zx_null")[1]
    assert (null.get_xdata() > 0).all()
    assert np.isfinite(null.get_ydata()).all()


def test_ways_join_what_was_measured_though_other_kernels_have_more_steps(results):
    every = np.arange(results.sizes["step"]) % 20 == 0
    rarer = {n: results[n].where(xr.DataArray(every, dims="step")) for n in results if n.endswith("_free")}
    figure = FIGURES["layer_planes"](
        results.assign({n: v.assign_attrs(results[n].attrs) for n, v in rarer.items()})
    )
    line = lines_of(figure, "layer_nhsic_zy_free")[0]
    assert np.isfinite(line.get_ydata()).all()
    assert 1 < len(line.get_ydata()) < len(lines_of(figure, "layer_nhsic_zy")[0].get_ydata())
