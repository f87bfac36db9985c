"""What the page knows of the points of a figure is what the results hold, whichever figure it is."""

import json

import numpy as np
import pytest
import synthetic_figures
from matplotlib.collections import PolyCollection
from synthetic_bounds import with_bounds
from synthetic_families import attention
from synthetic_results import diverge, make_results

from collapse_jax.analysis import timescales
from collapse_jax.figures import FIGURES, style
from collapse_jax.reporting.points import points

DECAYS = (0.03, 0.3)


@pytest.fixture(scope="module")
def results():
    return make_results(DECAYS, (0, 1, 2), last=10_000, jitter=0.3)


def lines_of(found, name):
    return [line for panel in found["panels"] for line in panel["lines"] if line["name"].startswith(name)]


def test_lines_and_bands_are_means_and_ranges_of_the_results(results):
    found, artists = points(FIGURES["phases"](results), results)
    assert json.loads(json.dumps(found)) == found
    assert found["title"] == "weight decay λ"
    assert [entry["name"] for entry in found["entries"]] == ["0.03", "0.3"]
    for line, decay in zip(lines_of(found, "RNC1"), DECAYS, strict=True):
        values = results["rnc1"].sel(weight_decay=decay).values[:, 1:].astype(float)
        assert found["xs"][line["x"]] == results["step"].values[1:].tolist()
        np.testing.assert_allclose(line["y"], np.exp(np.log(values).mean(0)), rtol=6e-4)
        np.testing.assert_allclose([line["low"], line["high"]], [values.min(0), values.max(0)], rtol=6e-4)
    assert {line["entry"] for line in lines_of(found, "")} == {0, 1}
    assert sum(isinstance(artist, PolyCollection) for artist in artists) == 8  # bands of 4 variables
    assert len(artists) == 16


def test_panels_lie_where_they_are_drawn(results):
    figure = FIGURES["phases"](results)
    figure.draw_without_rendering()
    found, _ = points(figure, results)
    for panel, axes in zip(found["panels"], figure.axes, strict=True):
        left, top, width, height = panel["box"]
        box = axes.get_window_extent()
        w, h = figure.bbox.size
        np.testing.assert_allclose([left * w, (1 - top - height) * h], [box.x0, box.y0], atol=0.1)
        np.testing.assert_allclose([width * w, height * h], [box.width, box.height], atol=0.1)
        assert (panel["x"]["log"], panel["x"]["label"]) == (True, "training step")
        assert (panel["y"]["from"], panel["y"]["to"]) == axes.get_ylim()


def test_panels_without_a_title_of_their_axis_have_that_of_the_others(results):
    found, _ = points(FIGURES["bounds"](with_bounds(results)), results)
    assert {panel["x"]["label"] for panel in found["panels"]} == {"training step"}


def test_units_of_variables_are_said(results):
    told = results.copy()
    told["rnc1"] = told["rnc1"].assign_attrs(long_name="Variance", units="bit")
    found, _ = points(FIGURES["phases"](told), told)
    assert len(lines_of(found, "Variance (bit)")) == 2
    assert len(lines_of(found, "test accuracy")) == 2  # without a unit


def test_the_end_of_a_diverged_run_belongs_to_its_setting(results):
    found, _ = points(FIGURES["phases"](diverge(results, 900, weight_decay=0.3, seed=1)), results)
    (cross,) = [line for line in lines_of(found, "RNC1") if line.get("marker") == "x"]
    assert (cross["entry"], len(cross["y"])) == (1, 1)


def test_lines_beside_a_colour_bar_have_names_of_their_own():
    many = make_results(tuple(np.geomspace(1e-3, 0.3, 9)), (0,), last=1000)
    found, _ = points(FIGURES["phases"](many), many)
    assert len(found["entries"]) == 9
    assert {line["entry"] for line in lines_of(found, "")} == set(range(9))


def test_entries_of_one_colour_are_told_apart_by_their_line(rng):
    results = attention(rng)
    found, _ = points(FIGURES["attention"](results), results)
    names = [entry["name"] for entry in found["entries"]]
    assert len(names) == 8
    for panel in found["panels"]:
        assert sorted(line["entry"] for line in panel["lines"]) == list(range(8))
        for line in panel["lines"]:
            kind, _, label = names[line["entry"]].partition(", ")
            group = "clean" if label == "right label" else "noisy"
            assert line["name"] == f"share of attention (attention {group} {kind})"


def test_cells_have_their_values():
    results = synthetic_figures.two_rates()
    found, _ = points(FIGURES["heatmap"](results), results)
    ((cells,),) = ([line for line in panel["lines"]] for panel in found["panels"])
    last = results["test_accuracy"].isel(step=-1).mean("seed").transpose("learning_rate", "weight_decay")
    np.testing.assert_allclose(cells["z"], last.values.ravel(), rtol=6e-4)
    assert found["panels"][0]["x"]["places"] == [(0.5, "0.03"), (1.5, "0.3")]
    assert not found["entries"]


def test_marks_that_stand_beside_their_place_have_the_values_of_it():
    """Times of three events stand side by side at each weight decay; runs against an axis stand where they are."""
    decays = (0.0, 0.03, 0.3)
    results = make_results(decays, (0, 1), last=3000)
    taus = timescales(results)
    found, _ = points(FIGURES["timescales"](results), results)
    assert [entry["name"] for entry in found["entries"]] == ["Fit", "Grokking", "Collapse"]
    for number, name in enumerate(("tau_fit", "tau_grok", "tau_collapse")):
        own = [line for line in lines_of(found, "training steps until … (") if line["entry"] == number]
        for decay in decays[1:]:
            told = [
                y
                for line in own
                if line.get("place") == decay and "geometric" not in line["name"]
                for y in line["y"]
            ]
            np.testing.assert_allclose(sorted(told), np.sort(taus[name].sel(weight_decay=decay)), rtol=6e-4)
    beside = {x for line in lines_of(found, "training steps until … (run)") for x in found["xs"][line["x"]]}
    assert beside - set(decays)
    found, _ = points(FIGURES["against_axis"](results), results)
    ends = results["test_accuracy"].isel(step=-1).mean("seed")
    (line,) = [line for line in lines_of(found, "test accuracy") if len(line["y"]) == 3]
    np.testing.assert_allclose(line["y"], ends, rtol=6e-4)
    assert [text for _, text in found["panels"][0]["x"]["places"]] == ["0", "0.03", "0.3"]


def test_means_have_the_values_of_their_runs(results):
    found, _ = points(FIGURES["phases"](diverge(results, 900, weight_decay=0.3, seed=1)), results)
    for name, variable, log in (("RNC1", "rnc1", True), ("test accuracy", "test_accuracy", False)):
        line = next(line for line in lines_of(found, name) if line["entry"] == 0)
        assert ("log" in line) == log
        assert [*line["runs"]] == ["seed 0", "seed 1", "seed 2"]
        for seed, values in enumerate(line["runs"].values()):
            own = results[variable].sel(weight_decay=0.03, seed=seed).values[1:]
            np.testing.assert_allclose(values, own, rtol=6e-4)
    (cross,) = [line for line in lines_of(found, "RNC1") if line.get("marker") == "x"]
    assert cross["runs"] == {"seed 1": cross["y"]}
    one = results.isel(seed=[0])
    found, _ = points(FIGURES["phases"](one), one)
    assert not any("runs" in line for line in lines_of(found, ""))


def test_a_figure_without_points_has_none():
    figure = style.new_figure(3, 3)
    figure.subplots().axhline(1.0)
    assert points(figure, make_results(DECAYS, (0,), last=100)) == ({}, [])
