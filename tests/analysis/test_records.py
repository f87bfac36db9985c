"""`show --format=json|csv`: every number stands in the results; strict JSON; CSV that pandas reads."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from report_pages import LAST, experiment_of, write
from synthetic_results import COLLAPSE, diverge, make_results

from collapse_jax import open_results, slopes
from collapse_jax.__main__ import main
from collapse_jax.analysis import records, timescales

DECAYS, SEEDS = (1.0, 0.001), (1, 2)


@pytest.fixture(scope="module")
def results():
    """Of two weight decays, of which the small one does not collapse; one run has diverged."""
    return diverge(make_results(DECAYS, SEEDS, last=LAST), 70, weight_decay=1.0, seed=2)


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_has_a_record_for_each_run_with_the_numbers_of_the_results(results):
    runs = strict(records.as_json(results))["runs"]
    assert [(run["weight_decay"], run["seed"]) for run in runs] == [(d, s) for d in DECAYS for s in SEEDS]
    taus = timescales(results)
    for run in runs:
        at = {name: run[name] for name in ("weight_decay", "seed")}
        own = results["rnc1"].sel(at).dropna("step")
        assert run["rnc1"] == pytest.approx(own.values[-1])
        applicable = taus["collapse_applicable"].sel(at).item()
        assert run["tau_collapse_applicable"] == applicable
        assert run["tau_collapse"] == (taus["tau_collapse"].sel(at).item() if applicable else None)
    healthy, diverged, small, _ = runs
    assert healthy["tau_collapse"] == pytest.approx(COLLAPSE / 1e-3, rel=0.05)
    assert healthy["tau_collapse_lower"] < healthy["tau_collapse"] <= healthy["tau_collapse_upper"]
    assert healthy["tau_collapse_censored"] is False
    assert (diverged["diverged_at"], healthy["diverged_at"], healthy["retired_at"]) == (70, None, None)
    assert small["tau_collapse_censored"] is True
    assert (small["tau_collapse_upper"], small["tau_collapse"]) == (None, LAST)


def test_pandas_reads_the_csv_as_the_records(results):
    frame = pd.read_csv(io.StringIO(records.as_csv(results)))
    runs = strict(records.as_json(results))["runs"]
    assert list(frame) == list(runs[0])
    for name in frame:
        expected = pd.Series([run[name] for run in runs], dtype=float)
        np.testing.assert_array_equal(frame[name].astype(float), expected)


def test_the_command_prints_them(tmp_path, capsys):
    workdir = write(tmp_path / "w")
    assert main(["show", f"--workdir={workdir}", "--format=json", "--thresholds.rnc1=0.5"]) == 0
    told = strict(capsys.readouterr().out)
    assert told["thresholds"]["rnc1"] == 0.5
    assert told["title"] == experiment_of().name
    fitted = slopes(timescales(open_results(workdir), {"rnc1": 0.5}))
    assert told["slopes"]
    for slope in told["slopes"]:
        assert slope["slope"] == fitted["slope"].sel(tau=slope["tau"]).item()
    assert main(["show", f"--workdir={workdir}", "--format=csv"]) == 0
    assert len(pd.read_csv(io.StringIO(capsys.readouterr().out))) == len(told["runs"]) == 4
    assert main(["show", f"--workdir={workdir}", "--format=xml"]) == 2
    said = capsys.readouterr().err
    assert said == "collapse-jax: --format='xml': unknown --format; known: csv, json, table\n"
