"""The figure of accuracies: what its lines are, programs over each other, and what it refuses."""

import numpy as np
import pytest
from figure_texts import check, note
from synthetic_results import as_zip, diverge, join_parts, make_results

from collapse_jax.figures import FIGURES, NotDrawableError
from collapse_jax.figures import accuracy as module

MASKS = ("", "folder/subnetwork.npz")


@pytest.fixture(scope="module")
def results():
    return make_results(weight_decay=(0.03, 0.3), seed=(0, 1, 2), jitter=0.2, last=10_000)


@pytest.fixture(scope="module")
def programs(results):
    """Of the second mask no run fits."""
    worse = results.assign(test_accuracy=results["test_accuracy"] / 2)
    return join_parts({"mask": MASKS}, [({"mask": MASKS[0]}, results), ({"mask": MASKS[1]}, worse)])


def drawn(axes, name):
    return [line for line in axes.get_lines() if line.get_gid() == name]


CASES = {
    "product": lambda r: r,
    "zip": as_zip,
    "one_run": lambda r: r.isel(seed=[0], weight_decay=[1]),
    "diverged": lambda r: diverge(r, 900, weight_decay=0.3, seed=1),
    "alone": lambda r: r[["test_accuracy", "diverged_at"]],
}


@pytest.mark.parametrize("case", CASES)
def test_it_draws(case, results):
    figure = FIGURES["accuracy"](CASES[case](results))
    check(figure)
    assert len(figure.axes) == (1 if case == "alone" else 2)


def test_lines_are_means_over_seeds_of_both_sets(results):
    for axes, name in zip(FIGURES["accuracy"](results).axes, ("train_accuracy", "test_accuracy"), strict=True):
        for line, decay in zip(drawn(axes, name), results["weight_decay"].values, strict=True):
            mean = results[name].sel(weight_decay=decay, step=line.get_xdata()).mean("seed")
            np.testing.assert_allclose(line.get_ydata(), mean, rtol=1e-6)


def test_programs_lie_over_each_other_in_a_row_per_setting_and_masks_are_named_by_their_files(programs):
    figure = FIGURES["accuracy"](programs)
    check(figure)
    rows = np.array(figure.axes).reshape(2, 2)
    for row, decay in zip(rows, programs["weight_decay"].values, strict=True):
        assert row[0].get_ylabel() == f"λ = {decay:g}\naccuracy"
        for axes, name in zip(row, ("train_accuracy", "test_accuracy"), strict=True):
            first, second = drawn(axes, name)
            assert first.get_color() != second.get_color()
            for line, mask in zip((first, second), MASKS, strict=True):
                mean = programs[name].sel(weight_decay=decay, mask=mask, step=line.get_xdata()).mean("seed")
                np.testing.assert_allclose(line.get_ydata(), mean, rtol=1e-6)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["none", "subnetwork"]
    assert legend.get_title().get_text() == "mask"


def test_a_program_that_has_not_begun_is_left_out(results):
    begun = join_parts({"mask": MASKS}, [({"mask": MASKS[1]}, results)])
    assert [len(drawn(axes, "test_accuracy")) for axes in FIGURES["accuracy"](begun).axes] == [0, 1, 0, 1]


def test_settings_beyond_the_last_row_are_counted(programs, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 1)
    figure = FIGURES["accuracy"](programs)
    assert len(figure.axes) == 2
    assert "1 further settings are not shown." in note(figure)


def test_what_is_missing_is_said(results):
    with pytest.raises(NotDrawableError, match="none of train_accuracy, test_accuracy is in the results"):
        FIGURES["accuracy"](results[["rnc1", "diverged_at"]])
