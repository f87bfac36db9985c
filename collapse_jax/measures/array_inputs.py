"""Reads arrays of any framework into a snapshot, and says in one line what is wrong with them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from collapse_jax.measures.base import Probe, Snapshot
from collapse_jax.measures.precision import matmul


def read_snapshot(
    train_features: Any,
    train_labels: Any,
    test_features: Any,
    test_labels: Any,
    head_kernel: Any,
    head_bias: Any,
    inputs: Any,
    train_layers: Any = None,
    test_layers: Any = None,
    ood_features: Any = None,
    train_true_labels: Any = None,
) -> Snapshot:
    """The arguments of `measure_arrays` as a snapshot; ValueError names the first that does not fit."""
    train = _read_probe("train", train_features, train_labels)
    test = None
    if test_features is not None or test_labels is not None:
        test = _read_probe("test", test_features, test_labels)
        if test.features.shape[1] != train.features.shape[1]:
            raise ValueError(
                f"test_features: shape {test.features.shape}; "
                f"it must have as many columns as train_features, {train.features.shape[1]}"
            )
    dim = train.features.shape[1]
    largest = max(int(probe.labels.max()) for probe in (train, test) if probe is not None)
    num_classes = largest + 1
    if head_kernel is not None:
        head_kernel = _read("head_kernel", head_kernel, ndim=2)
        if head_kernel.shape[0] != dim:
            raise ValueError(
                f"head_kernel: shape {head_kernel.shape}; it must be [features, classes], here ({dim}, classes)"
            )
        num_classes = head_kernel.shape[1]
        for kind, probe in (("train", train), ("test", test)):
            if probe is not None and int(probe.labels.max()) >= num_classes:
                raise ValueError(
                    f"{kind}_labels: {int(probe.labels.max())}; head_kernel has {num_classes} classes, "
                    f"so that labels are 0 to {num_classes - 1}"
                )
    if head_bias is not None:
        if head_kernel is None:
            raise ValueError("head_bias: given without head_kernel; give both or neither")
        head_bias = _read("head_bias", head_bias, ndim=1)
        if head_bias.shape != (num_classes,):
            raise ValueError(f"head_bias: shape {head_bias.shape}; it must be one bias per class, ({num_classes},)")
    if inputs is not None:
        inputs = _read("inputs", inputs)
        if inputs.shape[:1] != train.labels.shape:
            raise ValueError(
                f"inputs: shape {inputs.shape}; it must have one row per train example, {len(train.labels)}"
            )
    if train_true_labels is not None:
        true = _read_labels("train_true_labels", train_true_labels, "train_labels", train.labels.shape)
        train = dataclasses.replace(train, true_labels=true)
    train = _with_layers("train", train, train_layers)
    if test is not None:
        test = _with_layers("test", test, test_layers)
    elif test_layers is not None:
        raise ValueError("test_layers: given without test_features; give both or neither")
    if train.layers and test is not None and test.layers and len(train.layers) != len(test.layers):
        raise ValueError(f"test_layers: {len(test.layers)} arrays; train_layers has {len(train.layers)}")
    ood = None
    if ood_features is not None:
        ood = _with_logits(_read_foreign(ood_features, dim), head_kernel, head_bias)
    return Snapshot(
        train=dataclasses.replace(_with_logits(train, head_kernel, head_bias), inputs=inputs),
        test=None if test is None else _with_logits(test, head_kernel, head_bias),
        ood=ood,
        head_kernel=head_kernel,
        head_bias=head_bias,
        num_classes=num_classes,
    )


def _with_logits(probe: Probe, kernel: Any, bias: Any) -> Probe:
    if kernel is None:
        return probe
    logits = matmul(probe.features, kernel)
    return dataclasses.replace(probe, logits=logits if bias is None else logits + bias[None, :])


def _with_layers(kind: str, probe: Probe, layers: Any) -> Probe:
    """The probe with the outputs of its hidden layers, one row per example, flattened."""
    if layers is None:
        return probe
    read = []
    for index, layer in enumerate(layers):
        name = f"{kind}_layers[{index}]"
        array = _read(name, layer)
        if array.ndim < 2 or array.shape[:1] != probe.labels.shape:
            raise ValueError(
                f"{name}: shape {array.shape}; it must have one row per {kind} example, {len(probe.labels)}"
            )
        read.append(array.reshape(len(array), -1))
    if not read:
        raise ValueError(f"{kind}_layers: empty; give the output of at least one hidden layer")
    return dataclasses.replace(probe, layers=tuple(read))


def _read_foreign(features: Any, dim: int) -> Probe:
    """The probe of examples from outside the distribution, whose labels say nothing."""
    features = _read("ood_features", features, ndim=2)
    if features.shape[1] != dim:
        raise ValueError(
            f"ood_features: shape {features.shape}; it must have as many columns as train_features, {dim}"
        )
    return Probe(features=features, labels=jnp.zeros(len(features), jnp.int32))


def _read_probe(kind: str, features: Any, labels: Any) -> Probe:
    for name, value, other in (
        (f"{kind}_features", features, "labels"),
        (f"{kind}_labels", labels, "features"),
    ):
        if value is None:
            raise ValueError(f"{name}: missing; {kind}_{other} needs it")
    features = _read(f"{kind}_features", features, ndim=2)
    if len(features) == 1:
        raise ValueError(f"{kind}_features: 1 row; it must have at least 2: one example has no variance")
    labels = _read_labels(f"{kind}_labels", labels, f"{kind}_features", features.shape[:1])
    return Probe(features=features, labels=labels)


def _read_labels(name: str, labels: Any, rows: str, shape: tuple[int, ...]) -> jax.Array:
    labels = _as_numpy(name, labels)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{name}: type {labels.dtype}; labels must be integers")
    if labels.shape != shape:
        raise ValueError(f"{name}: shape {labels.shape}; it must be one label per row of {rows}, {shape}")
    lowest, largest = int(labels.min()), int(labels.max())
    if lowest < 0 or largest >= 2**31 - 1:
        raise ValueError(f"{name}: {lowest if lowest < 0 else largest}; labels are 0 to the number of classes - 1")
    return jnp.asarray(labels.astype(np.int32))


def _read(name: str, value: Any, ndim: int | None = None) -> jax.Array:
    """`value` as a real floating array, with `ndim` axes and none of them empty."""
    array = _as_numpy(name, value)
    if not (jnp.issubdtype(array.dtype, jnp.floating) or array.dtype.kind in "iub"):
        raise ValueError(f"{name}: type {array.dtype}; it must hold real numbers")
    if array.size == 0 or (ndim is not None and array.ndim != ndim):
        axes = {None: "", 1: " with 1 axis", 2: " with 2 axes"}[ndim]
        raise ValueError(f"{name}: shape {array.shape}; it must be a non-empty array{axes}")
    return jnp.asarray(array.astype(jax.dtypes.canonicalize_dtype(np.float64)))


def plain(value: Any) -> Any:
    """Return tensors of torch as arrays of numpy; what numpy reads itself, and what nothing can read, as it is.

    A tensor may carry a gradient, lie on a device, or have a type that numpy lacks (bfloat16, float8).
    """
    if not hasattr(value, "detach"):
        return value
    try:
        tensor = value.detach().cpu()
        return np.asarray(tensor.float() if "float" in str(tensor.dtype) and tensor.itemsize < 4 else tensor)
    except Exception:  # of any kind of tensor; it is told where the array is read
        return value


def _as_numpy(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{name}: {type(value).__name__} that numpy.asarray cannot read ({reason})") from error
