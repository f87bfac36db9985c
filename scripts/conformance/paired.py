"""The arrays of the other cases: features with their inputs, limits of noisy channels, a network."""

import numpy as np
from inputs import CLASSES, DIM, TRAIN, Arrays, normal


def pairs() -> Arrays:
    """42 examples of 3 classes with inputs of 6 numbers, from which the features come with noise."""
    labels = np.arange(42) % 3
    inputs = normal(41, 42, 6) + normal(42, 3, 6)[labels]
    features = np.round((np.tanh(inputs @ normal(43, 6, 4) / 3) + normal(44, 42, 4) / 8) * 64) / 64
    return {"train_features": features, "train_labels": labels, "inputs": inputs}


def layered() -> Arrays:
    """The same examples behind two layers, of which the second one has these features."""
    arrays = pairs()
    first = np.round((arrays["inputs"] @ normal(45, 6, 5) / 3 + normal(46, 42, 5) / 8) * 64) / 64
    return arrays | {"train_layers/0": first, "train_layers/1": arrays["train_features"]}


def columns() -> Arrays:
    """60 examples of 3 classes, one feature, one input, no two of which are equal."""
    labels = np.arange(60) % 3
    step = 1 / 4096
    inputs = normal(51, 60, 1, step=step)
    features = inputs / 2 + normal(52, 60, 1, step=step) / 2 + labels[:, None]
    return {"train_features": features, "train_labels": labels, "inputs": inputs}


def repeated() -> Arrays:
    """60 examples of one discrete feature, input and label; no combination of them is rarer than five."""
    labels, values = np.arange(60) % 3, np.arange(60) // 3 % 4
    features = (labels + values // 2) % 3
    return {"train_features": 1.0 * features[:, None], "train_labels": labels, "inputs": values[:, None] / 2}


def far_apart() -> Arrays:
    """24 corners of a cube in 5 dimensions, far apart against noise of 0.03 of their norm."""
    corners = np.array([[1.0 if i >> bit & 1 else -1.0 for bit in range(DIM)] for i in range(TRAIN)])
    return {"train_features": corners, "train_labels": np.arange(TRAIN) % CLASSES}


def one_point() -> Arrays:
    """One feature vector for all 24 examples."""
    point = np.tile(normal(61, 1, DIM), (TRAIN, 1))
    return {"train_features": point, "train_labels": np.arange(TRAIN) % CLASSES}


def network() -> Arrays:
    """A network 5-4-3-3 of ReLU layers and a head that nearly fits 12 examples; theta_0; a mask.

    Weights and inputs are such that every output is exact, too.
    """
    labels = np.repeat(range(3), (5, 4, 3))
    step = 1 / 32
    inputs = np.eye(3, 5)[labels] + normal(71, 12, 5, step=step) / 16
    inputs = np.round(inputs / step) * step
    widths = (5, 4, 3, 3)
    names = ("hidden_0", "hidden_1", "head")
    arrays: Arrays = {"train_labels": labels, "inputs": inputs}
    layers, output = [], inputs
    for index, name in enumerate(names):
        shape = widths[index : index + 2]
        kernel = np.round((np.eye(*shape) + normal(72 + index, *shape) / 32) / step) * step
        bias = np.round(normal(75 + index, shape[1]) / 32 / step) * step
        began = kernel + normal(78 + index, *shape, step=1 / 8)
        kept = normal(81 + index, *shape) > -1
        arrays |= {
            f"parameters/{name}/kernel": kernel,
            f"parameters/{name}/bias": bias,
            f"initial/{name}/kernel": began,
            f"initial/{name}/bias": bias * 0,
            f"mask/{name}/kernel": kept.astype(int),
            f"mask/{name}/bias": np.ones(shape[1], int),
        }
        output = output @ kernel + bias
        output = np.maximum(output, 0) if name != "head" else output
        layers.append(output)
    arrays |= {"train_features": layers[1], "train_layers/0": layers[0], "train_layers/1": layers[1]}
    arrays |= {"head_kernel": arrays["parameters/head/kernel"], "head_bias": arrays["parameters/head/bias"]}
    test = np.arange(0, 12, 2)
    return arrays | {
        "test_features": layers[1][test] + normal(85, 6, 3, step=step),
        "test_labels": labels[test],
        "test_layers/0": np.abs(layers[0][test] + normal(86, 6, 4, step=step)),
        "test_layers/1": layers[1][test] + normal(85, 6, 3, step=step),
    }


def wide() -> Arrays:
    """Kernels with more eigenvalues: one normal, one with heavy-tailed entries, a head of three."""
    features = normal(91, 6, 9)
    heavy = normal(93, 16, 9) ** 3
    kernels = {"hidden_0": normal(92, 20, 16), "hidden_1": np.round(heavy * 64) / 64, "head": normal(94, 9, 3)}
    parameters = {f"parameters/{name}/kernel": kernel for name, kernel in kernels.items()}
    others = {f"{kind}/{name}/kernel": 0 * k + 1 for name, k in kernels.items() for kind in ("initial", "mask")}
    return {"train_features": features, "train_labels": np.arange(6) % 3} | parameters | others


PAIRED = (pairs, layered, columns, repeated, far_apart, one_point, network, wide)
