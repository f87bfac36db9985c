"""Modular arithmetic against the results themselves."""

import jax
import numpy as np
import pytest

from collapse_jax import tasks
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Task
from collapse_jax.training.hyperparameters import stack_hyperparameters


def pairs_of(inputs, p):
    first, second = inputs[:, :p], inputs[:, p:]
    for half in (first, second):
        assert set(np.unique(half)) == {0.0, 1.0}
        assert np.all(half.sum(axis=1) == 1)
    return first.argmax(axis=1), second.argmax(axis=1)


@pytest.mark.parametrize("balanced", [False, True])
def test_every_pair_is_there_once_with_its_sum(balanced):
    task = Task("modular", modulus=7, train_size=21, balanced=balanced)
    info, data = tasks.check_task(task), tasks.load(task)
    assert (info.kind, info.num_classes, info.train_size, info.test_size) == ("vector", 7, 48, 28)
    assert data.train_inputs.shape == (21, 14)
    assert data.train_inputs.dtype == np.float32
    a, b = pairs_of(np.concatenate([data.train_inputs, data.test_inputs]), 7)
    labels = np.concatenate([data.train_labels, data.test_labels])
    np.testing.assert_array_equal(labels, (a + b) % 7)
    assert sorted(7 * a + b) == list(range(49))
    if balanced:
        assert np.bincount(data.train_labels).tolist() == [3] * 7


def test_training_sets_are_nested_and_the_split_never_changes():
    small, large = (tasks.load(Task("modular", modulus=11, train_size=n)) for n in (30, 60))
    np.testing.assert_array_equal(small.train_inputs, large.train_inputs[:30])
    capped = tasks.load(Task("modular", modulus=11, train_size=60, test_size=5))
    np.testing.assert_array_equal(capped.test_inputs, large.test_inputs[:5])
    a, b = pairs_of(small.train_inputs[:4], 11)
    assert (11 * a + b).tolist() == [48, 94, 95, 8]


def test_label_noise_leaves_the_test_pairs_alone():
    clean, noisy = (
        tasks.load(Task("modular", modulus=7, train_size=20, label_noise=noise)) for noise in (0.0, 0.25)
    )
    assert np.sum(clean.train_labels != noisy.train_labels) == 5
    np.testing.assert_array_equal(clean.test_labels, noisy.test_labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modulus": 1}, "task.modulus=1: must be in 2 ... 256"),
        ({"modulus": 257}, "task.modulus=257: must be in 2 ... 256"),
        ({"modulus": 5, "train_size": 25}, "task.train_size=25: must be in 1 ... 24"),
        ({"modulus": 5, "train_size": 20, "test_size": 6}, r"task.test_size=6: must be in 0 ... 5"),
        ({"modulus": 5, "train_size": 0}, "task.train_size=0: must be a whole number >= 1"),
        ({"modulus": 5, "train_size": 20, "order": "tfds"}, "task.order='?tfds'?: modular has one order"),
        ({"modulus": 5, "train_size": 12, "balanced": True}, "a multiple of its 5 classes"),
        ({"modulus": 9, "operation": "division", "train_size": 5}, "task.modulus=9: division needs a prime number"),
        ({"operation": "power"}, "task.operation='power'"),
        ({"form": "words"}, "task.form='words'"),
        ({"split": "random"}, "task.split='random'"),
        (
            {"train_size": 1.5},
            r"task.train_size=1.5: must be a whole number >= 1 .* or of 'modular' a share in \(0, 1\)",
        ),
        ({"split": "seed", "balanced": True, "train_size": 97}, "task.balanced=True: has no effect beside"),
        ({"split": "seed", "label_noise": 0.1}, "wrong labels by seed are grid.flip_rate"),
    ],
)
def test_bad_input_is_refused_in_one_line(changes, message):
    with pytest.raises(ConfigError, match=message) as refused:
        tasks.check_task(Task("modular", **changes))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("share", [0.0, -0.2, 1.7, 1e-9])
def test_a_share_outside_0_and_1_is_refused(tiny, share):
    with pytest.raises(ConfigError, match=r"task\.train_size=.*a share in \(0, 1\)") as refused:
        validate(tiny(task=Task("modular", train_size=share)))
    assert "\n" not in str(refused.value)


def test_a_share_of_another_data_set_is_refused(tiny):
    with pytest.raises(ConfigError, match=r"task\.train_size=0\.5: must be a whole number"):
        validate(tiny(task=Task("mnist", train_size=0.5)))


# The sizes of the paper's code, facts/complexity_dynamics.md A1.
@pytest.mark.parametrize(
    ("operation", "share", "train", "test"),
    [
        ("addition", 0.2, 2553, 10216),
        ("subtraction", 0.3, 3830, 8939),
        ("division", 0.3, 3796, 8860),
        ("x2+y2", 0.4, 5107, 7662),
        ("x2+xy+y2", 0.6, 7661, 5108),
    ],
)
def test_shares_of_the_pairs_are_rounded_down(tiny, operation, share, train, test):
    task = Task("modular", modulus=113, operation=operation, train_size=share)
    found = validate(tiny(task=task)).task
    assert (found.train_size, tasks.find_task(found).test_size) == (train, test)


RESULTS = {
    "addition": lambda a, b, p: (a + b) % p,
    "subtraction": lambda a, b, p: (a - b) % p,
    "multiplication": lambda a, b, p: (a * b) % p,
    "division": lambda a, b, p: next(c for c in range(p) if c * b % p == a),  # c b = a: no inverse is needed
    "x2+y2": lambda a, b, p: (a**2 + b**2) % p,
    "x2+xy+y2": lambda a, b, p: (a**2 + a * b + b**2) % p,
}


@pytest.mark.parametrize("operation", RESULTS)
@pytest.mark.parametrize("form", ["one_hot", "tokens", "all_tokens"])
def test_every_operation_and_form(operation, form):
    p = 7
    data = tasks.load(Task("modular", modulus=p, operation=operation, form=form, train_size=20))
    inputs, labels = (
        np.concatenate([getattr(data, f"{part}_{what}") for part in ("train", "test")])
        for what in ("inputs", "labels")
    )
    if form == "one_hot":
        a, b = pairs_of(inputs, p)
    else:
        assert (inputs.dtype, data.vocabulary_size) == (np.int32, p + 2)
        a, sign, b, equals = inputs.T
        assert (set(sign), set(equals)) == ({p}, {p + 1})
    expected = {(x, y) for x in range(p) for y in range(operation == "division", p)}
    assert len(a) == len(expected)
    assert set(zip(a.tolist(), b.tolist(), strict=True)) == expected
    right = [RESULTS[operation](x, y, p) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_array_equal(labels, right)
    assert data.num_classes == (p + 2 if form == "all_tokens" else p)


def test_a_split_by_seed_is_of_the_seed_alone():
    task = Task("modular", modulus=7, operation="division", form="tokens", split="seed", train_size=30, test_size=9)
    data = tasks.load(task)
    runs = [{"seed": seed, "weight_decay": decay} for seed, decay in ((0, 0.1), (0, 1.0), (1, 0.1))]
    drawn = [data.of(jax.tree.map(lambda leaf, i=i: leaf[i], stack_hyperparameters(runs))) for i in range(3)]
    for each in drawn:
        assert (each.train_inputs.shape, each.test_inputs.shape) == ((30, 4), (9, 4))
        pairs = np.concatenate([each.train_inputs, each.test_inputs])[:, [0, 2]]
        assert len({tuple(pair) for pair in pairs.tolist()}) == 39
        right = [RESULTS["division"](int(a), int(b), 7) for a, b in pairs]
        np.testing.assert_array_equal(np.concatenate([each.train_labels, each.test_labels]), right)
    np.testing.assert_array_equal(drawn[0].train_inputs, drawn[1].train_inputs)
    assert not np.array_equal(drawn[0].train_inputs, drawn[2].train_inputs)


def test_a_modulus_beside_another_data_set_is_refused():
    with pytest.raises(ConfigError, match=r"task\.modulus=5: only beside 'modular', not 'mnist'"):
        tasks.check_task(Task("mnist", modulus=5))


@pytest.mark.parametrize(("name", "value"), [("operation", "addition"), ("form", "tokens"), ("split", "seed")])
def test_its_options_belong_to_no_other_data_set_and_have_known_names(name, value):
    with pytest.raises(ConfigError, match=rf"task\.{name}='{value}': only beside 'modular', not 'mnist'"):
        tasks.check_task(Task("mnist", **{name: value}))
    with pytest.raises(ConfigError, match=rf"task\.{name}='power': unknown {name}; .*known: .*{value}"):
        tasks.check_task(Task("modular", train_size=10, **{name: "power"}))
