"""What a report warns of: crafted sweeps, each with one thing wrong, and one with nothing wrong."""

import dataclasses
import json

import xarray as xr
from report_pages import DECAYS, LAST, SEEDS, check, experiment_of, one_figure, write
from synthetic_results import diverge, make_results

import collapse_jax
from collapse_jax.experiment import config
from collapse_jax.reporting.cautions import cautions
from collapse_jax.reporting.sweeps import load

__all__ = ["one_figure"]


def found(tmp_path, results, **changes):
    return cautions(load([write(tmp_path / "sweep", results, experiment_of(**changes))])[0])


def test_a_sound_sweep_has_no_warnings(tmp_path):
    grid = config.Grid(weight_decay=DECAYS, seed=tuple(range(10)))
    results = make_results(DECAYS, range(10), last=LAST, jitter=0.02)
    results["mi"], results["mi_null"], results["mi_p"] = (results["rnc1"] * 0 + value for value in (1, 0, 1e-5))
    loose = config.Thresholds(train_accuracy=0.9, test_accuracy=0.15, rnc1=0.2)
    assert found(tmp_path, results, grid=grid, thresholds=loose) == []


def test_classes_without_training_examples_are_named(tmp_path):
    sweep = load([write(tmp_path / "sweep", make_results(DECAYS, SEEDS, last=LAST), experiment_of())])[0]
    for counts, said in (([12, 0, 3], True), ([5, 5, 5], False)):
        lines = cautions(dataclasses.replace(sweep, manifests=[{"data": {"train_class_counts": counts}}]))
        assert ("There was no training example of 1 of the 3 classes: 1." in lines) == said


def warned(lines, start):
    return next(line for line in lines if line.startswith(start))


def test_warnings_name_runs_and_steps(tmp_path):
    results = diverge(make_results(DECAYS, SEEDS, last=LAST), 150, weight_decay=0.1, seed=2)
    results["kept"] = results["rnc1"] * 1.0
    results["kept"].attrs["measured"] = json.dumps({"measure": "nhsic", "options": {"mode": "reference"}})
    for name in ("nhsic_zx", "nhsic_zx_null", "nhsic_zx_p", "mi_zx", "mi_zx_null"):
        results[name] = results["rnc1"] * 0 + 0.5
    lines = found(tmp_path, results, thresholds=config.Thresholds(test_accuracy=0.99, rnc1=1e-9))
    assert lines[0].startswith("1 of 4 runs diverged")
    assert "weight decay 0.1, seed 2 at step 150" in lines[0]
    assert "weight decay 0.3, seed 1; weight decay 0.3, seed 2" in warned(lines, "tau_grok of 4 of 4 runs")
    assert warned(lines, "2 seeds:")
    assert "kept" in warned(lines, "nhsic was measured with mode=reference")
    assert "nhsic_zx in 3 of 3 runs" in warned(lines, "In the range of its null")
    assert warned(lines, "Measured with a null of one permutation").endswith(": mi_zx.")


def test_nulls_of_labelled_split_and_noisy_measures_are_found(tmp_path):
    results = make_results(DECAYS, SEEDS, last=LAST)
    inside, outside = results["rnc1"] * 0 + 0.02, results["rnc1"] * 0 + 1e-6
    kinds = {
        ("nhsic_zx", "_reference"): inside,
        ("nhsic_zx", "_test_mine"): inside,
        ("nhsic_zx", ""): outside,
        ("noisy_zy_sigma010", ""): inside,
        ("noisy_zy_sigma010", "_test"): outside,
    }
    for (name, suffix), values in kinds.items():
        stem, sigma, rest = name.partition("_sigma")
        record = {"measured": json.dumps({"measure": "nhsic", "options": {}, "suffix": suffix})}
        results[name + suffix] = inside.assign_attrs(record)
        results[f"{stem}_null{sigma}{rest}{suffix}"] = inside.assign_attrs(record)
        # 2 % would do for one value, not for the 20 that are tested.
        results[f"{stem}_p{sigma}{rest}{suffix}"] = values.assign_attrs(record)
    line = warned(found(tmp_path, results), "In the range of its null")
    named = ("nhsic_zx_reference", "nhsic_zx_test_mine", "noisy_zy_sigma010")
    assert line.endswith("; ".join(f"{name} in 4 of 4 runs" for name in named) + ".")


def test_nulls_are_read_at_the_last_step_of_each_program(tmp_path):
    results = make_results(DECAYS, SEEDS, last=LAST)
    values = {"adamw": 1e-4, "sgd": 1e-5, "gd": 0.3}
    blank = results["rnc1"] * 0
    parts = [results.assign(mi=blank, mi_null=blank, mi_p=blank + p) for p in values.values()]
    # The programs were measured at different last steps.
    parts[1]["mi_p"] = parts[1]["mi_p"].where(parts[1]["step"] < LAST)
    joined = xr.concat(parts, xr.Variable("optimizer", list(values)))
    line = warned(found(tmp_path, joined), "In the range of its null")
    assert line.endswith("mi in 4 of 12 runs.")


def test_warning_of_a_coarse_schedule(tmp_path):
    results = make_results(DECAYS, SEEDS, last=LAST)
    assert not any("factor" in line for line in found(tmp_path, results))
    lines = found(tmp_path, results.sel(step=[0, 100, 1100, LAST]))
    assert "factor of up to 10.9" in warned(lines, "tau_fit of 4 of 4 runs is known only")


def test_unfinished_sweeps_say_how_far(tmp_path):
    results = make_results(DECAYS, SEEDS, last=LAST, done=1000)
    results["test_accuracy"][{"weight_decay": 0, "seed": 0}] = 0.5  # one run is done
    workdir = write(tmp_path / "sweep", results)
    page = check(collapse_jax.report(workdir))
    assert "3 of 4 runs at step 1,000 of 3,000" in page.text
    assert "1 finished." in page.text
    (workdir / "writer.lock").touch()
    assert "a process trains here" in cautions(load([workdir])[0])[0]
