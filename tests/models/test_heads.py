"""Networks whose last layer has no bias, or is no head, train and are measured as far as that goes."""

import numpy as np
import pytest

import collapse_jax
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Schedule, Snapshots, Task

SOURCE = """
from flax import linen as nn
from collapse_jax.models import ModelInfo

class Net(nn.Module):
    head: str
    bias: bool
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(6, name='hidden_0')(x.reshape(len(x), -1)))
        return nn.Dense(10, use_bias=self.bias, name=self.head)(x), (x,)

NO_BIAS = ModelInfo(make=lambda c, k, v: Net('head', False), inputs=('image',))
NO_HEAD = ModelInfo(make=lambda c, k, v: Net('last', True), inputs=('image',))
"""


@pytest.fixture
def network(tmp_path):
    (tmp_path / "heads.py").write_text(SOURCE)
    return lambda name, **fields: Model(f"{tmp_path}/heads.py:{name}", **fields)


@pytest.mark.parametrize("name", ["NO_BIAS", "NO_HEAD"])
def test_a_network_without_head_or_bias_trains_and_is_stored(tiny, tmp_path, network, name):
    """What is stored by default holds the head, of which there is here what there is."""
    snapshots = Snapshots(Schedule("explicit", at=(20,)), ("train", "test", "head", "parameters"), 50)
    grid = Grid(weight_decay=(0.1,), init_scale=(1.0,), seed=(1, 2))
    experiment = tiny(model=network(name), grid=grid, snapshots=snapshots, steps=20)
    results = collapse_jax.train(experiment, tmp_path / "w")
    assert (results.train_loss.isel(step=-1) < results.train_loss.isel(step=0)).all()
    stored = collapse_jax.open_snapshots(tmp_path / "w")
    snapshot, flat = stored.snapshot(20, 1), stored.load(20)
    stored.close()
    assert snapshot.head_bias is None
    assert (snapshot.head_kernel is None) == (name == "NO_HEAD")
    assert {leaf for leaf in flat if leaf.startswith("head/")} == ({"head/kernel"} if name == "NO_BIAS" else set())
    logits, layers = snapshot.apply(snapshot.params, snapshot.train.inputs)
    np.testing.assert_allclose(logits, snapshot.train.logits, atol=1e-5)
    np.testing.assert_allclose(layers[-1], snapshot.train.features, atol=1e-5)
    np.testing.assert_allclose(
        np.mean(snapshot.loss(snapshot.train.logits, snapshot.train.labels)),
        results.train_loss.isel(step=-1, seed=1).item(),
        rtol=1e-5,
    )


def test_a_head_to_be_zeroed_must_be_there(tiny, tmp_path, network):
    experiment = tiny(model=network("NO_HEAD", init="zero_last_layer"))
    validate(experiment)
    with pytest.raises(ConfigError, match=r"model\.init='zero_last_layer': zeroes the layer called head; .* last"):
        collapse_jax.train(experiment, tmp_path / "w")
    assert not (tmp_path / "w").exists()


WRONG = (
    SOURCE
    + """
class Wrong(nn.Module):
    kind: str
    @nn.compact
    def __call__(self, x):
        first = nn.relu(nn.Dense(6, name='hidden_0')(x.reshape(len(x), -1)))
        second = nn.relu(nn.Dense(6, name='hidden_1')(first))
        read = first if self.kind == 'skipped' else second
        logits = nn.Dense(11 if self.kind == 'eleven' else 10, name='head')(read)
        logits = 2 * logits if self.kind == 'scaled' else logits
        return logits, (first[:, :5],) if self.kind == 'narrow' else (first, second)

SKIPPED = ModelInfo(make=lambda c, k, v: Wrong('skipped'), inputs=('image',))
SCALED = ModelInfo(make=lambda c, k, v: Wrong('scaled'), inputs=('image',))
NARROW = ModelInfo(make=lambda c, k, v: Wrong('narrow'), inputs=('image',))
ELEVEN = ModelInfo(make=lambda c, k, v: Wrong('eleven'), inputs=('image',))
"""
)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SKIPPED", "its logits are not layers"),
        ("SCALED", "its logits are not layers"),
        ("NARROW", r"its head has a kernel \(6, 10\); one that reads the last of its layers has \(5, 10\)"),
        ("ELEVEN", r"returns logits \[N, 11\]; the task has 10 classes"),
    ],
)
@pytest.mark.parametrize("init", ["default", "zero_last_layer"])
def test_a_head_that_reads_another_layer_is_refused(tiny, tmp_path, name, said, init):
    (tmp_path / "wrong.py").write_text(WRONG)
    model = Model(f"{tmp_path}/wrong.py:{name}", init=init)
    with pytest.raises(ConfigError, match=rf"^model\.name='.*{name}': {said}") as error:
        collapse_jax.train(tiny(model=model), tmp_path / "w")
    assert "\n" not in str(error.value)
    assert error.value.code == 2
    assert not (tmp_path / "w").exists()


def test_labels_of_an_own_task_are_those_of_its_classes(tiny, tmp_path):
    text = """
import numpy as np
from collapse_jax.tasks.base import Dataset, TaskInfo

def load(task):
    labels = np.arange(30, dtype=np.int32) % 4
    inputs = np.zeros((30, 2), np.float32)
    return Dataset(inputs, labels, inputs, labels % 3, num_classes=3)

FOUR = TaskInfo(load=load, train_size=30, test_size=30, num_classes=3, kind="vector")
"""
    (tmp_path / "four.py").write_text(text)
    task = Task(f"{tmp_path}/four.py:FOUR", train_size=30)
    with pytest.raises(
        ConfigError, match=r"^task\.dataset=.*: label 3 in train_labels; must be in 0 \.\.\. 2"
    ) as error:
        collapse_jax.train(tiny(task=task, batch_size=10, snapshots=Snapshots(test_size=0)), tmp_path / "w")
    assert error.value.code == 2
    assert not (tmp_path / "w").exists()
