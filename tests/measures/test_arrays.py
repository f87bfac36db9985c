"""The array interface: the same numbers as the measures, and one-line errors for what does not fit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures import MEASURES, Measure, Probe, Snapshot, get_measure, measure_arrays
from collapse_jax.measures.array_digits import loses_digits
from collapse_jax.measures.base import Variable
from collapse_jax.measures.families.collapse import collapse

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(12, 4))
LABELS = np.arange(12) % 3
KERNEL, BIAS = RNG.normal(size=(4, 3)), RNG.normal(size=3)
TRAIN = {"train_features": FEATURES, "train_labels": LABELS}
TEST = {"test_features": FEATURES[:7] + 1, "test_labels": LABELS[:7]}
HEAD = {"head_kernel": KERNEL, "head_bias": BIAS}


def squared(logits, labels):
    return jnp.sum((logits - jax.nn.one_hot(labels, logits.shape[1])) ** 2, axis=1)


def test_equals_the_measure_on_a_snapshot():
    values = measure_arrays(["collapse", "fit"], **TRAIN, **TEST, **HEAD, loss=squared)
    cast = {key: jnp.asarray(value) for key, value in (TRAIN | TEST | HEAD).items()}
    snapshot = Snapshot(
        Probe(cast["train_features"], cast["train_labels"], FEATURES @ KERNEL + BIAS),
        Probe(cast["test_features"], cast["test_labels"], (FEATURES[:7] + 1) @ KERNEL + BIAS),
        head_kernel=cast["head_kernel"],
        num_classes=3,
    )
    expected = {name: float(value) for name, value in jax.jit(collapse)(snapshot).items()}
    logits = FEATURES @ KERNEL + BIAS
    expected["train_accuracy"] = np.mean(logits.argmax(1) == LABELS)
    expected["train_loss"] = np.sum((logits - np.eye(3)[LABELS]) ** 2) / 12
    assert all(type(value) is float for value in values.values())
    assert set(values) == set(MEASURES["collapse"].variables) | set(MEASURES["fit"].variables)
    assert {name: values[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert list(values)[: len(MEASURES["collapse"].variables)] == list(MEASURES["collapse"].variables)


def test_a_loss_is_a_function_or_its_name():
    logits = FEATURES @ KERNEL
    shifted = logits - logits.max(1, keepdims=True)
    nats = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(LABELS)), LABELS]
    values = measure_arrays("fit", **TRAIN, head_kernel=KERNEL, loss="cross_entropy")
    assert values["train_loss"] == pytest.approx(nats.mean(), rel=1e-5)


def test_head_without_bias():
    values = measure_arrays("fit", **TRAIN, head_kernel=KERNEL, loss=squared)
    expected = np.sum((FEATURES @ KERNEL - np.eye(3)[LABELS]) ** 2) / 12
    assert values["train_loss"] == pytest.approx(expected, rel=1e-5)


class ForeignTensor:
    """What numpy sees of another framework's tensor."""

    def __init__(self, array, readable=True):
        self.array, self.readable = array, readable

    def __array__(self, dtype=None, copy=None):
        if not self.readable:
            raise RuntimeError("call detach() first\nlong story")
        return self.array


@pytest.mark.parametrize(
    "convert",
    [np.float32, jnp.asarray, ForeignTensor, lambda a: a.tolist(), lambda a: jnp.asarray(a, jnp.bfloat16)],
)
def test_reads_arrays_of_any_framework(convert):
    values = measure_arrays("collapse", train_features=convert(FEATURES), train_labels=LABELS.tolist())
    expected = measure_arrays(["collapse"], **TRAIN)
    assert values == pytest.approx(expected, rel=0.03)


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    values = measure_arrays("collapse", train_features=torch.tensor(FEATURES), train_labels=torch.tensor(LABELS))
    assert values == pytest.approx(measure_arrays("collapse", **TRAIN))


def test_classes_come_from_both_sets_or_from_the_head(monkeypatch):
    def count(snapshot):
        return {"count": jnp.asarray(snapshot.num_classes)}

    monkeypatch.setitem(MEASURES, "count", Measure("count", count, {"count": Variable("Count", "1", "test")}))
    more = {"test_features": FEATURES, "test_labels": np.arange(12) % 5}
    assert measure_arrays("count", **TRAIN)["count"] == 3
    assert measure_arrays("count", **TRAIN, **more)["count"] == 5
    assert measure_arrays("count", **TRAIN, head_kernel=np.ones((4, 7)))["count"] == 7


def test_nan_features_are_values_not_errors():
    broken = FEATURES.copy()
    broken[0, 0] = np.nan
    values = measure_arrays("collapse", train_features=broken, train_labels=LABELS)
    assert all(np.isnan(value) for value in values.values())


WRONG = [
    ({"train_features": FEATURES[0]}, r"train_features: shape \(4,\); .* 2 axes"),
    (
        {"train_features": FEATURES[:0], "train_labels": LABELS[:0]},
        r"train_features: shape \(0, 4\); .* non-empty",
    ),
    ({"train_features": None}, "train_features: missing; train_labels needs it"),
    ({"train_features": FEATURES * 1j}, "train_features: type complex128; .* real numbers"),
    ({"train_features": [[1.0], [2.0, 3.0]]}, "train_features: list that numpy.asarray cannot read"),
    (
        {"train_features": ForeignTensor(FEATURES, False)},
        r"train_features: ForeignTensor .*\(call detach\(\) first\)",
    ),
    ({"train_labels": LABELS[:5]}, r"train_labels: shape \(5,\); .* \(12,\)"),
    ({"train_labels": np.eye(3)[LABELS]}, "train_labels: type float64; labels must be integers"),
    ({"train_labels": np.eye(3, dtype=int)[LABELS]}, r"train_labels: shape \(12, 3\); .* one label per row"),
    ({"train_labels": LABELS - 1}, "train_labels: -1; labels are 0 to"),
    ({"train_labels": LABELS + 2**31}, "train_labels: 2147483650; labels are 0 to"),
    (
        {"train_labels": LABELS + 1, **HEAD},
        "train_labels: 3; head_kernel has 3 classes, so that labels are 0 to 2",
    ),
    ({**TEST, "test_labels": LABELS[:7] + 1, **HEAD}, "test_labels: 3; head_kernel has 3 classes"),
    ({"test_features": FEATURES}, "test_labels: missing; test_features needs it"),
    ({"test_labels": LABELS}, "test_features: missing; test_labels needs it"),
    ({**TEST, "test_features": FEATURES[:7, :3]}, r"test_features: shape \(7, 3\); .* train_features, 4"),
    ({"head_kernel": KERNEL.T}, r"head_kernel: shape \(3, 4\); .* here \(4, classes\)"),
    ({"head_kernel": BIAS}, r"head_kernel: shape \(3,\); .* 2 axes"),
    ({"head_bias": BIAS}, "head_bias: given without head_kernel"),
    ({**HEAD, "head_bias": BIAS[:2]}, r"head_bias: shape \(2,\); .* \(3,\)"),
    ({"inputs": FEATURES[:5]}, r"inputs: shape \(5, 4\); .* per train example, 12"),
    ({"sigma": 3.0}, "options='sigma': these measures take no options"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_errors_name_argument_value_and_what_is_allowed(change, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        measure_arrays("collapse", **{**TRAIN, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("measures", "options", "message"),
    [
        ([], {}, r"measures=\[\]: name at least one measure"),
        (
            "colapse",
            {},
            r"measures='colapse': unknown measure; did you mean 'collapse'\? known: .*, or FILE.py:FUNCTION",
        ),
        (["collapse", 3], {}, "measures=3: unknown measure"),
        ("fit", {}, "options.loss=None: missing; the measure 'fit' needs a value"),
        (
            "fit",
            {"loss": squared},
            "measures='fit': nothing to measure in train_features, train_labels; .*train_accuracy",
        ),
        (
            "fit",
            {"loss": squared, "los": 1},
            r"options='los': unknown option; did you mean 'loss'\? known: loss",
        ),
        (
            "fit",
            {"loss": "cross_entrop"},
            r"loss='cross_entrop': unknown loss; did you mean 'cross_entropy'\?",
        ),
        ("fit", {"loss": 3}, "options.loss=3: must be a function"),
        ("norms", {}, "measures='norms': needs 'weights'; give head_kernel"),
    ],
)
def test_errors_of_measures_and_options(measures, options, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        measure_arrays(measures, **TRAIN, **options)
    assert "\n" not in str(caught.value)


def test_options_and_inputs_reach_the_measures_that_take_them(monkeypatch):
    def probe_inputs(snapshot, *, power: int = 1, weights=None):
        total = jnp.sum(snapshot.train.inputs[:, 0] ** power * weights)
        return {"total": total}

    extra = Measure("extra", probe_inputs, {"total": Variable("Total", "1", "test")})
    monkeypatch.setitem(MEASURES, "extra", extra)
    inputs = np.arange(36).reshape(12, 3)
    values = measure_arrays(["collapse", "extra"], **TRAIN, inputs=inputs, power=2, weights=np.ones(12))
    assert values["total"] == np.sum(inputs[:, 0] ** 2)
    assert "rnc1" in values


def test_registry():
    assert get_measure("norms") is MEASURES["norms"]
    for name, measure in MEASURES.items():
        assert measure.name == name
        assert all(dataclasses.is_dataclass(variable) for variable in measure.variables.values())
    names = [variable for measure in MEASURES.values() for variable in measure.variables]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("spread", [1e-3, 1e-5])
def test_float64_features_keep_the_digits_that_float32_would_lose(rng, spread):
    """A common offset of 1e4: cast to float32 the variance within classes is 7.6 % or 133 times too large."""
    labels = np.arange(200) % 4
    features = 1e4 + 3 * np.eye(4, 12)[labels] + spread * rng.normal(size=(200, 12))
    means = np.stack([features[labels == c].mean(0) for c in range(4)])
    within = np.mean(np.sum((features - means[labels]) ** 2, axis=1))
    expected = within / np.max(np.sum(features**2, axis=1))
    values = measure_arrays("collapse", train_features=features, train_labels=labels)
    assert values["rnc1"] == pytest.approx(expected, rel=1e-6)
    # Numbers that were float32 before are all that there is, and those without an offset lose nothing.
    assert not loses_digits(features.astype(np.float32), labels)
    assert loses_digits(features, labels)
    assert not loses_digits(features - means[labels], labels)


def test_two_near_means_and_a_far_one(rng):
    """In float64 the pseudo-inverse reads the direction between the near means, too."""
    labels = np.arange(300) % 3
    features = np.array([[0, 0], [0, 1e-1], [1e6, 0]])[labels] + 1e-3 * rng.normal(size=(300, 2))
    means = np.stack([features[labels == c].mean(0) for c in range(3)])
    centred, within = means - means.mean(0), features - means[labels]
    expected = np.trace(within.T @ within / 300 @ np.linalg.pinv(centred.T @ centred / 3, rcond=1e-20)) / 3
    values = measure_arrays("collapse", train_features=features, train_labels=labels)
    assert values["nc1_pinv"] == pytest.approx(expected, rel=1e-6)
    assert values["class_mean_rank"] == 2


@pytest.mark.parametrize("name", ["nhsic", "noisy_channel", "mutual_information", "collapse"])
def test_a_single_test_example_is_refused(rng, name):
    rows = {"train_features": rng.normal(size=(20, 3)), "train_labels": np.arange(20) % 2}
    with pytest.raises(ValueError, match=r"^test_features: 1 row; it must have at least 2") as error:
        measure_arrays(name, **rows, test_features=np.ones((1, 3)), test_labels=[0])
    assert "\n" not in str(error.value)
