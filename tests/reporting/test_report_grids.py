"""Reports of every kind of grid and of several sweeps."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from etils import epath
from report_pages import DECAYS, LAST, SEEDS, check, experiment_of, one_figure, write
from synthetic_results import as_zip, make_results

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.experiment import config
from collapse_jax.reporting.sweeps import load
from collapse_jax.workdir.netcdf import write_dataset
from collapse_jax.workdir.results import open_results
from collapse_jax.workdir.tree import open_tree

__all__ = ["one_figure"]


def test_zip_grids_and_long_seeds(tmp_path):
    results = as_zip(make_results(DECAYS, (1234567, 7), last=LAST))
    page = check(collapse_jax.report(write(tmp_path / "zip", results)))
    assert "4 runs × 3,000 steps" in page.text
    assert any(row[:3] == ["0.3", "0.001", "1234567"] for row in page.rows)
    # Both runs of a weight decay are seeds of one setting.
    assert any(row[:2] == ["0.1", "0.001"] and "[" in row[2] for row in page.rows)


def test_more_axes_have_a_slope_each(tmp_path):
    results = make_results((0.3, 0.1, 0.03), SEEDS, learning_rate=(1e-2, 3e-3), last=LAST)
    page = check(collapse_jax.report(write(tmp_path / "sweep", results)))
    slopes = [row[:2] for row in page.rows if row[0] == "tau_collapse" and row[1].startswith("learning rate")]
    assert slopes == [
        ["tau_collapse", "learning rate 0.01"],
        ["tau_collapse", "learning rate 0.003"],
    ]


def test_without_results_or_manifest(tmp_path):
    workdir = write(tmp_path / "sweep", manifest=False)
    assert "versions, device and data are unknown" in check(collapse_jax.report(workdir)).text
    (workdir / "measures").mkdir()
    (workdir / "results.nc").rename(workdir / "measures" / "nhsic.nc")
    page = check(collapse_jax.report(workdir))
    assert "only what `measure` took" in page.text
    bare = open_results(workdir).drop_vars(["train_accuracy", "test_accuracy", "rnc1", "nc2_condition"])
    write_dataset(bare, epath.Path(workdir / "measures" / "nhsic.nc"))
    assert "there are no time scales" in check(collapse_jax.report(workdir)).text


@pytest.mark.slow
def test_parts_of_static_axes(tmp_path):
    axes = {"depth": (1, 2), "optimizer": ("adamw", "sgd")}
    whole = experiment_of(grid=dataclasses.replace(experiment_of().grid, **axes))
    for leaf in open_tree(epath.Path(tmp_path / "sweep"), whole)[:3]:  # the last has not begun
        write(Path(leaf.path), None, leaf.experiment)
    page = check(collapse_jax.report(tmp_path / "sweep"))
    assert "16 runs (2 depths × 2 optimizers × 2 weight decays × 2 seeds)" in page.text
    assert "4 of 16 runs at step 0" in page.text
    assert any(row[:4] == ["2", "adamw", "0.1", "2"] for row in page.rows)
    assert ["2", "sgd", "0.1", "2", *"-" * 8] in page.rows  # not begun, and no lower bound
    assert ["2", "sgd", "0.1", *"-" * 6] in page.rows
    assert "depth 2, optimizer sgd, weight decay" not in page.text
    assert any(row[:2] == ["tau_fit", "depth 1, optimizer sgd"] for row in page.rows)
    titles = [image["alt"].partition(". ")[0] for image in page.all("img")]
    assert titles[0] == "Programs: depth, optimizer"
    begun = ("depth=1_optimizer=adamw", "depth=1_optimizer=sgd", "depth=2_optimizer=adamw")
    assert titles[1:] == ["Accuracy", *(f"Accuracy ({name})" for name in begun)]
    assert ["git commit", "0123abc"] in page.rows
    assert "size of results.nc" in page.text


def test_several_sweeps_side_by_side(tmp_path):
    first = write(tmp_path / "first")
    second = write(
        tmp_path / "second", make_results((0.1, 0.01), SEEDS, last=LAST), experiment_of(loss="cross_entropy")
    )
    assert main(["report", f"--workdir={first},{second}", f"--out={tmp_path / 'both.html'}"]) == 0
    page = check(tmp_path / "both.html")
    assert ["field", "first", "second", "default"] in page.rows
    differing = [row for row in page.rows if row[0] == "loss"]
    assert differing[0] == ["loss", "'squared_error_sum'", "'cross_entropy'", "'squared_error_sum'"]
    assert len(differing) == 2  # among those that differ, and among all
    assert len([row for row in page.rows if row[0] == "batch_size"]) == 1
    both = {row[1]: row[2:] for row in page.rows if row[0] == "tau_fit" and len(row) == 4 and row[1] != "0"}
    assert list(both) == ["0.01", "0.1", "0.3"]
    assert [bool(cell) for cell in both["0.01"]] == [False, True]
    assert all(both["0.1"])
    assert [image["alt"].partition(".")[0] for image in page.all("img")] == [
        "Accuracy (first)",
        "Accuracy (second)",
    ]
    assert "The thresholds differ" not in page.text


def test_names_of_sweeps_and_the_default_file(tmp_path):
    there = write(tmp_path / "a" / "run")
    other = write(tmp_path / "b" / "run", None, experiment_of(thresholds=config.Thresholds()))
    path = collapse_jax.report([there, other])
    assert path == there / "comparison.html"
    page = check(path)
    assert any(str(there) in row for row in page.rows)
    assert "The thresholds differ" in page.text


DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("results", sorted(DOCS.rglob("results.nc")), ids=lambda path: path.parent.name)
def test_committed_results_are_read(results):
    assert load([results.parent])[0].runs > 0


@pytest.mark.slow  # trains and reports a grid
def test_results_of_static_axes_alone_are_reported(tmp_path):
    (tmp_path / "alone").mkdir()
    shutil.copy(DOCS / "experiments" / "optimizer_mlp" / "results.nc", tmp_path / "alone")
    titles = [
        image["alt"].partition(". ")[0] for image in check(collapse_jax.report(tmp_path / "alone")).all("img")
    ]
    assert titles[0] == "Programs: optimizer"
