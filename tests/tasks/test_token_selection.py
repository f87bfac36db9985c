"""Token selection against its definition, and what a run draws against its own seed alone."""

import jax
import numpy as np
import pytest

from collapse_jax import tasks
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Experiment, Grid, Model, Optimizer, Task
from collapse_jax.training.hyperparameters import stack_hyperparameters

N, M, T, D, RHO = 12, 40, 5, 30, 0.25
TASK = {"train_size": N, "test_size": M, "tokens": T, "dimension": D, "weak_signal": RHO, "label_noise": 1 / 3}


def drawn(runs, **changes):
    """Return the data of each run as numpy arrays."""
    data = tasks.load(Task("token_selection", **TASK | changes))
    of, stacked = jax.jit(data.of), stack_hyperparameters(runs)
    return [
        jax.tree.map(np.asarray, of(jax.tree.map(lambda leaf, i=i: leaf[i], stacked))) for i in range(len(runs))
    ]


def signal(true, norm):
    """The noise-free tokens [N, T, d], written out."""
    x = np.zeros((len(true), T, D))
    for i, y in enumerate(true):
        x[i, 0, y], x[i, 1, y], x[i, 2, 1 - y] = norm, RHO * norm, RHO * norm
    return x


def test_tokens_are_noise_and_the_signals_of_their_kind():
    weak, strong = drawn([{"seed": 3, "signal_norm": 2.0}, {"seed": 3, "signal_norm": 50.0}])
    for part, size in (("train", N), ("test", M)):
        a, b = (getattr(data, f"{part}_inputs") for data in (weak, strong))
        true = np.arange(size) % 2
        noise = a[..., :-1] - signal(true, 2.0)
        np.testing.assert_allclose(noise, b[..., :-1] - signal(true, 50.0), atol=1e-5)  # one noise for all signals
        assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
        assert abs(noise.std() - 1) < 4 / np.sqrt(2 * noise.size)
        for x, norm in ((a, 2.0), (b, 50.0)):
            nu = np.zeros(D)
            nu[:2] = np.array([norm, -norm]) / (np.sqrt(2) * norm) / norm
            np.testing.assert_allclose(x[..., -1], x[..., :-1] @ nu, atol=1e-6)
    np.testing.assert_array_equal(weak.train_true_labels, np.arange(N) % 2)
    assert (weak.train_labels != weak.train_true_labels).tolist() == [True] * 4 + [False] * 8
    np.testing.assert_array_equal(weak.test_labels, np.arange(M) % 2)


def test_a_run_s_data_are_its_own_seed_s_and_no_other_run_s():
    alone = drawn([{"seed": 5, "signal_norm": 3.0}])[0]
    runs = [{"seed": seed, "signal_norm": norm, "weight_decay": 0.5} for seed in (4, 5) for norm in (1.0, 3.0)]
    among = drawn(runs)
    jax.tree.map(np.testing.assert_array_equal, alone, among[3])
    assert not np.array_equal(among[1].train_inputs, among[3].train_inputs)
    fewer = drawn([{"seed": 5, "signal_norm": 3.0}], train_size=6, test_size=7)[0]  # the first of those
    np.testing.assert_array_equal(fewer.train_inputs, alone.train_inputs[:6])
    np.testing.assert_array_equal(fewer.test_inputs, alone.test_inputs[:7])


def test_the_test_set_shares_no_noise_unless_that_is_asked_for():
    run = [{"seed": 1, "signal_norm": 4.0}]
    own, leaking = drawn(run)[0], drawn(run, test_noise="training")[0]
    np.testing.assert_array_equal(leaking.test_inputs[:N], own.train_inputs)
    noise, others = (x[:, 3:, :-1].ravel() for x in (own.train_inputs, own.test_inputs[:N]))
    assert abs(np.corrcoef(noise, others)[0, 1]) < 5 / np.sqrt(noise.size)
    np.testing.assert_array_equal(leaking.test_labels[:N], leaking.train_true_labels)


def test_label_noise_is_a_number_of_every_run():
    found = drawn([{"seed": 0, "flip_rate": rate} for rate in (0.0, 1 / 6, 0.5)], label_noise=0.0)
    wrong = [int(np.sum(data.train_labels != data.train_true_labels)) for data in found]
    assert wrong == [0, 2, 6]
    np.testing.assert_array_equal(found[0].train_inputs, found[2].train_inputs)
    static = drawn([{"seed": 0}], label_noise=0.5)[0]
    np.testing.assert_array_equal(static.train_labels, found[2].train_labels)


@pytest.mark.parametrize(("size", "rate", "wrong"), [(20, 0.2, 4), (100, 0.07, 7), (20, 0.21, 5), (30, 0.05, 2)])
def test_wrong_labels_are_counted_upwards_and_without_rounding_errors(size, rate, wrong):
    found = drawn([{"seed": 0, "flip_rate": rate}], label_noise=0.0, train_size=size)[0]
    assert int(np.sum(found.train_labels != found.train_true_labels)) == wrong


def experiment(grid=None, **changes):
    task = Task("token_selection", **TASK | {"label_noise": 0.0} | changes)
    grid = {"signal_norm": (5.0,)} | (grid or {})
    task.dimension = None if "dimension" in grid else task.dimension
    model = Model("token_selection")
    return Experiment(grid=Grid(**grid), task=task, model=model, batch_size=0, optimizer=Optimizer("gd"))


@pytest.mark.parametrize(
    ("changes", "grid", "message"),
    [
        ({"train_size": 11}, {}, "task.train_size=11: must be even"),
        (
            {"label_noise": 0.25},
            {},
            "task.label_noise=0.25: makes 3 of task.train_size=12 labels wrong; that must be",
        ),
        ({"label_noise": 0.6}, {}, r"task.label_noise=0.6: must be in \[0, 0.5\]"),
        ({}, {"flip_rate": (0.0, 0.6)}, r"grid.flip_rate=0.6: must be in \[0, 0.5\]"),
        ({}, {"flip_rate": (0.25,)}, "grid.flip_rate=0.25: makes 3 of"),
        ({"label_noise": 0.5}, {"flip_rate": (0.5,)}, r"task.label_noise=0.5: has no effect beside grid.flip_rate"),
        ({"dimension": 2}, {}, "task.dimension=2: must be in 3 ... "),
        ({}, {"dimension": (2, 9)}, "task.dimension=2: must be in 3 ... "),
        ({"tokens": 2}, {}, "task.tokens=2: must be in 3 ... "),
        ({"weak_signal": -0.1}, {}, r"task.weak_signal=-0.1: must be in \[0, 1\]"),
        ({"test_noise": "shared"}, {}, "task.test_noise='?shared'?.*independent.*training"),
        ({}, {"signal_norm": (0.0,)}, "grid.signal_norm=0.0: must be > 0"),
        ({"test_size": 1001}, {}, "task.test_size=1001: must be in 0 ... 1000"),
        ({"balanced": True}, {}, "task.balanced=True: token_selection has balanced classes"),
    ],
)
def test_bad_input_is_refused_in_one_line(changes, grid, message):
    with pytest.raises(ConfigError, match=message) as refused:
        validate(experiment(grid, **changes))
    assert "\n" not in str(refused.value)


def test_its_options_and_axes_belong_to_no_other_task(tiny):
    with pytest.raises(ConfigError, match=r"grid.signal_norm=\(5.0,\): only beside 'token_selection', not 'mnist'"):
        validate(tiny(grid=Grid(signal_norm=(5.0,))))
    with pytest.raises(ConfigError, match=r"task.dimension=9: only beside 'token_selection', not 'mnist'"):
        validate(tiny(task=Task(dimension=9)))
    with pytest.raises(ConfigError, match=r"model.name='mlp': takes .* is sequence"):
        validate(tiny(task=Task("token_selection", dimension=9)))
