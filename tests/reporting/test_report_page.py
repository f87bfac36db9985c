"""The report: one HTML file that is whole, escaped, and says what the tables say."""

import os
import re

import numpy as np
import pytest
import xarray as xr
from etils import epath
from report_pages import DECAYS, LAST, SEEDS, THRESHOLDS, check, experiment_of, one_figure, write
from synthetic_results import diverge, make_results

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.analysis import tables
from collapse_jax.analysis.summary import summarise
from collapse_jax.reporting.page import templates
from collapse_jax.reporting.sweeps import sizes
from collapse_jax.reporting.tables import Table, spread
from collapse_jax.workdir.results import open_results

__all__ = ["one_figure"]


@pytest.fixture
def all_figures():
    """Ask for all figures."""


def test_the_report_of_a_sweep(all_figures, tmp_path, capsys):
    # At this rate all runs collapse in time.
    workdir = write(tmp_path / "sweep", make_results(DECAYS, SEEDS, learning_rate=(4e-3,), last=LAST))
    before = {path: path.read_bytes() for path in workdir.rglob("*")}
    assert main(["report", f"--workdir={workdir}"]) == 0
    assert capsys.readouterr().out == f"{workdir / 'report.html'}\n"
    page = check(workdir / "report.html")
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in workdir.iterdir()} == {"results.nc", "experiment.json", "report.html"}
    assert "4 runs (2 weight decays × 2 seeds) × 3,000 steps, finished." in page.text
    summary = summarise(open_results(workdir), THRESHOLDS)
    for row in tables.run_rows(summary) + tables.setting_rows(summary):
        assert row in page.rows
    assert ["tau_collapse", "-1", tables.slope_text(summary.slopes[2])] in page.rows
    for row in tables.survival_rows(summary):
        assert row in page.rows
    assert len(page.all("img")) >= 5  # survival, phases, timescales, collapse_time, timeline
    assert "bounds: " in page.text  # could not be drawn, and why
    assert ["grid.seed", "(1, 2)", "(0,)"] in page.rows
    assert ["git commit", "0123abc"] in page.rows
    assert ["data (SHA-256)", "train_inputs [100, 784]: ab12"] in page.rows
    assert ["packing", "4 runs on 2 device(s), 1 per tile"] in page.rows


def test_the_same_workdir_gives_the_same_file(tmp_path):
    workdir = write(tmp_path / "sweep")
    first = collapse_jax.report(workdir).read_bytes()
    assert collapse_jax.report(str(workdir), out=tmp_path / "new" / "other.html").read_bytes() == first


def test_whatever_users_write_is_text(tmp_path):
    name = "<script>alert('1 & 2')</script>\"><b>"
    results = make_results(DECAYS, SEEDS, last=LAST)
    results["rnc1"].attrs["definition"] = "</td><script>"
    page = check(collapse_jax.report(write(tmp_path / "a<b>&'\"", results, experiment_of(name=name))))
    assert name in page.texts
    assert "</td><script>" in page.texts


def test_headers_break_after_underscores_and_name_what_heads_a_row():
    macros = templates().get_template("macros.html.j2").module
    built = macros.table(Table("Runs", ["seed", "nc2_<x>"], [["1", "2_3"]], kind="numbers"))
    assert '<th scope="col" class="name">seed</th><th scope="col">nc2_<wbr>&lt;x&gt;</th>' in built
    assert '<th scope="row">1</th><td>2_3</td>' in built
    assert '<table class="numbers">' in built
    assert '<table class="numbers wide">' in macros.table(Table("", list("abcdefghijklm"), [], kind="numbers"))


def test_sizes_are_those_on_disk(tmp_path, monkeypatch):
    for name, size in {
        "snapshots/0/a": 3,
        "snapshots/0/b": 4,
        "parts/shard-0-of-1/checkpoints/x/y": 5,
        "notes": 9,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert sizes(epath.Path(tmp_path)) == {"snapshots": 7, "checkpoints": 5}
    size_of = os.path.getsize
    # A sweep that trains deletes files between the listing and the reading.
    monkeypatch.setattr(os.path, "getsize", lambda path: (os.remove(path), size_of(path)))
    assert sizes(epath.Path(tmp_path)) == {}


def unpadded(table):
    return re.sub(" +", " ", table)


def test_settings_count_diverged_runs_and_leave_out_their_last_values():
    results = make_results((0.1, 0.3), range(5), last=LAST)
    results["test_accuracy"][:] = xr.where(results["step"] < 20, 0.1, 0.9)
    results = diverge(diverge(results, 20, weight_decay=0.1, seed=3), 20, weight_decay=0.3)
    summary = summarise(results, THRESHOLDS)
    header, *rows = tables.setting_rows(summary)
    cells = [row[header.index("test_accuracy")] for row in rows]
    assert cells == ["0.9 [0.9, 0.9] (1 diverged)", "- (5 diverged)"]
    assert f"| 0.1 | {cells[0]} |" in unpadded(tables.seeds_table(results, THRESHOLDS))
    assert spread(cells[0]) == ("0.9", " [0.9, 0.9] (1 diverged)")
    assert spread(cells[1]) == ("-", " (5 diverged)")
    shown = (
        templates()
        .get_template("macros.html.j2")
        .module.table(Table("", ["", ""], [["a", cells[0]]], 1, "numbers"))
    )
    assert '<td>0.9<span class="range"> [0.9, 0.9] (1 diverged)</span></td>' in shown


def test_text_tables_take_words_and_whole_numbers():
    results = make_results(DECAYS, (1234567, 8), last=LAST)
    words = xr.concat([results, results], xr.Variable("optimizer", np.array(["adamw", "sgd"])))
    shown = tables.runs_table(words, THRESHOLDS).splitlines()
    assert shown[1].split()[:3] == ["adamw", "0.3", "1234567"]
    assert len({len(line) for line in shown[:9]}) == 1
    assert "slope of tau_fit against weight decay at optimizer sgd" in "\n".join(shown)
    assert "| sgd | 0.1 |" in unpadded(tables.seeds_table(words, THRESHOLDS))
