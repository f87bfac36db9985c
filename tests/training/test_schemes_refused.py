"""Schemes, local losses and stages that do not fit: one line before anything compiles."""

import jax
import pytest
from runs import one

from collapse_jax.engine.compile import check_model
from collapse_jax.engine.packing import SAFE_VERSION
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Packing, Task, Training
from collapse_jax.experiment.training import Local

LAYERWISE = Training(scheme="layerwise")

WRONG = [
    ({"training": Training(scheme="layerwise_sequential")}, r"training\.stages=\(\): layerwise_sequential needs"),
    ({"training": Training(scheme="layerwise_sequential", stages=(20, 19))}, "add up to steps=40, not 39"),
    ({"training": Training(scheme="layerwise_sequential", stages=(40, 0))}, "each stage must have a step"),
    (
        {"training": Training(scheme="layerwise", local=Local("supervised_contrastive"))},
        r"training\.local\.loss='supervised_contrastive': takes 2 views .* training\.augment",
    ),
    (
        {"training": Training(scheme="layerwise", local=Local(head="identity"))},
        r"training\.local\.head='identity': the loss 'output' is of logits",
    ),
    (
        {"training": Training(scheme="layerwise", local=Local("forward_forward"))},
        r"training\.local\.head='linear': 'forward_forward' is of the outputs of blocks themselves",
    ),
    (
        {
            "training": Training(scheme="layerwise", local=Local("forward_forward", "identity")),
            "task": Task("modular", modulus=7, train_size=30),
        },
        r"training\.local\.loss='forward_forward': writes labels into images; .*'modular' is vector",
    ),
    ({"training": Training("layerwise", local=Local("contrastive"))}, r"training\.local\.loss='contrastive'"),
    (
        {"training": Training(local=Local("similarity", "mlp"))},
        r"training\.local\.loss='similarity': is read by .* not by end_to_end; training\.local\.head='mlp'",
    ),
    (
        {"training": Training(stages=(20, 20)), "grid": Grid(scheme=("end_to_end", "layerwise"))},
        r"training\.stages=\(20, 20\): is read by .*_sequential alone, not by end_to_end or layerwise",
    ),
    ({"training": Training(augment=("flop",))}, r"training\.augment='flop': .*did you mean 'flip'"),
    (
        {"training": Training(scheme="layerwise", local=Local(nhsic="input"))},
        r"training\.local\.nhsic='input': has a weight: give it values with grid\.nhsic",
    ),
    ({"grid": Grid(nhsic=(0.1,))}, r"grid\.nhsic=\(0\.1,\): is the weight of training\.local\.nhsic"),
    (
        {
            "training": Training("layerwise", local=Local(nhsic="block")),
            "grid": Grid(nhsic=(0.1,)),
            "batch_size": 30,
        },
        "compares whole batches; batch_size=30 must divide",
    ),
    (
        {"training": Training(augment=("flip",)), "task": Task("modular", modulus=7, train_size=30)},
        r"training\.augment=\('flip',\): changes images; task\.dataset='modular' is vector",
    ),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_schemes_and_losses_that_do_not_fit_are_refused(tiny, change, message):
    with pytest.raises(ConfigError, match=message):
        validate(tiny(**change))


def test_as_many_stages_as_blocks_and_a_head_are_asked_for_before_anything_compiles(tiny):
    training = Training(scheme="layerwise_sequential", stages=(20, 20))
    experiment = tiny(training=training)
    _, _, data = one(tiny())
    with pytest.raises(ConfigError, match=r"training\.stages=\(20, 20\): has 2 stages; the network has 2 blocks"):
        check_model(validate(experiment), data)


def test_nhsic_is_taken_of_one_run_at_a_time(tiny):
    training = Training(scheme="layerwise", local=Local(nhsic="block"))
    experiment = tiny(
        training=training, batch_size=20, grid=Grid(nhsic=(0.1,)), packing=Packing(devices=1, runs_per_tile=2)
    )
    _, _, data = one(tiny())
    message = "training.local.nhsic factorises matrices"
    if jax.__version_info__ < SAFE_VERSION:
        with pytest.raises(ConfigError, match=message):
            check_model(validate(experiment), data)


def test_a_model_without_blocks_is_refused(tiny, tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "import dataclasses\nfrom collapse_jax.models import MODELS\n"
        "MODEL = dataclasses.replace(MODELS['mlp'], blocks='')\n"
    )
    experiment = tiny(
        model=Model(f"{tmp_path}/own.py:MODEL", hidden=(8,)), training=LAYERWISE, task=Task(train_size=60)
    )
    with pytest.raises(ConfigError, match=r"training\.scheme='layerwise': the model .* names no `blocks`"):
        validate(experiment)
    with pytest.raises(ConfigError, match=r"training\.scheme='layer_wise': .*did you mean 'layerwise'"):
        validate(tiny(training=Training(scheme="layer_wise")))
