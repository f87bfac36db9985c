"""The page in a browser: values under the pointer, lines left out, phones, paper, and no script at all."""

import json
import re

import numpy as np
import pytest
from chromium import chromium, needed
from report_browser import colour_at, names, plots, press, shown_values, spot, told, visit
from report_pages import DECAYS, LAST, THRESHOLDS, check, experiment_of, write
from synthetic_results import make_results

import collapse_jax
from collapse_jax.figures import registry

pytestmark = [needed, pytest.mark.slow]  # a browser starts, and pages are drawn
DESK, PHONE = (1280, 900), (390, 844)
FIGURES = ("phases", "accuracy", "timescales", "heatmap")


@pytest.fixture(scope="module")
def results():
    return make_results(DECAYS, (1, 2), (1e-3, 4e-3), last=LAST, jitter=0.3)


@pytest.fixture(scope="module")
def pages(results, tmp_path_factory):
    """The page of a sweep, and that of two."""
    folder = tmp_path_factory.mktemp("pages")
    one = write(folder / "one", results)
    other = write(folder / "other", results.isel(seed=[0]), experiment_of(loss="cross_entropy"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "FIGURES", {name: registry.FIGURES[name] for name in FIGURES})
        return collapse_jax.report(one), collapse_jax.report([one, other], out=folder / "both.html")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found
    assert not found.complaints
    assert found.requests
    assert all(re.match(r"file:|data:image/webp|about:", request) for request in found.requests)


def test_the_page_is_sound_and_small(pages):
    for page in pages:
        check(page)
    assert len(pages[0].read_bytes()) < 600_000


def test_the_pointer_shows_the_values_of_the_results(browser, pages, results):
    visit(browser, pages[0], DESK)
    phases = plots(pages[0])[0]
    assert names(phases) == [f"λ = {d:g}, η = {r:g}" for d in sorted(DECAYS) for r in (1e-3, 4e-3)]
    runs = results.sel(weight_decay=0.3, learning_rate=4e-3)
    step = int(runs["step"][runs["test_accuracy"].std("seed").argmax("step")])  # where the seeds differ most
    runs = runs.sel(step=step)
    for variable, log in (("RNC1", True), ("test accuracy", False)):
        values = runs["rnc1" if log else "test_accuracy"].values.astype(float)
        mean = np.exp(np.log(values).mean()) if log else values.mean()
        browser.mouse("mouseMoved", *spot(browser, 0, phases, variable, 3, step))
        series, x, y = told(browser).splitlines()
        assert series == "λ = 0.3, η = 0.004"
        assert x == f"training step: {step:,}"
        assert y.startswith(variable)
        np.testing.assert_allclose(shown_values([y]), [mean, values.min(), values.max()], rtol=6e-4)
    browser.mouse("mouseMoved", 2, 2)
    assert told(browser) == ""


def press_run(browser, number, name, run):
    """Press a run of an entry of a figure; runs are folded away."""
    browser.value(
        f"(d => {{ d.open = true; [...d.querySelectorAll('.entries')]"
        f".find(e => e.firstChild.textContent === {json.dumps(name)}).querySelectorAll('button')[{run}].click() }})"
        f"(document.querySelectorAll('figure')[{number}].querySelector('.runs'))"
    )


def drawn_entries(browser, number):
    """Entries of the lines that are drawn anew."""
    groups = f"[...document.querySelectorAll('.frame')[{number}].querySelectorAll('g[data-entry]')]"
    return set(browser.value(f"{groups}.map(g => +g.dataset.entry)"))


def test_a_run_leaves_the_mean_and_range_of_its_setting_in_all_figures(browser, pages, results):
    """Without a run the values are those of the others, by the results; without any, there is no line."""
    visit(browser, pages[0], DESK)
    phases, accuracy = plots(pages[0])[:2]
    name = names(phases)[3]
    runs = results.sel(weight_decay=0.3, learning_rate=4e-3)
    step = int(runs["step"][runs["test_accuracy"].std("seed").argmax("step")])
    press_run(browser, 0, name, 0)
    left = runs.sel(step=step, seed=2)
    # The lines are no longer where they were: arrows go to the step along each.
    for number, plot, variable, label in ((0, phases, "rnc1", "RNC1"), (1, accuracy, "test_accuracy", "test acc")):
        own = dict(xs=plot["xs"], panels=[own_line(panel, 3, variable, left) for panel in plot["panels"]])
        browser.mouse("mouseMoved", *spot(browser, number, plot | own, label, 3, step))
        rows = told(browser).splitlines()
        assert rows[0] == name
        np.testing.assert_allclose(shown_values(rows), [float(left[variable])], rtol=6e-4)
    press_run(browser, 0, name, 1)
    drawn = (
        "[...document.querySelectorAll('.frame')[0].querySelectorAll('g[data-entry]')].map(g => +g.dataset.entry)"
    )
    assert set(browser.value(drawn)) == {0, 1, 2}
    press(browser, 1, "all")
    left_out = "document.querySelectorAll('g[data-entry], .entries [aria-pressed=false]:not(.single)').length"
    assert browser.value(left_out) == 0


def own_line(panel, entry, variable, run):
    """A panel in which a line has the value of one run at its step."""
    lines = []
    for line in panel["lines"]:
        values = list(line["y"])
        if line["entry"] == entry:
            values = [float(run[variable])] * len(values)
        lines.append(line | {"y": values})
    return panel | {"lines": lines}


def test_each_run_has_a_line_of_its_own_where_that_is_asked_for(browser, pages, results):
    for size, phone in ((DESK, False), (PHONE, True)):
        visit(browser, pages[0], size, phone=phone)
        phases = plots(pages[0])[0]
        press_run(browser, 0, "each run", 0)
        assert browser.value("document.documentElement.scrollWidth") <= size[0]
        drawn = (
            "[...document.querySelectorAll('.frame')[0].querySelectorAll('g[data-run]')].map(g => g.dataset.run)"
        )
        means = sum(len(panel["lines"]) for panel in phases["panels"])
        found = browser.value(drawn)
        assert [found.count(run) for run in ("", "seed 1", "seed 2")] == [means] * 3
        step, left = 1000, results.sel(weight_decay=0.3, learning_rate=4e-3, seed=2, step=1000)
        own = [own_line(panel, 3, "rnc1", left) for panel in phases["panels"]]
        at = spot(browser, 0, phases | {"panels": own}, "RNC1", 3, step)
        browser.tap(*at) if phone else browser.mouse("mouseMoved", *at)
        rows = told(browser).splitlines()
        assert rows[0] == f"{names(phases)[3]}, seed 2"
        np.testing.assert_allclose(shown_values(rows), [float(left["rnc1"])], rtol=6e-4)
        press_run(browser, 1, "each run", 0)
        assert not browser.value("document.querySelectorAll('g[data-run]').length")


def test_times_that_stand_beside_their_weight_decay_show_it(browser, pages, results):
    """At desktop and phone width: event, weight decay and time of a run; the event can be left out."""
    taus = collapse_jax.timescales(results, THRESHOLDS)
    for size, phone in ((DESK, False), (PHONE, True)):
        visit(browser, pages[0], size, phone=phone)
        plot = plots(pages[0])[2]
        assert names(plot) == ["Fit", "Grokking", "Collapse"]
        panel, line = next(
            (panel, line)
            for panel in plot["panels"]
            for line in panel["lines"]
            if line["entry"] == 1 and line["name"].endswith("(geometric mean)") and line["place"] == 0.3
        )
        x = plot["xs"][line["x"]][0]
        at = spot(browser, 2, plot | {"panels": [panel | {"lines": [line]}]}, line["name"], 1, x)
        browser.tap(*at) if phone else browser.mouse("mouseMoved", *at)
        rows = told(browser).splitlines()
        assert rows[:2] == ["Grokking", "weight decay λ: 0.3"]
        rate = 1e-3 if panel is plot["panels"][0] else 4e-3
        own = taus["tau_grok"].sel(weight_decay=0.3, learning_rate=rate).values.astype(float)
        shown = float(rows[2].rpartition(": ")[2].replace(",", ""))
        assert shown == pytest.approx(np.exp(np.log(own).mean()), 1e-3)
        press(browser, 2, "Grokking")
        assert drawn_entries(browser, 2) == {0, 2}


def test_cells_of_a_plane_show_their_place_and_value(browser, pages, results):
    visit(browser, pages[0], DESK)
    number = next(i for i, plot in enumerate(plots(pages[0])) if not plot["entries"])
    plot = plots(pages[0])[number]
    (cells,) = plot["panels"][0]["lines"]
    last = results["test_accuracy"].isel(step=-1).mean("seed")
    for i, decay in enumerate(sorted(DECAYS)):
        for j, rate in enumerate((1e-3, 4e-3)):
            at = [k for k, x in enumerate(plot["xs"][cells["x"]]) if (x, cells["y"][k]) == (i + 0.5, j + 0.5)]
            assert cells["z"][at[0]] == pytest.approx(float(last.sel(weight_decay=decay, learning_rate=rate)), 6e-4)
    browser.value(f"document.querySelectorAll('.picture')[{number}].focus()")
    browser.key("ArrowRight")
    rows = told(browser).splitlines()
    assert rows[:2] == ["weight decay λ: 0.1", "learning rate η: 0.001"]
    assert rows[-1].startswith("Test accuracy, at the end: ")


def test_an_entry_leaves_its_lines_out_of_all_panels_and_figures(browser, pages, tmp_path):
    visit(browser, pages[0], DESK)
    phases, accuracy = plots(pages[0])[:2]
    step, name = 1000, names(phases)[1]
    spots = [("RNC1", 0, phases), ("test accuracy", 0, phases), ("test accuracy", 1, accuracy)]

    def darkness():
        found = []
        for variable, number, plot in spots:
            at = spot(browser, number, plot, variable, 1, step)
            browser.mouse("mouseMoved", 2, 2)
            found.append(colour_at(browser, tmp_path, at))
        return found

    assert max(darkness()) < 190
    press(browser, 0, name)
    assert min(darkness()) > 225
    browser.mouse("mouseMoved", *spot(browser, 0, phases, "RNC1", 1, step))
    assert name not in told(browser)
    assert browser.value("document.querySelectorAll('.entries [aria-pressed=false]:not(.single)').length") == 2
    kept = [line["entry"] for panel in phases["panels"] for line in panel["lines"] if line["entry"] != 1]
    drawn = (
        "[...document.querySelectorAll('.frame')[0].querySelectorAll('g[data-entry]')].map(g => +g.dataset.entry)"
    )
    assert sorted(browser.value(drawn)) == sorted(kept)
    press(browser, 1, "all")
    assert max(darkness()) < 190
    assert not browser.value("document.querySelectorAll('g[data-entry]').length")


def test_lines_that_are_drawn_anew_lie_where_they_lay(browser, pages, tmp_path):
    """What is left looks as before: without one entry, the pixels of another line stay dark."""
    visit(browser, pages[0], DESK)
    phases = plots(pages[0])[0]
    before = colour_at(browser, tmp_path, spot(browser, 0, phases, "RNC1", 3, 1000))
    press(browser, 0, names(phases)[0])
    assert abs(colour_at(browser, tmp_path, spot(browser, 0, phases, "RNC1", 3, 1000)) - before) < 40


def test_the_keyboard_goes_along_lines(browser, pages):
    visit(browser, pages[0], DESK)
    browser.value("document.querySelector('.picture').focus()")
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowDown"):
        browser.key(key)
        seen.append(told(browser).splitlines())
    assert [rows[1] for rows in seen] == [f"training step: {step}" for step in (1, 2, 1, 1)]
    assert seen[2] == seen[0] != seen[3]
    browser.key("Escape")
    assert told(browser) == ""
    assert browser.value("document.querySelector('.value').getAttribute('role')") == "status"


def test_a_phone_has_no_wider_page_and_shows_values_at_a_tap(browser, pages):
    for page in pages:
        visit(browser, page, PHONE, phone=True)
        assert browser.value("document.documentElement.scrollWidth") <= PHONE[0]
        plot = plots(page)[0]
        at = spot(browser, 0, plot, "RNC1", 3, 1000)
        browser.tap(*at)
        assert "training step: " in told(browser)
        assert names(plot)[3] in told(browser)
        inside = "(b => b.left >= 0 && b.right <= innerWidth)"
        browser.value("document.querySelector('.picture').focus()")
        for key in ("ArrowLeft", *["ArrowRight"] * 20, *["ArrowDown"] * 9):  # also in other panels
            browser.key(key)
            assert browser.value(f"{inside}(document.querySelector('.value.on').getBoundingClientRect())")
        browser.value("document.querySelector('.picture').focus()")
        assert browser.value("document.documentElement.scrollWidth") <= PHONE[0]
        assert (
            browser.value("document.querySelector('.picture').scrollWidth") > PHONE[0]
        )  # enlarged, in its own box


@pytest.mark.parametrize("scripts", [True, False])
def test_paper_and_a_browser_without_scripts_have_the_pictures(browser, pages, scripts):
    visit(browser, pages[0], DESK, scripts=scripts)
    count = len(plots(pages[0]))
    if scripts:
        press(browser, 0, names(plots(pages[0])[0])[0])
    browser.call("Emulation.setEmulatedMedia", media="print" if scripts else "")
    shown = "filter(i => i.checkVisibility({visibilityProperty: true}) && i.width > 300 && i.alt).length"
    assert browser.value(f"[...document.querySelectorAll('img')].{shown}") == count
    extras = "[...document.querySelectorAll('.controls, .entries, .value, .behind, svg, .scripted')]"
    assert not browser.value(f"{extras}.filter(e => e.checkVisibility()).length")
    assert browser.printed().count(b"/Subtype /Image") >= count
    browser.call("Emulation.setEmulatedMedia", media="")


def test_pictures_of_several_sweeps_are_not_made_small(browser, pages):
    visit(browser, pages[1], DESK)
    widths = browser.value(
        "[...document.querySelectorAll('.frame > img:first-child')].map(i => [i.width, +i.getAttribute('width')])"
    )
    assert len(widths) == 2 * len(FIGURES)
    column = browser.value("document.querySelector('main').clientWidth")
    assert all(width >= min(natural, column) - 3 for width, natural in widths)
    press(browser, 0, names(plots(pages[1])[0])[0])
    assert browser.value("document.querySelectorAll('.changed').length") == 4  # of both sweeps, in two figures
