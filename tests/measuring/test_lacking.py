"""Measures of networks that lack a head or its bias, and of runs that draw their own labels; codes of inputs."""

import jax
import numpy as np
import pytest

import collapse_jax
from collapse_jax.__main__ import main
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Schedule, Snapshots
from collapse_jax.measures import measure_arrays
from collapse_jax.measures.estimators import autoencoder, input_codes

SOURCE = """
from flax import linen as nn
from collapse_jax.models import ModelInfo

class Net(nn.Module):
    head: str
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(6, name='hidden_0')(x.reshape(len(x), -1)))
        return nn.Dense(10, use_bias=False, name=self.head)(x), (x,)

NO_BIAS = ModelInfo(make=lambda c, k, v: Net('head'), inputs=('image',))
NO_HEAD = ModelInfo(make=lambda c, k, v: Net('last'), inputs=('image',))
"""
AT = Schedule("explicit", at=(2,))


@pytest.fixture
def experiment(tiny, tmp_path):
    """Two steps of one run of a network."""
    (tmp_path / "nets.py").write_text(SOURCE)
    fields = {"steps": 2, "log": AT, "snapshots": Snapshots(AT, ("parameters",), 50)}

    def make(name, **changes):
        grid = Grid(weight_decay=(0.1,), init_scale=(1.0,), seed=(1,))
        return tiny(**{"model": Model(f"{tmp_path}/nets.py:{name}"), "grid": grid, **fields, **changes})

    return make


def test_without_a_head_measures_that_need_one_say_so(experiment, tmp_path):
    workdir = tmp_path / "w"
    with pytest.raises(ConfigError, match=r"measures='margins': needs 'head', which the model .*NO_HEAD does"):
        collapse_jax.train(experiment("NO_HEAD", measures=("norms", "margins")), workdir)
    assert not workdir.exists()
    results = collapse_jax.train(experiment("NO_HEAD", measures=("norms", "collapse")), workdir)
    assert (results.weight_norm > 0).all()
    assert not {"last_layer_norm", "nc3_self_duality"} & set(results.data_vars)
    with pytest.raises(ConfigError, match="measures='generalisation': needs 'head', which this network does"):
        collapse_jax.measure(workdir, "generalisation")
    assert "spectral_entropy" in collapse_jax.measure(workdir, "spectrum")


@pytest.mark.slow
def test_without_a_bias_everything_is_measured_as_with_a_bias_of_zero(experiment, tmp_path):
    workdir = tmp_path / "w"
    collapse_jax.train(experiment("NO_BIAS", measures=("norms",)), workdir)
    names = ["margins", "generalisation", "balancedness", "collapse_bounds"]
    results = collapse_jax.measure(workdir, names)
    run = collapse_jax.open_snapshots(workdir).snapshot(2)
    assert run.head_bias is None
    arrays = {
        "train_features": run.train.features,
        "train_labels": run.train.labels,
        "test_features": run.test.features,
        "test_labels": run.test.labels,
        "head_kernel": run.head_kernel,
    }
    expected = measure_arrays(names[:2], **arrays, head_bias=np.zeros(10))
    for name in ("nearest_margin_median", "train_error_bound", "test_error_bound_directional"):
        assert results[name].sel(step=2).item() == pytest.approx(expected[name], rel=1e-4)
    assert np.isfinite(results.imbalance).all()


@pytest.mark.slow  # compiles the largest measure twice
def test_codes_of_the_autoencoder_are_prepared_once_and_refused_where_runs_draw_their_own(
    experiment, tmp_path, monkeypatch
):
    fitted = []

    def fit(images, settings):
        """Untrained weights, at once."""
        fitted.append(images.shape)
        encoder, _ = autoencoder.modules(images.shape[1:], settings)
        return {"encoder": jax.device_get(encoder.init(jax.random.key(0), images[:1]))}, np.zeros(1)

    monkeypatch.setattr(input_codes.autoencoder, "fit", fit)
    monkeypatch.setattr("collapse_jax.system.runtime.cache_directory", lambda: tmp_path / "cache")
    workdir = tmp_path / "w"
    estimate = {"k": 3, "permutations": 0, "partitions": 0}  # most of the compilation is that of nulls and errors
    collapse_jax.train(experiment("NO_BIAS", measures=("norms",)), workdir)
    results = collapse_jax.measure(
        workdir, "mutual_information", options=estimate | {"codes": "autoencoder"}, splits="train"
    )
    assert fitted == [(250, 28, 28, 1)]
    snapshots = collapse_jax.open_snapshots(workdir)
    run = snapshots.snapshot(2)
    inputs = {kind: np.asarray(probe.inputs) for kind, probe in run.probes.items()}
    codes = input_codes.input_codes(inputs["train"], np.concatenate(list(inputs.values())))
    arrays = {"train_features": run.train.features, "train_labels": run.train.labels}
    given = measure_arrays("mutual_information", **arrays, inputs=codes, **estimate)
    assert results.mi_zx.sel(step=2).item() == pytest.approx(given["mi_zx"], abs=1e-3)
    own = experiment(
        "NO_BIAS",
        measures=("norms",),
        grid=Grid(weight_decay=(0.1,), init_scale=(1.0,), seed=(1,), flip_rate=(0.1, 0.2)),
    )
    collapse_jax.train(own, tmp_path / "flipped")
    with pytest.raises(ConfigError, match="measures='mutual_information': is prepared once for all runs"):
        collapse_jax.measure(
            tmp_path / "flipped", "mutual_information", options=estimate | {"codes": "autoencoder"}
        )


def test_one_test_example_is_refused_before_anything_is_read(capsys):
    assert main(["measure", "--workdir=nowhere", "--measures=collapse", "--test_size=1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "test_size=1: must be 0 (all) or at least 2" in lines[0]
