"""The violins: what is drawn, from arrays, from snapshots, and from a workdir."""

import importlib

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from figure_texts import check, note
from synthetic_results import as_zip, make_results

from collapse_jax import figures as plots
from collapse_jax.figures import NotDrawableError, registry
from collapse_jax.figures.violins import PairMargins, density, margins_of, pick_run, violins, widest_gap
from collapse_jax.measures import Probe, Snapshot
from collapse_jax.measuring import snapshots

# `figures.violins` is the function, too.
module = importlib.import_module("collapse_jax.figures.violins")

RNG = np.random.default_rng(0)


def collapsed(pair=(0, 1), step=100, spread=0.2, n=80):
    def both():
        return 1 + spread * RNG.normal(size=n), -1 + spread * RNG.normal(size=n + 5)

    return PairMargins(pair, step, both(), both())


def snapshot(scale=0.3, classes=6, **changes):
    labels = np.arange(60) % classes
    features = 2 * np.eye(classes)[labels] + scale * RNG.normal(size=(60, classes))
    probe = Probe(jnp.asarray(features), jnp.asarray(labels))
    parts = {"train": probe, "test": probe, "head_kernel": jnp.eye(classes), "num_classes": classes}
    return Snapshot(**parts | changes)


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def test_one_row_per_step_and_two_panels_per_pair():
    rows = [collapsed(pair, step, 0.5 if step < 50 else 0.01) for step in (200, 10) for pair in ((0, 1), (4, 5))]
    figure = violins(rows, caption="Run: seed 1.")
    check(figure)
    assert len(figure.axes) == 8
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["step 10", "step 200"]
    assert [axes.get_title("left") for axes in figure.axes[:4]] == [
        f"{a} and {b}: {split}" for a, b in ((0, 1), (4, 5)) for split in ("training", "unseen")
    ]
    assert "Run: seed 1." in note(figure)
    low, high = figure.axes[0].get_xlim()
    assert low == -high  # the boundary is in the middle


def test_the_percentages_are_the_errors():
    first, second = np.array([1.0, 2, 3, -1]), np.array([-1.0, -2, 0.5, 0.0])
    figure = violins([PairMargins((0, 1), 5, (first, second), (first[:3], second[:2]))])
    errors = ("0: 25.0", "1: 50.0", "0: 0.0", "1: 0.0")
    assert texts(figure) == [f"{error} % wrong" for error in errors]


def test_halves_are_on_their_sides():
    figure = violins([collapsed()])
    up, down = (body.get_paths()[0].vertices for body in figure.axes[0].collections[:2])
    assert up[:, 1].min() >= 0 >= down[:, 1].max()
    assert up[up[:, 1].argmax(), 0] == pytest.approx(1, abs=0.15)
    assert down[down[:, 1].argmin(), 0] == pytest.approx(-1, abs=0.15)


@pytest.mark.parametrize(
    "values", [RNG.normal(size=200), 3 + 1e-9 * RNG.normal(size=50), np.full(7, 0.25), np.array([0.5])]
)
def test_density_integrates_to_one(values):
    x = np.linspace(-6, 6, 2001)
    curve = density(values, x)
    assert np.trapezoid(curve, x) == pytest.approx(1, abs=0.01)
    assert x[curve.argmax()] == pytest.approx(np.median(values), abs=0.6)


def test_missing_classes_and_bad_numbers():
    nothing = np.array([])
    partly = PairMargins((0, 1), 5, (nothing, np.array([-1.0, np.nan])), (np.array([1.0]), np.array([-1.0])))
    figure = violins([partly])
    check(figure)
    assert "0: none" in texts(figure)
    with pytest.raises(NotDrawableError, match="no margin is finite"):
        violins([PairMargins((0, 1), 5, (nothing, nothing), (np.array([np.nan]), nothing))])
    with pytest.raises(NotDrawableError, match="no margins to draw"):
        violins([])
    with pytest.raises(NotDrawableError, match=r"no margins of classes \(4, 5\) at step 100"):
        violins([collapsed(), collapsed(step=200), collapsed((4, 5), 200)])


def test_margins_of_a_snapshot():
    one = snapshot()
    found = margins_of(one, (1, 2), 7)
    features, labels = np.asarray(one.train.features), np.asarray(one.train.labels)
    expected = (features[:, 1] - features[:, 2]) / np.sqrt(2)
    np.testing.assert_allclose(found.train[0], expected[labels == 1], rtol=1e-5)
    np.testing.assert_allclose(found.test[1], expected[labels == 2], rtol=1e-5)
    with pytest.raises(NotDrawableError, match="no test features"):
        margins_of(snapshot(test=None), (0, 1), 7)
    with pytest.raises(NotDrawableError, match="the last layer"):
        margins_of(snapshot(head_kernel=None), (0, 1), 7)
    with pytest.raises(ValueError, match="two different classes of 0 to 5"):
        margins_of(one, (0, 6), 7)


def test_the_step_of_the_widest_gap():
    results = make_results(weight_decay=(0.003, 0.03), seed=(0, 1))
    run = pick_run(results)
    assert run["weight_decay"] == 0.03  # |log(0.03 / 0.01)| = 1.10 < |log(0.003 / 0.01)| = 1.20
    steps = [0, 1000, 6000, 300_000]
    assert widest_gap(results, run, steps) in (1000, 6000)
    assert widest_gap(as_zip(results), pick_run(as_zip(results)), steps) == widest_gap(results, run, steps)
    assert widest_gap(xr.Dataset(), {}, steps) == 0
    assert widest_gap(results.where(results.step < 0), run, steps) == 0


class Stored:
    steps = (0, 1000, 300_000)

    def __init__(self, made=snapshot):
        self.asked, self.made = [], made

    def snapshot(self, step, run):
        self.asked.append((step, run))
        return self.made()


def test_from_a_workdir(monkeypatch, tmp_path):
    stored, results = Stored(), make_results(weight_decay=(0.01, 0.1), seed=(1234567, 4))
    monkeypatch.setattr(snapshots, "open_snapshots", lambda workdir, **_: stored)
    monkeypatch.setattr(module, "open_results", lambda workdir: results)
    (tmp_path / "snapshots").mkdir()
    figure = plots.workdir_violins(tmp_path)
    assert [step for step, _ in stored.asked] == [1000, 300_000]
    assert stored.asked[0][1] == {"weight_decay": 0.01, "seed": 1234567}
    assert len(figure.axes) == 8  # two steps, pairs (0, 1) and (4, 5) of six classes
    assert "Run: weight decay 0.01, seed 1234567." in note(figure)
    plots.workdir_violins(tmp_path, run={"weight_decay": 0.1}, steps=[0], pairs=[(2, 3)])
    assert stored.asked[-1] == (0, {"weight_decay": 0.1, "seed": 1234567})
    with pytest.raises(ValueError, match="steps: 5; snapshots are stored of 0, 1000, 300000"):
        plots.workdir_violins(tmp_path, steps=[5])
    monkeypatch.setattr(registry, "FIGURES", {"violins": plots.FIGURES["violins"]})
    written = plots.draw(results, None, tmp_path / "figures", tmp_path)
    assert written == [tmp_path / "figures" / f"violins{end}" for end in (".png", ".pdf")]


def test_a_workdir_without_snapshots_is_left_out_with_a_reason(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(registry, "FIGURES", {"violins": plots.FIGURES["violins"]})
    assert plots.draw(xr.Dataset(), None, tmp_path, tmp_path, names=["violins"]) == []
    assert capsys.readouterr().err == "figure violins cannot be drawn: no snapshot is stored\n"
