import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from figure_texts import check
from synthetic_results import as_zip, diverge, make_results

from collapse_jax.analysis import Thresholds
from collapse_jax.experiment.config import Experiment
from collapse_jax.figures import FIGURES, NotDrawableError, draw, drawing, registry, save, series, style
from collapse_jax.figures.timeline import pick
from collapse_jax.workdir.record import attributes

DECAYS = (0.003, 0.03, 0.3)
# Those that the default measures suffice for; other figures have tests of their own.
DEFAULT = ("phases", "timescales", "survival", "against_axis", "collapse_time", "timeline", "everything")


@pytest.fixture(scope="module")
def results():
    return make_results(weight_decay=DECAYS, seed=(0, 1, 2), jitter=0.2, noise=0.01)


def many_decays():
    return make_results(weight_decay=(0.0, *np.geomspace(1e-3, 0.3, 9)), seed=(0, 1))


CASES = {
    "product": lambda r: r,
    "zip": as_zip,
    "zip_without_seeds": lambda r: as_zip(r).drop_vars("seed"),
    "one_seed": lambda r: r.isel(seed=[0]),
    "unfinished": lambda r: r.where((r["step"] <= 20_000) | (r["step"] < 0)).assign(diverged_at=r["diverged_at"]),
    "diverged": lambda r: diverge(r, 9000, weight_decay=0.3, seed=1),
    "never_healthy": lambda r: diverge(r, 0, weight_decay=0.3),
    "no_decay_and_many": lambda r: many_decays(),
    "rates": lambda r: make_results(weight_decay=(0.03, 0.3), seed=(0, 1), learning_rate=(1e-3, 3e-3)),
}


def gids(figure, name):
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == name]


def words(figure):
    found = [" ".join(t.get_text().split()) for t in [*figure.texts, figure._suptitle, figure._supxlabel]]
    found += [t.get_text() for axes in figure.axes for t in axes.texts]
    return "\n".join(found)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", DEFAULT)
def test_every_figure_draws(case, name, results):
    if name == "survival" and case in ("zip_without_seeds", "one_seed"):  # nothing repeats anything
        with pytest.raises(NotDrawableError, match="one run per setting"):
            FIGURES[name](CASES[case](results))
        return
    figure = FIGURES[name](CASES[case](results))
    check(figure)
    assert figure._suptitle.get_text()
    for axes in (a for a in figure.axes if a.get_visible() and a.axison):
        assert axes.get_title("left") or axes.get_ylabel()


@pytest.mark.slow
def test_files_are_whole_deterministic_and_alone(tmp_path, results, monkeypatch):
    few = ("phases", "timescales")  # saving is what takes long; every figure is laid out above
    monkeypatch.setattr(registry, "FIGURES", {name: FIGURES[name] for name in few})
    paths = draw(results, Thresholds(), tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(p.name for p in paths)
    assert {p.name for p in paths} == {f"{name}{end}" for name in few for end in (".png", ".pdf")}
    for path in paths:
        assert path.read_bytes()[:4] in (b"\x89PNG", b"%PDF")
    figure = FIGURES["phases"](results)
    first = [p.read_bytes() for p in save(figure, tmp_path / "a.b")]
    assert (tmp_path / "a.b.png").exists()
    again = [p.read_bytes() for p in save(FIGURES["phases"](results), tmp_path / "again")]
    assert first == again


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, results, monkeypatch):
    figure = FIGURES["phases"](results)
    save(figure, tmp_path / "phases")
    before = (tmp_path / "phases.png").read_bytes()

    def fail(path, **_):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save(figure, tmp_path / "phases")
    assert (tmp_path / "phases.png").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["phases.pdf", "phases.png"]


def test_figures_leave_the_callers_settings_alone(results):
    before = {k: v for k, v in mpl.rcParams.items() if k != "backend"}
    FIGURES["phases"](results)
    assert {k: v for k, v in mpl.rcParams.items() if k != "backend"} == before


def test_what_cannot_be_drawn_is_left_out_with_a_reason(tmp_path, results, capsys, monkeypatch):
    monkeypatch.setattr(drawing, "save", lambda figure, stem: [stem.with_suffix(".png"), stem.with_suffix(".pdf")])
    few = results.sel(weight_decay=[0.03])
    paths = draw(few, None, tmp_path)
    assert not any("timescales" in p.name for p in paths)
    assert len(paths) == 12
    (line,) = capsys.readouterr().err.splitlines()  # one for all of them
    assert line.startswith("figures for which these results have no data: variances, timescales, ")
    assert line.endswith("; plot --figures=NAME says what one needs")
    assert draw(few, None, tmp_path, names=["timescales"]) == []
    reason = "figure timescales cannot be drawn: fewer than two positive weight decays"
    assert capsys.readouterr().err.startswith(reason)
    bare = results[["weight_norm", "diverged_at"]]
    assert {p.stem for p in draw(bare, None, tmp_path / "bare")} == {"timeline", "everything"}
    for source in ("results", "programs"):
        for _, figure in registry.figures_of(source):
            with pytest.raises(NotDrawableError):
                figure(results[["diverged_at"]])
    only_start = results.isel(step=[0])
    with pytest.raises(NotDrawableError, match="step"):
        FIGURES["phases"](only_start)
    with pytest.raises(NotDrawableError, match="learning_rate"):
        FIGURES["collapse_time"](results.drop_vars("learning_rate"))
    with pytest.raises(NotDrawableError):
        FIGURES["collapse_time"](only_start)


def test_phases_has_a_line_and_a_band_per_weight_decay(results):
    figure = FIGURES["phases"](results)
    assert len(figure.axes) == 3
    for name in ("train_accuracy", "test_accuracy", "rnc1", "nc2_condition"):
        assert len(gids(figure, name)) == 3
    assert len(figure.axes[1].collections) == 3
    assert [line.get_linestyle() for line in gids(figure, "train_accuracy")] == ["--"] * 3
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["0.003", "0.03", "0.3"]
    assert "band: lowest to highest seed" in words(figure)
    geometric = np.exp(np.log(results["rnc1"].sel(weight_decay=0.3)).mean("seed")).values[1:]
    np.testing.assert_allclose(gids(figure, "rnc1")[2].get_ydata(), geometric, rtol=1e-5)
    single = FIGURES["phases"](results.isel(seed=[0]))
    assert not single.axes[1].collections
    assert "One run per line" in words(single)
    assert len(FIGURES["phases"](many_decays()).axes) == 4  # a colour bar instead of ten names


def test_notes_tell_of_diverged_and_unfinished_runs(results):
    figure = FIGURES["phases"](CASES["diverged"](results))
    assert "1 of 9 runs diverged" in words(figure)
    crosses = [line for line in gids(figure, "rnc1") if line.get_marker() == "x"]
    assert len(crosses) == 1
    assert crosses[0].get_xdata()[0] == 8000
    assert "20,000 of 300,000" in words(FIGURES["phases"](CASES["unfinished"](results)))


def test_timescales_writes_slopes_and_marks_censored_runs(results):
    figure = FIGURES["timescales"](results)
    text = words(figure)
    assert text.count("slope") == 3
    assert text.count("theory \N{MINUS SIGN}1") == 2
    assert "Fit: the log schedule places it only within a factor" in text
    for phase in ("fit", "grok", "collapse"):
        assert len(gids(figure, f"fit_{phase}")) == len(gids(figure, f"theory_{phase}")) == 1
    early = FIGURES["timescales"](CASES["unfinished"](results))
    assert sum(len(line.get_xdata()) for line in gids(early, "at_least")) >= 3
    assert "runs did not reach it" in words(early)
    for change in (lambda r: r, as_zip):
        rates = FIGURES["timescales"](change(CASES["rates"](results)))
        assert [axes.get_title("left") for axes in rates.axes] == ["η = 0.001", "η = 0.003"]


@pytest.mark.parametrize("name", ["timescales", "against_axis", "collapse_time", "timeline", "heatmap"])
def test_figures_read_results_with_their_own_thresholds(name, results):
    own = Thresholds(train_accuracy=0.5, test_accuracy=0.3, rnc1=0.1)
    grid = results if name != "heatmap" else CASES["rates"](results)
    told = grid.assign_attrs(attributes(Experiment(thresholds=own)))
    options = {"value": "tau_grok"} if name == "heatmap" else {}

    def drawn(thresholds):
        figure = FIGURES[name](told, thresholds, **options)
        return words(figure), [line.get_xydata().tolist() for axes in figure.axes for line in axes.get_lines()]

    assert drawn(None) == drawn(own)
    assert drawn(None) != drawn(Thresholds())


def test_collapse_time_overlays_on_the_scaled_axis(results):
    figure = FIGURES["collapse_time"](results)
    lines = gids(figure, "rnc1")
    assert len(lines) == 6
    right = [line for line in figure.axes[1].get_lines() if line.get_gid() == "rnc1"]
    ends = [line.get_xdata()[-1] for line in right]
    np.testing.assert_allclose(ends, [1e-3 * w * 300_000 for w in DECAYS])
    assert "Runs without weight decay" in words(FIGURES["collapse_time"](many_decays()))


def test_timeline_marks_the_three_moments(results):
    figure = FIGURES["timeline"](results, None, {"weight_decay": 0.03, "seed": 1})
    assert "weight decay 0.03" in words(figure)
    assert "seed 1" in words(figure)
    for word in ("fitted", "grokked", "collapsed"):
        assert f"{word} at step" in words(figure)
    assert len(gids(figure, "tau_grok")) == 4
    long = results.isel(seed=[0], weight_decay=[1]).assign_coords(seed=[1234567])
    assert words(FIGURES["timeline"](long)).startswith(
        "One run: weight decay 0.03, learning rate 0.001, seed 1234567"
    )
    with pytest.raises(NotDrawableError, match="no run has"):
        FIGURES["timeline"](results, None, {"weight_decay": 0.5})
    with pytest.raises(NotDrawableError, match="'width'"):
        FIGURES["timeline"](results, None, {"width": 1})


@pytest.mark.parametrize("shape", [lambda r: r, as_zip])
def test_timeline_picks_the_widest_separation_that_ended(shape):
    decays = (0.001, 0.01, 0.1)  # 0.001 groks after the end
    run = pick(shape(make_results(weight_decay=decays, seed=(0,))), Thresholds(), {})
    assert float(run["weight_decay"]) == 0.01
    assert run["rnc1"].dims == ("step",)
    bound = pick(shape(make_results(weight_decay=decays, seed=(0,), done=3000)), Thresholds(), {})
    assert bound["rnc1"].dims == ("step",)


def test_series_names_and_colours(results):
    found = series.split(results)
    assert [s.name for s in found] == ["0.003", "0.03", "0.3"]
    lightness = [sum(np.array(s.colour[:3]) * (0.2126, 0.7152, 0.0722)) for s in found]
    assert lightness == sorted(lightness, reverse=True)  # ordered in grey, too
    rates = series.split(CASES["rates"](results))
    assert [s.name for s in rates][:2] == ["λ = 0.03, η = 0.001", "λ = 0.03, η = 0.003"]
    assert len({s.colour for s in rates}) == 4
    assert len(series.split(as_zip(results))) == 3
    assert len(series.split(as_zip(results).drop_vars("seed"))) == 9
    assert style.value_colour(0.0, style.log_norm(DECAYS)) == style.ZERO


@pytest.mark.parametrize(
    ("decays", "rates", "label"),
    [
        ((0.01,), 9, "learning rate η"),
        ((0.0, 0.1), 5, "learning rate η\n(other hyperparameters not told apart)"),
        ((0.0, 0.01, 0.1), 3, "weight decay λ (grey: 0)\n(other hyperparameters not told apart)"),
    ],
)
def test_too_many_lines_are_coloured_by_what_varies(decays, rates, label):
    many = make_results(decays, (0, 1), np.geomspace(1e-4, 1e-2, rates), last=1000)
    found = series.split(many)
    assert len(found) == len(decays) * rates
    key = "weight_decay" if label.startswith("weight") else "learning_rate"
    assert len({(s.point[key], s.colour) for s in found}) == len({s.colour for s in found}) == many[key].size
    figure = FIGURES["phases"](many)
    assert figure.axes[-1].get_ylabel() == label
    assert not figure.legends


def test_too_many_lines_without_a_scale_are_named_in_part():
    few = make_results((0.1,), (0, 1), last=1000)
    many = xr.concat([few] * 10, xr.Variable("optimizer", [f"own{i}" for i in range(10)]))
    assert len({s.colour for s in series.split(many)}) == 10
    (legend,) = FIGURES["phases"](many).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == 8
    assert (names[0], names[-1]) == ("own0", "own9")
    assert "8 of 10 lines" in legend.get_title().get_text()


def test_mean_leaves_out_what_has_no_logarithm():
    values = np.array([[1.0, np.nan, 0.0, np.inf], [100.0, np.nan, 4.0, 9.0]])
    mean, low, high = series.mean_and_range(values, log=True)
    np.testing.assert_allclose(mean, [10, np.nan, 4, 9])
    np.testing.assert_allclose(low, [1, np.nan, 4, 9])
    np.testing.assert_allclose(high, [100, np.nan, 4, 9])
    np.testing.assert_allclose(series.mean_and_range(values, log=False)[0], [50.5, np.nan, 2, 9])
