"""Arguments of a wrong kind, from Python: one line that names the argument, before anything is read or compiled."""

import numpy as np
import pytest

import collapse_jax
from collapse_jax.analysis import Thresholds
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.thresholds import with_levels
from collapse_jax.measures.custom import from_function

RIGHT = {"train_features": np.eye(6, 3), "train_labels": np.arange(6) % 3, "head_kernel": np.eye(3)}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"options": "mode=reference"}, "options='mode=reference': must be a dict, such as "),
        ({"steps": "60"}, "steps='60': must be whole numbers"),
        ({"steps": [2.5]}, r"steps=\[2\.5\]: must be whole numbers"),
        ({"steps": 2.5}, r"steps=2\.5: must be whole numbers"),
        ({"splits": 3}, "splits=3: must be train, test or both"),
        ({"test_size": "all"}, "test_size='all': must be a whole number or None"),
        ({"memory": "4GB"}, "memory='4GB': must be > 0, a number of bytes"),
        ({"memory": -1}, "memory=-1: must be > 0, a number of bytes"),
        ({"label": 3}, "label=3: must be text"),
        ({"measures": None}, r"measures=\[None\]: must be names or functions"),
        ({"measures": ["fit", 3]}, r"measures=\['fit', 3\]: must be names or functions"),
    ],
)
def test_a_wrong_argument_of_measure_is_named(wrong, said, tmp_path):
    with pytest.raises(ConfigError, match=f"^{said}"):
        collapse_jax.measure(tmp_path / "nothing", **{"measures": "fit", **wrong})


def test_one_step_may_stand_alone(stored):
    taken = collapse_jax.measure(stored, lambda snapshot: snapshot.step * 1.0, steps=11)
    assert taken["own"].dropna("step", how="all").step.values.tolist() == [11]


def test_snapshots_and_levels_of_a_wrong_kind_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"^test_size=2\.5: must be a whole number or None"):
        collapse_jax.open_snapshots(tmp_path, test_size=2.5)
    for wrong in ("rnc1=0.02", 3):
        with pytest.raises(ConfigError, match=r"^thresholds=.*: must be a dict"):
            with_levels(Thresholds(), wrong)
    with pytest.raises(ConfigError, match=r"^thresholds\.rnc1='low': must be in \(0, 1\]"):
        with_levels(Thresholds(), {"rnc1": "low"})


@pytest.mark.parametrize("loss", [3, None])
def test_an_option_that_is_a_function_is_given_as_one(loss):
    with pytest.raises(ConfigError, match=r"^options\.loss=.*: must be a function"):
        collapse_jax.measure_arrays("fit", loss=loss, **RIGHT)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a b/c": 1.0}, "returned a variable 'a b/c'; names are letters"),
        ({1: 1.0}, "returned a variable 1; names are letters"),
        ({"": 1.0}, "returned a variable ''"),
        ({"step": 1.0}, "returned a variable 'step'; .* not those of coordinates"),
        ({"seed": 1.0}, "returned a variable 'seed'"),
        ({"diverged_at": 1.0}, "returned a variable 'diverged_at'"),
        ({"ok": 1j}, "returned ok=complex; it must return real numbers"),
        (np.complex64(1), "returned it=complex64; it must return real numbers"),
        (None, "returned it=NoneType; it must return real numbers"),
        ("text", "returned it=str"),
    ],
)
def test_a_measure_of_ones_own_returns_real_numbers_with_names(values, said):
    with pytest.raises(ConfigError, match=rf"^measures='it': {said}"):
        from_function(lambda snapshot: values, "it").function(None)
    assert from_function(lambda snapshot: {"_ok1": 2, "b": True}, "it").function(None)["_ok1"] == 2


class Tensor:
    """As a tensor of torch: numpy reads it only without a gradient, from the host, and in a type that it has."""

    def __init__(self, values, dtype="torch.float32", gradient=False, device="cpu"):
        self.values, self.dtype, self.gradient, self.device = np.asarray(values), dtype, gradient, device
        self.itemsize = {"torch.float32": 4, "torch.bfloat16": 2, "torch.float8_e5m2": 1}.get(dtype, 8)

    def detach(self):
        return Tensor(self.values, self.dtype, False, self.device)

    def cpu(self):
        return Tensor(self.values, self.dtype, self.gradient, "cpu")

    def float(self):
        return Tensor(self.values.astype(np.float32), "torch.float32", self.gradient, self.device)

    def __array__(self, dtype=None, copy=None):
        if self.gradient or self.device != "cpu":
            raise RuntimeError("Can't call numpy() on a tensor that requires grad, or is not here")
        if self.itemsize < 4:
            raise TypeError(f"Got unsupported ScalarType {self.dtype}")
        return self.values


FEATURES = np.float32([[1, 0], [0, 1], [2, 0.5], [0.25, 1], [1, 0.5], [0.5, 2]])


def check_tensors(tensor, labels):
    """Compare with the values of the same numbers in numpy."""
    expected = collapse_jax.measure_arrays("collapse", train_features=FEATURES, train_labels=np.arange(6) % 2)
    found = collapse_jax.measure_arrays("collapse", train_features=tensor, train_labels=labels)
    assert found == expected


@pytest.mark.parametrize("dtype", ["torch.float64", "torch.float32", "torch.bfloat16", "torch.float8_e5m2"])
def test_tensors_of_any_floating_type_with_gradients_and_on_devices_are_read(dtype):
    values = FEATURES.astype(np.float64) if dtype == "torch.float64" else FEATURES
    tensor, labels = Tensor(values, dtype, gradient=True, device="cuda"), Tensor(np.arange(6) % 2, "torch.int64")
    check_tensors(tensor, labels)
    found = collapse_jax.measure_arrays(
        lambda snapshot: {"sum": snapshot.train.layers[1].sum()},
        train_features=tensor,
        train_labels=labels,
        train_layers=[tensor, tensor],
    )
    assert found == {"sum": FEATURES.sum()}


def test_tensors_of_torch_are_read():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2):
        tensor = torch.tensor(FEATURES).to(dtype)
        check_tensors(tensor.requires_grad_() if dtype.itemsize > 1 else tensor, torch.arange(6) % 2)


def test_digits_of_a_tensor_of_doubles_that_carries_a_gradient_are_kept():
    """A common offset that float32 would round the differences away from."""
    values = 1e8 + FEATURES.astype(np.float64)
    arrays = {"train_features": values, "train_labels": np.arange(6) % 2}
    of_tensor = arrays | {"train_features": Tensor(values, "torch.float64", gradient=True)}
    assert collapse_jax.measure_arrays("collapse", **of_tensor) == collapse_jax.measure_arrays("collapse", **arrays)
