"""The figures of programs, of layers and of both normalisations of the within-class variance."""

import dataclasses
import json

import numpy as np
import pytest
from figure_texts import check, note
from synthetic_bounds import with_balancedness
from synthetic_families import with_layers
from synthetic_results import as_zip, diverge, join_parts, make_results

from collapse_jax import figures as plots
from collapse_jax.experiment import config, identity
from collapse_jax.figures import FIGURES, Drawing, NotDrawableError, registry

AXES = {"train_size": (1000, 3000), "model": ("mlp", "cnn")}


@pytest.fixture(scope="module")
def results():
    results = make_results(weight_decay=(0.003, 0.03, 0.3), seed=(0, 1), jitter=0.2)
    return results.assign(nc1=results["rnc1"] * 2)


@pytest.fixture(scope="module")
def joined(results):
    parts = [({"train_size": 1000, "model": "mlp"}, results), ({"train_size": 3000, "model": "cnn"}, results)]
    return join_parts(AXES, parts)


def lines_of(axes, name):
    return [line for line in axes.get_lines() if line.get_gid() == name]


def test_variances_draws_both_and_says_what_is_missing(results):
    figure = FIGURES["variances"](results)
    check(figure)
    rnc1, nc1 = (lines_of(axes, name) for axes, name in zip(figure.axes[1:3], ("rnc1", "nc1"), strict=True))
    assert len(rnc1) == len(nc1) == 3
    np.testing.assert_allclose(nc1[0].get_ydata(), 2 * rnc1[0].get_ydata())
    with pytest.raises(NotDrawableError, match="nc1"):
        FIGURES["variances"](results.drop_vars("nc1"))


def test_programs_has_a_row_for_each_that_has_begun(joined):
    figure = FIGURES["programs"](joined)
    check(figure)
    labels = [axes.get_ylabel() for axes in figure.axes if "model=" in axes.get_ylabel()]
    assert [label.splitlines()[0] for label in labels] == [
        "train_size=1000, model=mlp",
        "train_size=3000, model=cnn",
    ]
    assert "Program" not in note(figure)
    with pytest.raises(NotDrawableError, match="static axes"):
        FIGURES["programs"](make_results())


def test_the_note_of_programs_is_about_all_of_them(results):
    first = diverge(results, 9000, weight_decay=0.3, seed=1)
    second = results.where(results["step"] <= 20_000).assign(diverged_at=results["diverged_at"])
    joined = join_parts({"model": ("mlp", "cnn")}, [({"model": "mlp"}, first), ({"model": "cnn"}, second)])
    said = note(FIGURES["programs"](joined))
    assert "1 of 12 runs diverged" in said
    assert "Not finished: 1 of 2 programs, 20,000 of 300,000 steps so far." in said


@pytest.mark.slow  # saves every figure of a grid
def test_draw_puts_each_program_into_a_folder(joined, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "FIGURES", {name: FIGURES[name] for name in ("programs", "phases")})
    written = {str(path.relative_to(tmp_path)) for path in plots.draw(joined, None, tmp_path)}
    assert "programs.png" in written
    assert "train_size=1000_model=mlp/phases.png" in written
    assert "train_size=3000_model=cnn/phases.pdf" in written
    assert not [name for name in written if name.startswith(("phases", "train_size=1000_model=cnn"))]


def test_figures_are_chosen_by_name_in_every_program(joined, monkeypatch):
    drawing = Drawing(lambda *_: None, "")
    monkeypatch.setattr(registry, "FIGURES", {"phases": drawing, "timeline": drawing})
    programs = ("train_size=1000_model=mlp", "train_size=3000_model=cnn")
    chosen = [name for name, _ in plots.figures(joined, names=["timeline"])]
    assert chosen == [f"{program}/timeline" for program in programs]
    assert len(list(plots.figures(joined))) == 4


def test_a_figure_of_one_program_names_it(joined):
    from collapse_jax.workdir.join import select_part

    figure = FIGURES["phases"](select_part(joined, {"train_size": 3000, "model": "cnn"}))
    assert "Program train_size=3000, model=cnn." in note(figure)


def test_each_program_is_held_against_the_law_of_its_own_optimizer(results, monkeypatch):
    values = ("adamw", "sgd")
    whole = config.Experiment(grid=config.Grid(optimizer=values))
    joined = join_parts(
        {"optimizer": values}, [({"optimizer": value}, with_balancedness(results)) for value in values]
    )
    joined.attrs = {"experiment": json.dumps(dataclasses.asdict(whole))}
    seen = []

    def balancedness(part, thresholds):
        seen.append(part.attrs["fingerprint"])
        return FIGURES["balancedness"](part, thresholds)

    monkeypatch.setattr(registry, "FIGURES", {"balancedness": Drawing(balancedness, "")})
    drawn = dict(plots.figures(joined))
    notes = [note(drawn[f"optimizer={value}/balancedness"]) for value in values]
    assert ["Descriptive" in text for text in notes] == [True, False]
    assert "Largest relative deviation" in notes[1]
    alone = [config.Experiment(optimizer=config.Optimizer(name=value)) for value in values]
    assert seen == [identity.fingerprint(experiment) for experiment in alone]


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r,
        as_zip,
        lambda r: r.isel(seed=0),
        lambda r: diverge(r, 0, weight_decay=0.3),
        lambda r: r.where(r["step"] <= 20_000).assign(diverged_at=r["diverged_at"]),
    ],
    ids=["product", "zip", "no_seed", "never_healthy", "unfinished"],
)
def test_layers_draws(change, results):
    figure = FIGURES["layers"](with_layers(change(results)))
    check(figure)
    assert [axes.get_title("left") for axes in figure.axes[:3]] == [
        "Hidden layer 1",
        "Hidden layer 2",
        "Hidden layer 3",
    ]


def test_layers_shows_each_layer_in_its_column(results):
    figure = FIGURES["layers"](with_layers(results))
    first, last = (lines_of(figure.axes[i], "layer_rnc1")[0].get_ydata() for i in (0, 2))
    np.testing.assert_allclose(last, first / 10)
    with pytest.raises(NotDrawableError, match="layerwise"):
        FIGURES["layers"](results)
    assert len({axes.get_title("left") for axes in FIGURES["layers"](with_layers(results, 11)).axes} - {""}) == 6
