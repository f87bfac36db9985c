"""Data of a run's own: labels flipped with the run's seed, and examples that a task draws from hyperparameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import collapse_jax
from collapse_jax import tasks
from collapse_jax.experiment.config import Grid, Model, Schedule, Snapshots, Task
from collapse_jax.tasks.base import flipped
from collapse_jax.training.hyperparameters import Hyperparameters

RATES = (0.0, 0.2, 0.5)
CLASSES = 10


def hyperparameters(seed, **values):
    return Hyperparameters({"seed": jnp.uint32(seed)} | {n: jnp.float32(v) for n, v in values.items()})


def test_a_label_is_wrong_with_the_given_probability_and_then_any_other_class():
    labels = jnp.tile(jnp.arange(CLASSES), 4000)
    wrong = np.asarray(flipped(jax.random.key(0), labels, jnp.float32(0.3), CLASSES))
    n, share = len(labels), np.mean(wrong != labels)
    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / n) ** 0.5
    shifts = np.bincount((wrong - np.asarray(labels)) % CLASSES, minlength=CLASSES)[1:]
    expected = shifts.sum() / (CLASSES - 1)
    chi_squared = np.sum((shifts - expected) ** 2 / expected)  # 8 degrees of freedom
    assert chi_squared < 35  # p = 3e-5
    assert set(wrong) == set(range(CLASSES))


def test_the_wrong_labels_of_a_seed_are_nested_and_seeds_differ():
    labels = jnp.zeros(500, jnp.int32)
    draws = {
        (seed, rate): np.asarray(
            tasks.Dataset(0, labels, 0, labels, CLASSES).of(hyperparameters(seed, flip_rate=rate)).train_labels
        )
        for seed in (1, 2)
        for rate in (0.0, 0.2, 0.5, 1.0)
    }
    assert (draws[1, 0.0] == 0).all()
    assert (draws[1, 1.0] != 0).all()
    for low, high in ((0.2, 0.5), (0.5, 1.0)):
        wrong = draws[1, low] != 0
        np.testing.assert_array_equal(draws[1, high][wrong], draws[1, low][wrong])
    assert not np.array_equal(draws[1, 0.5], draws[2, 0.5])


def test_without_the_axis_the_data_are_the_shared_ones():
    data = tasks.load(Task(train_size=20, test_size=10))
    assert data.of(hyperparameters(0)) is data


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Train with three rates, and without the axis."""
    from conftest import tiny_experiment

    root, results = tmp_path_factory.mktemp("flips"), {}
    snapshots = Snapshots(Schedule("explicit", at=(0, 30)), ("parameters",), 50)
    for name, axes in (("flipped", {"flip_rate": RATES}), ("clean", {})):
        grid = Grid(weight_decay=(0.1,), init_scale=(1.0,), seed=(1, 2), **axes)
        experiment = tiny_experiment(steps=30, grid=grid, snapshots=snapshots)
        results[name] = collapse_jax.train(experiment, root / name)
    return root, results


def test_rate_0_is_the_run_without_the_axis(swept):
    root, results = swept
    clean = results["flipped"].sel(flip_rate=0.0, drop=True)
    for name in results["clean"].data_vars:
        np.testing.assert_array_equal(clean[name].values, results["clean"][name].values, err_msg=name)
    stored = [collapse_jax.open_snapshots(root / name) for name in ("flipped", "clean")]
    pairs = zip(stored[0].runs, range(6), strict=True)
    for run, index in ((run, i) for run, i in pairs if run["flip_rate"] == 0):
        a = stored[0].load(30)
        b = stored[1].load(30)
        other = [r["seed"] for r in stored[1].runs].index(run["seed"])
        for leaf in b:
            np.testing.assert_array_equal(a[leaf][index], b[leaf][other], err_msg=leaf)
    for store in stored:
        store.close()


def test_measured_later_the_labels_are_those_of_the_run(swept):
    """The training loss of stored parameters is the in-line one, which no other labels give."""
    root, results = swept
    later = collapse_jax.measure(root / "flipped", "fit", label="later")
    for name in ("train_loss", "train_accuracy", "test_accuracy"):
        found = later[f"{name}_later"].sel(step=30)
        np.testing.assert_allclose(found, results["flipped"][name].sel(step=30), rtol=1e-6, err_msg=name)
    start = results["flipped"].train_loss.sel(step=0).transpose("seed", "flip_rate", ...).squeeze().values
    assert len(np.unique(start)) == 6


def test_a_snapshot_knows_the_true_labels(swept):
    stored = collapse_jax.open_snapshots(swept[0] / "flipped")
    snapshot = stored.snapshot(30, {"flip_rate": 0.5, "seed": 2})
    data = stored.data
    stored.close()
    np.testing.assert_array_equal(snapshot.train.true_labels, data.train_labels)
    np.testing.assert_array_equal(snapshot.test.labels, data.test_labels)
    assert 0.3 < np.mean(snapshot.train.labels != snapshot.train.true_labels) < 0.7
    assert float(snapshot.hyperparameters.flip_rate) == 0.5


@pytest.mark.parametrize("noise", [{"label_noise": 0.3}, {"random_labels": True}])
def test_a_corrupted_task_keeps_the_true_labels(noise):
    true = tasks.load(Task(train_size=200, test_size=10))
    noisy = tasks.load(Task(train_size=200, test_size=10, **noise))
    assert true.train_true_labels is None
    np.testing.assert_array_equal(noisy.train_true_labels, true.train_labels)
    assert not np.array_equal(noisy.train_labels, true.train_labels)
    h = hyperparameters(3, flip_rate=0.9)
    np.testing.assert_array_equal(noisy.of(h).train_true_labels, true.train_labels)


SOURCE = """
import dataclasses
import jax, jax.numpy as jnp, numpy as np
from collapse_jax.tasks import Dataset, TaskInfo

def sample(h, data):
    '''Two classes around +-mu, drawn from the run's seed and its learning rate.'''
    key = h.key(100)
    noise = jax.random.normal(key, data.train_inputs.shape)
    mean = 1e3 * h.learning_rate * (2 * data.train_labels[:, None] - 1)
    return dataclasses.replace(data, train_inputs=noise + mean)

def load(task):
    labels = np.arange(task.train_size, dtype=np.int32) % 2
    test = np.arange(40, dtype=np.int32) % 2
    shape = (task.train_size, 3)
    return Dataset(np.zeros(shape, np.float32), labels, np.zeros((40, 3), np.float32), test, 2, sample=sample)

TASK = TaskInfo(load=load, train_size=100, test_size=40, num_classes=2, kind="vector")
"""


def test_a_task_draws_the_examples_of_each_run(tiny, tmp_path):
    (tmp_path / "own.py").write_text(SOURCE)
    grid = Grid(weight_decay=(0.1,), init_scale=(1.0,), seed=(1, 2), learning_rate=(1e-3, 5e-3))
    snapshots = Snapshots(Schedule("explicit", at=(20,)), ("train", "parameters"), 40)
    experiment = tiny(
        task=Task(f"{tmp_path}/own.py:TASK", train_size=100),
        grid=grid,
        snapshots=snapshots,
        steps=20,
        model=Model(hidden=(4,)),
    )
    results = collapse_jax.train(experiment, tmp_path / "w")
    stored = collapse_jax.open_snapshots(tmp_path / "w")
    inputs = {
        (rate, seed): np.asarray(stored.snapshot(20, {"learning_rate": rate, "seed": seed}).train.inputs)
        for rate in grid.learning_rate
        for seed in grid.seed
    }
    features = stored.snapshot(20, 0).train.features
    np.testing.assert_allclose(stored.load(20)["train/features"][0], features, atol=1e-6)
    stored.close()
    sign = 2 * (np.arange(100) % 2)[:, None] - 1
    for seed in grid.seed:
        np.testing.assert_allclose(
            inputs[5e-3, seed] - inputs[1e-3, seed], 4.0 * np.broadcast_to(sign, (100, 3)), atol=1e-5
        )
    assert not np.allclose(inputs[1e-3, 1], inputs[1e-3, 2])
    # The larger the distance of the classes, the better the fit.
    final = results.train_accuracy.isel(step=-1).squeeze()
    assert (final.sel(learning_rate=5e-3) > final.sel(learning_rate=1e-3)).all()
