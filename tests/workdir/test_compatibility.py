"""Workdirs of other versions: what is read, what is continued, and what is refused, with the version that wrote."""

import dataclasses
import importlib.metadata
import json
import os
import re
import shutil
import signal

import harness
import numpy as np
import pytest
from etils import epath

import collapse_jax
from collapse_jax import measures
from collapse_jax.engine import replay, sweep, upgrade
from collapse_jax.errors import Preempted, WorkdirError
from collapse_jax.experiment.config import Experiment
from collapse_jax.experiment.identity import flatten
from collapse_jax.measures.base import Variable
from collapse_jax.workdir import record as records
from collapse_jax.workdir.record import read_experiment, read_record
from collapse_jax.workdir.software import written_by
from collapse_jax.workdir.tree import nodes
from collapse_jax.workdir.verify import verify_workdir

WHAT = harness.experiment(steps=20, every=5)
NORMS = measures.MEASURES["norms"]
VERSION = importlib.metadata.version("collapse-jax")


@pytest.fixture(scope="module")
def half_done(tmp_path_factory):
    """A sweep of this version that was stopped after step 5."""
    workdir = tmp_path_factory.mktemp("upgrades") / "half"
    note = sweep.Sweep._record

    def stopped(self, step, *arguments):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        note(self, step, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep.Sweep, "_record", stopped)
        with pytest.raises(Preempted):
            collapse_jax.train(WHAT, workdir)
    return workdir


@pytest.fixture
def copy(half_done, tmp_path):
    return epath.Path(shutil.copytree(half_done, tmp_path / "copy"))


def with_more(snapshot):
    values = NORMS.function(snapshot)
    return values | {"twice_the_norm": 2 * values["weight_norm"]}


DESCRIBED = {**NORMS.variables, "twice_the_norm": Variable("Twice", "1", "2 ||theta||")}
MORE = dataclasses.replace(NORMS, function=with_more, variables=DESCRIBED)


def with_fewer(snapshot):
    return {name: value for name, value in NORMS.function(snapshot).items() if name != "last_layer_norm"}


def test_a_variable_that_a_later_version_adds_is_nan_before_it_but_where_parameters_are_stored(
    copy, monkeypatch, capsys
):
    monkeypatch.setitem(measures.MEASURES, "norms", MORE)
    results = collapse_jax.train(WHAT, copy)
    assert "twice_the_norm: not measured until now; nan up to step" in capsys.readouterr().err
    norm, twice = results["weight_norm"], results["twice_the_norm"]
    assert norm.notnull().all()
    np.testing.assert_allclose(twice.sel(step=0), 2 * norm.sel(step=0), rtol=1e-6)  # from the snapshot
    assert twice.sel(step=5).isnull().all()
    np.testing.assert_array_equal(twice.sel(step=[15, 20]), 2 * norm.sel(step=[15, 20]))
    assert twice.attrs["definition"] == "2 ||theta||"


def test_a_variable_that_a_later_version_lacks_keeps_its_values_and_its_description(copy, monkeypatch, capsys):
    before = collapse_jax.open_results(copy)["last_layer_norm"]
    reached = before["step"][before.notnull().all(before.dims[:-1])].values
    left = {name: v for name, v in NORMS.variables.items() if name != "last_layer_norm"}
    monkeypatch.setitem(measures.MEASURES, "norms", dataclasses.replace(NORMS, function=with_fewer, variables=left))
    results = collapse_jax.train(WHAT, copy)
    assert "last_layer_norm: no measure of this version; the values up to step" in capsys.readouterr().err
    after = results["last_layer_norm"]
    assert after.attrs == before.attrs
    assert len(reached) >= 2
    np.testing.assert_array_equal(after.sel(step=reached), before.sel(step=reached))
    assert after.sel(step=20).isnull().all()
    assert results["weight_norm"].notnull().all()
    assert not any(wrong for _, wrong in verify_workdir(copy))
    assert len(list(replay.replay_workdir(copy, 1))) == 1


def test_a_variable_of_another_shape_is_refused_with_the_version_that_began(copy):
    begun, now = {"norm": np.zeros((4, 5)), "old": np.zeros((4, 5))}, {"norm": np.zeros((4, 5, 3))}
    message = r"norm was begun .* shape \(\) and now has \(3,\);.*collapse_jax " + re.escape(VERSION)
    with pytest.raises(WorkdirError, match=message):
        upgrade.require_same_shapes(copy, begun, now)


def altered(workdir, change):
    """Write the record as another version would have: changed, with a right checksum."""
    record = read_record(workdir)
    change(record)
    record["crc32"] = records._checksum(record)
    (workdir / records.RECORD).write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("place", "name"),
    [((), "flavour"), (("grid",), "viscosity"), (("training", "levels"), "shape"), (("cut",), "order")],
)
def test_a_field_of_a_later_version_is_named_with_the_version_that_wrote_it(copy, place, name):
    def change(record):
        record["cut"] = {"by": "axes", "count": 0} if place == ("cut",) else None
        inside = record if place == ("cut",) else record["experiment"]
        for group in place:
            inside = inside[group]
        inside[name] = 3
        record["versions"]["collapse_jax"], record["git_commit"] = "7.8.9", "abcdef"

    altered(copy, change)
    with pytest.raises(WorkdirError) as refused:
        read_record(copy)
    field = ".".join((*place, name))
    assert f"says {field}=3, of which this version of collapse_jax, {VERSION}, knows nothing" in str(refused.value)
    assert "written by collapse_jax 7.8.9 (commit abcdef)" in str(refused.value)
    assert "damaged" not in str(refused.value)
    for read in (collapse_jax.open_results, lambda workdir: list(nodes(workdir))):
        with pytest.raises(WorkdirError, match="knows nothing"):
            read(copy)


def test_a_record_of_an_earlier_version_lacks_fields_and_means_their_defaults(copy, monkeypatch):
    """Each field that did not exist yet: the sweep is the same one, and goes on.

    When it is finished, a measure with one variable more adds none, which would be nan everywhere and hide what
    `measure` takes later.
    """
    default = flatten(Experiment())

    def change(record):
        flat = flatten(read_experiment(record))

        def lean(values, prefix=""):
            return {
                name: lean(value, f"{prefix}{name}.") if isinstance(value, dict) else value
                for name, value in values.items()
                if isinstance(value, dict) or flat[prefix + name] != default[prefix + name]
            }

        record["experiment"] = lean(record["experiment"])
        del record["versions"], record["git_commit"]

    altered(copy, change)
    assert len(flatten_record(read_record(copy)["experiment"])) < len(default) / 2
    assert read_experiment(read_record(copy)).steps == WHAT.steps
    assert written_by(read_record(copy)) == "collapse_jax of an unknown version"
    results = collapse_jax.train(WHAT, copy)
    assert results["weight_norm"].notnull().all()
    monkeypatch.setitem(measures.MEASURES, "norms", MORE)
    assert collapse_jax.train(WHAT, copy).identical(results)


def flatten_record(values):
    return [leaf for v in values.values() for leaf in (flatten_record(v) if isinstance(v, dict) else [v])]
