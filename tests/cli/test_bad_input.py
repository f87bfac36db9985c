"""Wrong flags, config files and workdirs in this process: one line that names the culprit, exit code 2."""

import contextlib
import dataclasses
import json
import pathlib
import tempfile

import pytest
from etils import epath
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collapse_jax.__main__ import main
from collapse_jax.cli import parse as cli
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment import config, identity
from collapse_jax.experiment.axes import AXES
from collapse_jax.workdir.record import read_experiment, read_record, write_record

ROOT = pathlib.Path(__file__).parents[2]
SMOKE = f"--config={ROOT}/configs/quickstart.py:smoke"

FLAGS = [
    ("--config.steps=1e9999", "steps"),
    ("--config.steps=2.5", "steps"),
    ("--config.steps=", "steps"),
    ("--config.steps=(1,2)", "steps"),
    ("--config.batch_size=-1", "batch_size"),
    ("--config.batch_size=1001", "batch_size"),
    ("--config.loss=mse", "loss"),
    ("--config.precision=float64", "precision"),
    ("--config.chunk_seconds=0", "chunk_seconds"),
    ("--config.chunk_seconds=nan", "chunk_seconds"),
    ("--config.checkpoint_seconds=-5", "checkpoint_seconds"),
    ("--config.grid.weight_decay=inf", "grid.weight_decay"),
    ("--config.grid.weight_decay=('a','b')", "grid.weight_decay"),
    ("--config.grid.learning_rate=(0.1,-0.1)", "grid.learning_rate"),
    ("--config.grid.init_scale=0", "grid.init_scale"),
    ("--config.grid.mode=sum", "grid.mode"),
    ("--config.grid.seed=4294967296", "grid.seed"),
    ("--config.grid.seed='1'", "grid.seed"),
    ("--config.grid=(1,2)", "config.grid"),
    ("--config.model.name=mpl", "model.name"),
    ("--config.model.hidden=()", "model.hidden"),
    ("--config.model.hidden=(8,-8)", "model.hidden"),
    ("--config.model.hidden=8.5", "model.hidden"),
    ("--config.model.last_layer_act=maybe", "model.last_layer_act"),
    ("--config.optimizer.name=rmsprop", "optimizer.name"),
    ("--config.optimizer.b1=1.0", "optimizer.b1"),
    ("--config.optimizer.momentum=0.9", "optimizer.momentum"),
    ("--config.training.scheme=layer_wise", "training.scheme"),
    ("--config.training.local.loss=similarity", "training.local.loss"),
    ("--config.training.stages=(5,5)", "training.stages"),
    ("--config.measures=('fit','nope')", "measures"),
    ("--config.log.rule=linear", "log.rule"),
    ("--config.log.points=0", "log.points"),
    ("--config.snapshots.content=('weights',)", "snapshots.content"),
    ("--config.snapshots.schedule.at=(5,100000)", "snapshots.schedule.at"),
    ("--config.snapshots.test_size=-2", "snapshots.test_size"),
    ("--config.task.test_size=10001", "task.test_size"),
    ("--config.thresholds.test_accuracy=85", "thresholds.test_accuracy"),
    ("--config.packing.runs_per_tile=-1", "packing.runs_per_tile"),
    ("--config.optimizer.lr=0.1", "config.optimizer.lr"),
    ("--config.nope=1", "config.nope"),
    ("--figures=perhaps", "figures"),
    ("--nocolour", "nocolour"),
]


def one_line(capsys):
    said = capsys.readouterr().err
    assert said.startswith("collapse-jax: "), said
    assert said.count("\n") == 1, said
    return said


@pytest.mark.parametrize(("flag", "field"), FLAGS, ids=lambda value: value[-30:])
def test_a_wrong_flag_is_named_before_anything_compiles(flag, field, tmp_path, capsys, monkeypatch):
    from collapse_jax.engine import train

    monkeypatch.setattr(train, "compile_programs", None)
    assert main(["train", SMOKE, flag, f"--workdir={tmp_path / 'w'}"]) == 2
    assert one_line(capsys).removeprefix("collapse-jax: ").removeprefix("--").startswith(f"{field}=")
    assert not (tmp_path / "w").exists()


MODULAR = [
    ("task.modulus=1", "task.modulus=1: must be in 2 ... 256"),
    ("task.modulus=8", "task.modulus=8: division needs a prime number"),
    ("task.train_size=1.5", "task.train_size=1.5: must be a whole number >= 1"),
    ("task.train_size=0.0", "task.train_size=0: must be a whole number >= 1"),
    ("grid.weight_noise=-0.1", "grid.weight_noise=-0.1: must be >= 0"),
    ("grid.spectral_entropy=(0.1,-0.1)", "grid.spectral_entropy=-0.1: must be >= 0"),
    ("grid.norm_cutoff=0", "grid.norm_cutoff=0.0: must be > 0"),
]


@pytest.mark.parametrize(("flag", "message"), MODULAR, ids=lambda value: value[:30])
def test_a_wrong_flag_of_the_complexity_experiment_is_one_line(flag, message, tmp_path, capsys):
    config_file = f"--config={ROOT}/configs/modular_complexity.py:division"
    assert main(["train", config_file, f"--config.{flag}", f"--workdir={tmp_path / 'w'}"]) == 2
    assert message in one_line(capsys)
    assert not (tmp_path / "w").exists()


OVERRULED = [  # a field, a value, an axis that overrules it
    ("loss", "cross_entropy", "loss=('squared_error_sum',)"),
    ("loss", "squared_error_sum", "loss=('cross_entropy',)"),  # the default, too
    ("optimizer.name", "sgd", "optimizer=('adamw','sgd')"),
    ("model.name", "cnn", "model=('mlp',)"),
    ("task.dataset", "modular", "dataset=('mnist',)"),
    ("task.train_size", "50", "train_size=(60,40)"),
    ("task.label_noise", "0.1", "label_noise=(0.0,0.2)"),
    ("model.norm", "layer", "norm=('none',)"),
    ("batch_size", "5", "batch_size=(10,20)"),
    ("training.scheme", "layerwise", "scheme=('end_to_end',)"),
    ("model.hidden", "8,8", "width=(8,9)"),
    ("model.hidden", "8,8", "depth=(1,2)"),
    ("model.width", "8", "width=(8,9)"),
    ("optimizer.b1", "0.5", "b1=(0.9,0.8)"),
    ("optimizer.b2", "0.5", "b2=(0.9,0.8)"),
    ("optimizer.momentum", "0.5", "momentum=(0.9,0.8)"),
    ("task.dimension", "50", "dimension=(40,60)"),
    ("task.signal_norm", "5.0", "signal_norm=(4.0,6.0)"),
    ("model.dropout", "0.5", "dropout=(0.0,0.2)"),
    ("training.mask", "other.npz", "mask=('one.npz','two.npz')"),
]


@pytest.mark.parametrize(("field", "value", "axis"), OVERRULED, ids=lambda value: value[:30])
def test_an_override_without_effect_beside_an_axis_is_refused(field, value, axis, tmp_path, capsys):
    words = [f"--config.{field}={value}", f"--config.grid.{axis}", f"--workdir={tmp_path / 'w'}"]
    assert main(["train", SMOKE, *words]) == 2
    name, _, values = axis.partition("=")
    said = one_line(capsys).replace(" ", "")
    assert f"{field}=" in said
    assert f"hasnoeffectbesidegrid.{name}={values};givethevaluesofgrid.{name}instead" in said
    assert not (tmp_path / "w").exists()


def test_every_axis_of_a_field_is_among_the_overruled():
    """All that stand for a field of the experiment."""
    tried = {axis.partition("=")[0] for _, _, axis in OVERRULED}
    assert tried == {name for name, axis in AXES.items() if axis.field}


def test_all_wrong_flags_are_told_at_once(tmp_path, capsys):
    """What cannot be read, what is not allowed, and what an axis overrules."""
    flags = ("steps=many", "batch_size=-1", "loss=mse", "grid.seed=-1", "grid.loss=mse,mse", "model.hidden=8.5")
    words = [f"--config.{flag}" for flag in flags]
    assert main(["train", SMOKE, *words, f"--workdir={tmp_path / 'w'}"]) == 2
    said = one_line(capsys)
    assert "steps='many': must be a whole number" in said
    assert "batch_size=-1: must be >= 0" in said
    assert "loss='mse': has no effect beside grid.loss=('mse', 'mse')" in said
    assert "grid.seed=-1: must be in 0 ... 4294967295" in said
    assert "grid.loss=('mse', 'mse'): the value ['mse'] stands in it twice" in said
    assert "model.hidden=8.5: must be a whole number" in said
    assert not (tmp_path / "w").exists()


def test_what_jax_is_started_for_is_told_with_the_rest(tmp_path, capsys):
    words = ["--config.packing.devices=100000", "--config.loss=mse", f"--workdir={tmp_path / 'w'}"]
    assert main(["train", SMOKE, *words]) == 2
    said = one_line(capsys)
    assert "packing.devices=100000: must be in 0 ... " in said
    assert "loss='mse': unknown loss" in said


FILES = [
    ("def get_config(", "SyntaxError"),
    ("1 / 0", "ZeroDivisionError"),
    ("import nowhere", "nowhere"),
    ("def get_config(arg=''):\n    return {'steps': 1}", "not an Experiment"),
    ("def get_config(arg=''):\n    return None", "Experiment"),
    ("def get_config(arg=''):\n    raise RuntimeError('two\\nlines')", "two"),
    ("def get_config():\n    return 1", "Experiment"),
]


@pytest.mark.parametrize(("text", "said"), FILES, ids=lambda value: value[:20])
def test_a_wrong_config_file_is_one_line(text, said, tmp_path, capsys):
    path = tmp_path / "c.py"
    path.write_text(text)
    assert main(["train", f"--config={path}", f"--workdir={tmp_path / 'w'}"]) == 2
    line = one_line(capsys)
    assert "--config" in line
    assert said in line
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("command", ["show", "plot", "verify"])
@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_commands_that_read_refuse_what_is_no_workdir(command, kind, tmp_path, capsys):
    path = tmp_path / "w"
    if kind == "empty":
        path.mkdir()
    if kind == "file":
        path.write_text("x")
    assert main([command, f"--workdir={path}"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("collapse-jax: workdir=")


EXPERIMENT = identity.flatten(config.Experiment())
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=3)), max_size=3).map(lambda v: str(tuple(v))),
    st.sampled_from(["None", "True", "()", "(,)", "[1", "{'a': 1}", "-", "=", "1e400", "0x10", "\x00", "mnist"]),
)
NAMES = st.one_of(st.sampled_from(sorted(EXPERIMENT)), st.sampled_from(["grid", "model", "x.y", "", "steps.x"]))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(NAMES, VALUES), max_size=3), st.lists(st.text(max_size=8), max_size=1))
def test_any_override_gives_an_experiment_or_one_line(overrides, extra):
    arguments = [f"--config.{name}={value}" for name, value in overrides]
    with contextlib.suppress(ConfigError):  # anything else is a traceback for the user
        options = cli.parse(["train", SMOKE, *arguments, *extra, "--workdir=nowhere"])
        assert isinstance(validate(options.experiment), config.Experiment)


def axis(values):
    return st.lists(values, min_size=1, max_size=4, unique=True).map(tuple)


RIGHT = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text("abc 1='(,", max_size=12),
        "steps": st.integers(12_000, 2**31 - 1),
        "batch_size": st.integers(0, 1000),
        "task.train_size": st.integers(1000, 1000),
        "task.test_size": st.integers(500, 10_000),
        "checkpoint_seconds": st.floats(1e-300, 1e300),
        "loss": st.sampled_from(["squared_error_sum", "squared_error_mean", "cross_entropy"]),
        "model.hidden": st.lists(st.integers(1, 10**6), min_size=1, max_size=4).map(tuple),
        "model.last_layer_act": st.booleans(),
        "grid.weight_decay": axis(st.floats(0, 2.0**100, width=32, allow_subnormal=False)),
        "grid.learning_rate": axis(st.floats(2.0**-100, 2.0**100, width=32)),
        "grid.seed": axis(st.integers(0, 2**32 - 1)),
        "thresholds.rnc1": st.floats(1e-9, 1),
    },
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(RIGHT)
def test_every_right_override_is_taken_word_for_word_and_survives_the_manifest(overrides):
    arguments = [f"--config.{name}={value}" for name, value in overrides.items()]
    experiment = validate(cli.parse(["train", SMOKE, *arguments, "--workdir=nowhere"]).experiment)
    found = identity.flatten(experiment)
    assert {name: found[name] for name in overrides} == overrides
    untouched = identity.flatten(validate(cli.parse(["train", SMOKE, "--workdir=nowhere"]).experiment))
    assert {name for name in found if found[name] != untouched[name]} <= overrides.keys()
    with tempfile.TemporaryDirectory() as folder:
        write_record(epath.Path(folder), experiment, None, {})
        assert read_experiment(read_record(epath.Path(folder))) == experiment


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(list(vars(config.Experiment()))) | st.text(), JSON, max_size=3))
def test_any_manifest_is_read_or_refused(fields):
    with tempfile.TemporaryDirectory() as folder:
        whole = json.loads(json.dumps(dataclasses.asdict(config.Experiment())))
        record = {"experiment": whole | fields, "fingerprint": "x", "packing": {"devices": 1}}
        (pathlib.Path(folder) / "experiment.json").write_text(json.dumps(record))
        with contextlib.suppress(WorkdirError, ConfigError):
            read = read_experiment(read_record(pathlib.Path(folder)))
            assert isinstance(validate(read), config.Experiment)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_file_as_manifest_is_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "experiment.json").write_bytes(content)
        with pytest.raises(WorkdirError, match=r"experiment\.json is damaged"):
            read_record(pathlib.Path(folder))
