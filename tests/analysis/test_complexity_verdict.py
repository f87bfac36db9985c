"""The verdict over sweeps of complexity: intervals and counts that are known, of results that are made up."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr
from synthetic_results import FIT, GROK, make_results

from collapse_jax.experiment.config import Experiment, Task
from scripts import complexity_verdict as verdict

STEPS = np.array([0, 10, 30, 100, 300, 1000, 3000])
DISTORTIONS = np.array([4.0, 1.0, 0.25])
SEEDS = (0, 1, 2)
DECAY, RATE = 0.3, 1e-3
GROKKED = GROK / (RATE * DECAY)  # step 2000
LEVELS = {"regularised": 20e3, "weight decay": 40e3, "none": 90e3}  # bytes at the end


def sweep(level, decays, falls_at, **regularisers):
    """A sweep that peaks at 100 kB at the fit and has fallen to `level` at `falls_at`; -5 kB for a factor e."""
    results = make_results(decays, SEEDS, (RATE,), last=3000)
    steps = results["step"].values
    size = np.where(steps < FIT, 9e3, np.where(steps < falls_at, 100e3, level))
    size = xr.DataArray(size, dims="step") - 5e3 * np.log(xr.DataArray(DISTORTIONS, dims="distortion"))
    size = size.where(results["step"].isin([*STEPS, falls_at - 20, falls_at]))
    size = size.expand_dims({name: results[name] for name in ("weight_decay", "seed")})
    by_distortion = {"complexity": size, "quantised_complexity": 2 * size, "complexity_gap": size * 0 + 7}
    alone = size.isel(distortion=0) * 0
    results = results.assign(**by_distortion, naive_size=alone + 9e5, weight_effective_rank_mean=alone + 40)
    experiment = Experiment(task=Task("modular", modulus=5))
    results.attrs["experiment"] = json.dumps(dataclasses.asdict(experiment))
    return results.assign_coords(distortion=DISTORTIONS, **regularisers)


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
    """Three sweeps of one task: one falls long before it generalises, one after it, one never."""
    folder = tmp_path_factory.mktemp("sweeps")
    made = {
        "regularised": sweep(LEVELS["regularised"], (DECAY,), 1000, spectral_entropy=0.1, weight_noise=0.01),
        "plain": sweep(LEVELS["weight decay"], (DECAY,), 2800),
        "none": sweep(LEVELS["none"], (0.0,), 2800),
    }
    for name, results in made.items():
        results.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    return [str(folder / f"{name}.nc") for name in made]


def test_settings_events_and_falls_are_those_that_were_made(workdirs):
    regularised, plain, none = (setting for path in workdirs for setting in verdict.read(path, 1.1))
    assert [s.name for s in (regularised, plain, none)] == [
        "weight decay 0.3, regularised",
        "weight decay 0.3",
        "none",
    ]
    np.testing.assert_array_equal(regularised.falls(), [[980, 1000]] * 3)
    np.testing.assert_array_equal(plain.falls(), [[2780, 2800]] * 3)
    np.testing.assert_array_equal(none.falls(), [[3000, np.inf]] * 3)  # 90 of 100 kB is no fall
    grok = plain.interval("grok")
    assert ((grok[:, 0] < GROKKED) & (grok[:, 1] >= GROKKED)).all()
    assert verdict.order(regularised.falls(), regularised.interval("grok")) == "3 before, 0 within, 0 after"
    assert verdict.order(plain.falls(), grok) == "0 before, 0 within, 3 after"
    assert verdict.order(none.falls(), none.interval("grok")) == "0 before, 0 within, 0 after"
    np.testing.assert_array_equal(
        regularised.complexity[:, -1], LEVELS["regularised"]
    )  # distortion 1 is the nearest


def test_what_is_printed_and_drawn(workdirs, tmp_path, capsys, monkeypatch):
    file = tmp_path / "figure.png"
    asked = [f"--workdirs={','.join(workdirs)}", f"--figure={file}", "--variables=test_accuracy,complexity_gap"]
    monkeypatch.setattr("sys.argv", ["complexity_verdict.py", *asked])
    verdict.main()
    told = capsys.readouterr().out
    assert "rate at the end in kB: -5 (-5 to -5) ln d + 20 (20 to 20), R2 1 (1 to 1)" in told
    assert "kB at the end by quantisation alone 40 (40 to 40); unquantised 900 (900 to 900)" in told
    assert told.count("falls between 3000 and inf, 3000 and inf, 3000 and inf") == 1
    # Measured of both from the fit on: steps 1000 (20 and 100 kB) and 3000 (20, and 90 or 40).
    where = "at 6 of 6 (seed, step) pairs, steps 1000 to 3000; ratio of means 0.2 to"
    for other, most in (("none", "0.222"), ("weight decay 0.3", "0.5")):
        assert f"is smaller than {other} {where} {most}" in told
    for order, share in (("3 before, 0 within, 0 after", 1), ("0 before, 0 within, 3 after", 0)):
        assert f"fall against grok: {order}; share of the fall that is over by then {share} ({share} to" in told
    assert file.stat().st_size > 10_000


def test_a_peak_before_the_end_that_is_kept_is_no_fall():
    steps = np.array([0, 10, 100, 1000])
    assert verdict.fall(steps, np.array([1.0, 100, 90, 81])) == (1000, np.inf)
    assert verdict.fall(steps, np.array([1.0, 100, 90, 20])) == (100, 1000)
    assert verdict.fall(steps, np.array([1.0, 100, 50, 20])) == (10, 100)  # below the mean of 100 and 20
