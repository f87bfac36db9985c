"""What a measure does on the host, in a type of its own and along axes of its own, on stored snapshots."""

import bz2
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import threadpoolctl
import xarray as xr

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.errors import ConfigError
from collapse_jax.measures import MEASURES, Measure, Variable, measure_arrays
from collapse_jax.measuring.host import finish_each

STEPS = (0, 11, 40)


@pytest.fixture
def register(monkeypatch):
    """Register a measure for one test."""
    return lambda measure: monkeypatch.setitem(MEASURES, measure.name, measure)


def variable(*dims):
    return Variable("Test", "1", "of a test", dims)


@pytest.mark.parametrize(("alone", "expected"), [(True, 1), (False, 2)])
def test_a_measure_that_is_taken_alone_factorises_in_one_thread(stored, register, alone, expected):
    def threads(_):
        scipys = [each for each in threadpoolctl.threadpool_info() if "scipy.libs" in each["filepath"]]
        return np.float32(scipys[0]["num_threads"])

    def function(snapshot):
        shape = jax.ShapeDtypeStruct((), np.float32)
        return {
            "lapack": jax.pure_callback(threads, shape, snapshot.train.features[0, 0], vmap_method="sequential")
        }

    name = f"lapack_{expected}"
    register(Measure(name, function, {"lapack": variable()}, one_by_one=alone))
    with threadpoolctl.threadpool_limits(2):
        collapse_jax.measure(stored, name, steps=STEPS[0])
        assert threads(None) == 2
    values = collapse_jax.open_results(stored / "measures" / f"{name}.nc")["lapack"].values
    assert set(values.ravel()) == {expected}


def test_prepare_is_called_once_with_the_data_alone_and_finish_per_run_and_step(stored, register):
    seen, ends = [], []

    def prepare(snapshot, *, power: int = 1):
        seen.append({kind: (p.features.shape, p.logits, len(p.labels)) for kind, p in snapshot.probes.items()})
        return {"mean": np.float32(np.mean(np.asarray(snapshot.train.inputs)) ** power)}

    def function(snapshot):
        return {"total": snapshot.train.features.sum(), "m": snapshot.prepared["mean"]}

    def finish(values, *, power: int = 1):
        ends.append(values["total"].shape)
        assert isinstance(values["total"], np.ndarray | np.generic)
        return {"host_total": values["total"] * 2, "host_mean": values["m"], "host_power": power}

    names = ("host_total", "host_mean", "host_power")
    register(Measure("host", function, {n: variable() for n in names}, prepare=prepare, finish=finish))
    results = collapse_jax.measure(stored, "host", options={"power": "3"})
    assert seen == [{"train": ((100, 0), None, 100), "test": ((150, 0), None, 150)}]
    assert ends == [()] * (1 + 4 * len(STEPS))  # once for the shapes
    snapshots = collapse_jax.open_snapshots(stored)
    for weight_decay in (0.1, 0.01):
        for step in STEPS:
            run = {"weight_decay": weight_decay, "seed": 2}
            own = results.sel(run | {"step": step})
            expected = 2 * np.sum(np.asarray(snapshots.snapshot(step, run).train.features, np.float64))
            assert own.host_total.item() == pytest.approx(expected, rel=1e-5)
            assert own.host_power.item() == 3
    mean = np.mean(np.asarray(snapshots.data.train_inputs)) ** 3
    assert np.unique(results.host_mean.dropna("step")).item() == pytest.approx(mean, rel=1e-5)


def test_a_wrong_finish_is_one_line(register, stored):
    end = {"finish": lambda values: {"b": values["c"]}}
    register(Measure("bad", lambda s: {"a": s.train.features.sum()}, {"b": variable()}, **end))
    with pytest.raises(ConfigError, match=r"measures='bad': finish: .*KeyError.*'c'"):
        collapse_jax.measure(stored, "bad")


def test_finish_keeps_the_order_of_the_runs():
    measure = Measure("ordered", lambda s: {}, {}, finish=lambda v: {"b": np.float64(v["a"]) ** 2})
    values = np.arange(300.0)
    np.testing.assert_array_equal(finish_each(measure, {"a": values})["b"], values**2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"finish": lambda values: values}, "ends on the host"),
        ({"dtype": "float64"}, "is taken in float64, the sweep is float32"),
    ],
)
def test_what_cannot_be_taken_while_a_sweep_trains(register, tiny, tmp_path, change, message):
    register(Measure("later", lambda s: {"a": s.train.features.sum()}, {"a": variable()}, **change))
    with pytest.raises(ConfigError, match=f"measures='later': {message}.*stored snapshots"):
        collapse_jax.train(tiny(measures=("later",)), tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_float64_of_a_float32_sweep_keeps_the_bits_of_its_features(stored, register):
    def features(snapshot):
        values = snapshot.train.features[:7]
        return {"bits": values, "sums": jnp.sum(jnp.exp(values), axis=1)}

    described = {"bits": variable("row", "column"), "sums": variable("row")}
    found = {}
    for dtype in ("", "float64"):
        register(Measure("features", features, described, dtype=dtype))
        label = dtype or "float32"
        collapse_jax.measure(stored, "features", label=label)
        found[label] = xr.load_dataset(stored / "measures" / f"features_{label}.nc", engine="h5netcdf")
    single, double = found["float32"].bits_float32.values, found["float64"].bits_float64.values
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    assert np.ptp(single) > 0.1
    np.testing.assert_array_equal(single, double)
    exact = np.sum(np.exp(double), axis=-1)
    np.testing.assert_allclose(found["float64"].sums_float64.values, exact, rtol=1e-14)
    assert np.max(np.abs(found["float32"].sums_float32.values - exact)) > 1e-9  # float32 would not do


def test_float64_of_arrays(register):
    double = Measure("double", lambda s: {"sum": s.train.features.sum()}, {"sum": variable()}, dtype="float64")
    register(double)
    features = np.array([[1.0, 1e-12], [0.0, 0.0]])
    value = measure_arrays("double", train_features=features, train_labels=[0, 0])["sum"]
    assert (
        value
        == 1 + 1e-12
        != measure_arrays(lambda s: s.train.features.sum(), train_features=features, train_labels=[0, 0]).popitem()[
            1
        ]
    )


@pytest.mark.slow  # compiles several measures
def test_coordinates_of_own_axes(stored):
    results = collapse_jax.measure(stored, ["layerwise", "balancedness", "margins"], options={"pairs": "(2, 1),"})
    assert results.coords["layer"].values.tolist() == [0, 1]
    assert results.layer_pair.values.tolist() == ["0-1", "1-2"]
    assert results.pair.values.tolist() == ["2-1"]
    assert results.margin_error.sel(pair="2-1", side="b").dims == ("weight_decay", "seed", "step")
    assert results.margin_quantiles.sel(quantile=0.5).notnull().any()
    layers = xr.load_dataset(stored / "measures" / "layerwise.nc", engine="h5netcdf")
    assert layers.layer_rnc1.sel(layer=1).dims == ("weight_decay", "seed", "step")
    # Other pairs are another axis, not the same one under other names.
    other = collapse_jax.measure(stored, "margins", options={"pairs": "(0, 1),"}, label="z")
    assert other.margin_error.pair.item() == "2-1"
    assert other.margin_error_z.pair_margins_z.item() == "0-1"


def test_coordinates_must_fit(stored, register):
    wrong = Measure(
        "wrong", lambda s: {"v": s.train.features[0]}, {"v": variable("axis")}, coords=lambda s: {"axis": [1, 2]}
    )
    register(wrong)
    with pytest.raises(ConfigError, match=r"measures='wrong': v has shape \(12,\); its axes"):
        collapse_jax.measure(stored, "wrong")


def test_the_network_and_its_beginning(stored):
    """At step 0 nothing has moved, exactly; later the distance is that of the stored parameters."""
    results = collapse_jax.measure(stored, ["distance", "compressed_size"])
    moved = results.distance_from_initial
    assert (moved.sel(step=0) == 0).all()
    assert (moved.sel(step=11) > 0).all()
    snapshots = collapse_jax.open_snapshots(stored)
    first, last = (snapshots.snapshot(step, {"weight_decay": 0.01, "seed": 2}) for step in STEPS[:2])
    square = sum(
        np.sum((np.float64(last.params[layer][leaf]) - np.float64(first.params[layer][leaf])) ** 2)
        for layer in first.params
        for leaf in first.params[layer]
    )
    assert moved.sel(step=11, weight_decay=0.01, seed=2).item() == pytest.approx(square**0.5, rel=1e-4)
    logits, layers = last.apply(last.params, last.test.examples)
    np.testing.assert_allclose(logits, last.test.logits, rtol=1e-5, atol=1e-5)
    assert [layer.shape[1] for layer in layers] == [16, 12]
    losses = last.loss(logits, last.test.labels)
    assert losses.shape == last.test.labels.shape
    assert int(last.step) == 11
    assert float(last.hyperparameters.weight_decay) == pytest.approx(0.01)
    assert float(results.compressed_size.sel(step=0).max()) < float(results.compressed_size_exact.sel(step=0).min())
    assert np.isfinite(results.coarse_loss_change.sel(step=list(STEPS))).all()


@pytest.mark.slow  # compiles a large measure
def test_complexity_of_stored_runs(stored):
    """Of every run and step, with squared error: feasible, ordered, and along axes of its own."""
    results = collapse_jax.measure(stored, "complexity", options={"distortions": "(0.5, 0.01)"})
    assert results.distortion.values.tolist() == [0.5, 0.01]
    assert results["matrix"].values.tolist() == ["head/kernel", "hidden_0/kernel", "hidden_1/kernel"]
    sizes = results.complexity.sel(step=list(STEPS))
    assert sizes.dims == ("weight_decay", "seed", "step", "distortion")
    assert (sizes.sel(distortion=0.01) >= sizes.sel(distortion=0.5)).all()
    assert (sizes <= results.naive_size.sel(step=list(STEPS))).all()
    reached = abs(results.complexity_distortion.sel(step=list(STEPS)))
    assert (reached < results.distortion).all()
    assert (results.weight_effective_rank.sel(step=0) > 1).all()


@pytest.mark.parametrize("distortions", ["(1.0, 0.0)", "(-0.5,)"])
def test_a_distortion_that_is_not_positive_is_one_line_and_exit_code_2(stored, capsys, distortions):
    words = ["--measures=complexity", f"--options=distortions={distortions}"]
    assert main(["measure", f"--workdir={stored}", *words]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("collapse-jax: ")
    assert f"distortions={distortions}: must be numbers > 0" in said


def test_arrays_go_through_prepare_and_finish_too(register):
    def function(snapshot):
        return {"centred": snapshot.train.features - snapshot.prepared}

    measure = Measure(
        "both",
        function,
        {"largest": variable()},
        prepare=lambda snapshot: snapshot.train.inputs.mean(),
        finish=lambda values, *, power=1: {"largest": np.max(values["centred"]) ** power},
    )
    register(measure)
    arrays = {"train_features": [[1.0, 5.0], [0.0, 0.0]], "train_labels": [0, 0], "inputs": [[2.0, 4.0]] * 2}
    assert measure_arrays("both", **arrays, power=3) == {"largest": 8.0}


def test_the_example_of_the_documentation(stored, tmp_path):
    text = (pathlib.Path(__file__).parents[2] / "docs" / "measure.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "SIGNS" in block)
    (tmp_path / "mine.py").write_text(code)
    results = collapse_jax.measure(stored, f"{tmp_path}/mine.py:SIGNS", options={"level": "1"})
    kernel = np.asarray(collapse_jax.open_snapshots(stored).snapshot(11, 0).params["head"]["kernel"])
    expected = len(bz2.compress(np.sign(kernel).astype(np.int8).tobytes(), 1))
    assert results.sign_bytes.sel(step=11, weight_decay=0.1, seed=1).item() == expected
