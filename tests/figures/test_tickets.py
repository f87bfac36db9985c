"""Figures of tickets, and which level a step is of, on a sweep whose density is .8^level by construction."""

import numpy as np
import pytest
from figure_texts import check, note
from synthetic_families import LEVELS, RATES, SIGMAS, STEPS, tickets
from synthetic_results import retire

import collapse_jax
from collapse_jax.experiment.config import Grid, Model, Schedule, Snapshots, Training
from collapse_jax.experiment.training import Levels
from collapse_jax.figures import FIGURES, NotDrawableError
from scripts.ticket_advantage import table
from scripts.ticket_levels import table as levels_table


@pytest.fixture(scope="module")
def results():
    return tickets()


def test_tickets_are_drawn_at_the_ends_of_levels(results):
    figure = FIGURES["tickets"](results)
    check(figure)
    found = [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == "test_accuracy"]
    assert len(found) == len(RATES)
    right = results["test_accuracy"].sel(step=[6, 12, 18]).mean("seed")
    for line, rate in zip(found, RATES, strict=True):
        np.testing.assert_allclose(line.get_xdata(), 0.8 ** np.arange(3))
        np.testing.assert_allclose(line.get_ydata(), right.sel(learning_rate=rate))


def test_means_end_at_the_level_at_which_the_first_run_retires(results):
    """A run that is pruned no more has no value at later densities, and no mean is taken without it."""
    early = retire(results, {(RATES[0], 0): 12}, axis="learning_rate")
    for name, gid in (("tickets", "test_accuracy"), ("bound_parts", "pac_bound_slab")):
        figure = FIGURES[name](early)
        assert note(figure).endswith("Means end where the first of their runs retires.")
        found = [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == gid]
        for line, rate, last in zip(found, RATES, (12, 18), strict=True):
            right = results[gid].sel(learning_rate=rate, step=[s for s in (6, 12, 18) if s <= last]).mean("seed")
            np.testing.assert_allclose(line.get_ydata(), right)
    assert "Means end" not in note(FIGURES["tickets"](results))


def test_the_parts_of_the_bound_stand_on_each_other(results):
    """At the sigma that is nearest to that of the authors' code."""
    figure = FIGURES["bound_parts"](results)
    check(figure)
    mask, slab = figure.axes[0].collections
    assert mask.get_paths()[0].get_extents().ymax == pytest.approx(10.0)
    assert slab.get_paths()[0].get_extents().ymax == pytest.approx(10.018)

    right = results["pac_bound_slab"].sel(step=[6, 12, 18], learning_rate=0.01).mean("seed")
    bound, _, risk = figure.axes[len(RATES)].get_lines()
    np.testing.assert_allclose(bound.get_ydata(), right)
    np.testing.assert_allclose(risk.get_ydata(), 0.009)


@pytest.fixture(scope="module")
def controls(results):
    """Of the levels 1 and 2, 0.25 and 0.5 behind their tickets, with seeds of their own."""
    last = results.isel(step=[-1]).drop_vars(["level", "level_step"]).assign_coords(seed=[1000, 1001])
    accuracy = results["test_accuracy"].sel(step=[12, 18])
    return {
        level: last.assign(test_accuracy=(last["test_accuracy"].dims, accuracy.values[..., [level - 1]] - behind))
        for level, behind in ((1, 0.25), (2, 0.5))
    }


def drawn(figure, name):
    """The lines of a variable."""
    check(figure)
    return [line for axes in figure.axes for line in axes.get_lines() if line.get_gid() == name]


def test_each_level_is_a_line_over_the_learning_rates_beside_its_control(results, controls):
    figure = FIGURES["ticket_rates"](results, controls=controls)
    for name in ("test_accuracy", "distance_from_initial", "hessian_trace"):
        found = drawn(figure, name)
        right = results[name].sel(step=[6, 12, 18])
        right = right.mean("seed") if name == "test_accuracy" else np.exp(np.log(right).mean("seed"))
        assert len(found) == LEVELS
        for level in range(LEVELS):
            np.testing.assert_allclose(found[level].get_xdata(), RATES)
            np.testing.assert_allclose(found[level].get_ydata(), right.isel(step=level))
    tickets, others = drawn(figure, "test_accuracy"), drawn(figure, "control_accuracy")
    assert len(others) == len(controls)
    for (level, behind), other in zip(((1, 0.25), (2, 0.5)), others, strict=True):
        np.testing.assert_allclose(other.get_ydata(), tickets[level].get_ydata() - behind)
        assert other.get_color() == tickets[level].get_color()
    for line, advantage in zip(drawn(figure, "advantage"), (0.25, 0.5), strict=True):
        np.testing.assert_allclose(line.get_ydata(), advantage)


def test_the_advantage_is_drawn_against_the_density(results, controls):
    figure = FIGURES["tickets"](results, controls=controls)
    tickets, others = drawn(figure, "test_accuracy"), drawn(figure, "control_accuracy")
    for ticket, other, advantage in zip(tickets, others, drawn(figure, "advantage"), strict=True):
        np.testing.assert_allclose(other.get_xdata(), [0.8, 0.64])
        np.testing.assert_allclose(other.get_ydata(), ticket.get_ydata()[1:] - [0.25, 0.5])
        np.testing.assert_allclose(advantage.get_ydata(), [0.25, 0.5])
        assert other.get_color() == ticket.get_color()
    assert not drawn(FIGURES["tickets"](results), "advantage")


def test_what_one_level_alone_has_is_no_panel(results):
    once = results.assign(pac_bound_slab=results["pac_bound_slab"].where(results["step"] == 2 * STEPS))
    of_all, of_once = ({axes.get_title("left") for axes in FIGURES["tickets"](r).axes} for r in (results, once))
    assert of_all - of_once == {"PAC-Bayes bound"}


@pytest.mark.parametrize("name", ["tickets", "ticket_rates"])
def test_controls_of_other_runs_or_levels_are_refused(name, results, controls):
    with pytest.raises(NotDrawableError, match="the control of level 1 has other runs"):
        FIGURES[name](results, controls={1: controls[1].isel(learning_rate=[1, 0])})
    with pytest.raises(NotDrawableError, match="level 7 has a control, and its end was not"):
        FIGURES[name](results, controls={7: controls[1]})


def test_the_table_has_the_advantage_of_tickets(results):
    control = results.isel(step=[-1]).drop_vars(["level", "level_step"])[["test_accuracy", "train_accuracy"]] - 0.25
    header, *lines = table(results, control, 2).splitlines()
    found = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert [line["learning_rate"] for line in found] == ["0.01", "0.3"]
    for line, rate in zip(found, RATES, strict=True):
        assert line["advantage"].split(" +- ")[0] == "0.25"
        kept = results["test_accuracy"].sel(step=18, learning_rate=rate)
        mean, error = line["ticket"].split(" +- ")
        assert float(mean) == pytest.approx(float(kept.mean()), rel=2e-3)
        assert float(error) == pytest.approx(abs(float(kept[0] - kept[1])) / 2, rel=1e-2)
        assert line["slab KL"] == "0.018 +- 0"


def test_the_table_of_levels_has_the_first_step_of_each(results):
    """The test accuracy is reached in step 2 of a level, in step 6, or by one seed of two."""
    reached = {0: [[1, 1], [1, 1]], 1: [[0, 1], [0, 1]], 2: [[0, 0], [0, 1]]}  # level: seed: steps 2 and 6
    made = results.copy(deep=True)
    for level, seeds in reached.items():
        for seed, steps in enumerate(seeds):
            for step, value in zip((2, 6), steps, strict=True):
                made["test_accuracy"].loc[{"seed": seed, "step": level * STEPS + step}] = value
    lines = [line.split("\t") for line in levels_table(made, 0.8).splitlines()]
    assert lines[0][:2] == ["learning_rate", "level"]
    assert len(lines) == 1 + len(RATES) * LEVELS
    assert [line[-1] for line in lines[1:4]] == ["2 [2, 2]", "6 [6, 6]", "6 [6, 6] (1 of 2)"]
    second = made.isel(step=slice(2, 5)).drop_vars(["level", "level_step"])
    second = second.assign_coords(step=second["step"] - STEPS)
    alone = [line.split("\t") for line in levels_table(second, 0.8).splitlines()]
    assert alone[1][2:] == lines[2][2:]


def test_no_cross_is_spoken_of_that_is_not_drawn(results):
    """One run diverged in the first level: it has no value at the end of any."""
    broken = results.copy(deep=True)
    broken["diverged_at"][0, 0] = 3
    broken["test_accuracy"][0, 0] = np.nan
    for name in ("tickets", "bound_parts", "ticket_rates"):
        figure = FIGURES[name](broken)
        assert not [line for axes in figure.axes for line in axes.get_lines() if line.get_marker() == "x"]
        words = " ".join(text.get_text() for text in [*figure.texts, figure._suptitle] if text)
        assert "1 of 4 runs diverged: they have no further values" in words.replace("\n", " ")


@pytest.mark.parametrize("name", ["tickets", "bound_parts", "ticket_rates"])
def test_what_is_missing_is_said(name, results):
    with pytest.raises(NotDrawableError, match="the experiment has no levels"):
        FIGURES[name](results.drop_vars(["level", "level_step"]))
    with pytest.raises(NotDrawableError, match="the measure flatness is not in the results"):
        FIGURES[name](results.drop_vars("density"))
    with pytest.raises(NotDrawableError, match="at the end of one level alone"):
        FIGURES[name](results.where(results["step"] == STEPS, drop=True))


@pytest.mark.slow  # compiles two large measures
def test_a_sweep_of_levels_is_measured_and_drawn(tiny, tmp_path):
    """Each step knows its level: the one that ends with it; the density is the one that was asked for."""
    ends = (STEPS, 2 * STEPS)
    experiment = tiny(
        grid=Grid(learning_rate=RATES, weight_decay=(0.0,), init_scale=(1.0,), seed=(1,)),
        steps=2 * STEPS,
        model=Model(hidden=(8, 6)),
        training=Training(levels=Levels(STEPS)),
        log=Schedule("explicit", at=(0, 2, *ends)),
        snapshots=Snapshots(Schedule("explicit", at=ends), ("parameters",)),
    )
    collapse_jax.train(experiment, tmp_path / "w")
    options = {"draws": 2, "probes": 2, "lanczos": 2, "sigmas": SIGMAS}
    results = collapse_jax.measure(tmp_path / "w", ["flatness", "pac_bayes"], options=options)
    assert results["level"].values.tolist() == [0, 0, 0, 1]
    assert results["level_step"].values.tolist() == [0, 2, STEPS, STEPS]
    weights = 784 * 8 + 8 * 6 + 6 * 10
    density = results["density"].sel(step=list(ends))
    np.testing.assert_allclose(density.isel(step=0), 1.0)
    np.testing.assert_allclose(density.isel(step=1), 1 - round(0.2 * weights) / weights, rtol=1e-6)
    for name in ("tickets", "bound_parts"):
        FIGURES[name](results).canvas.draw()
