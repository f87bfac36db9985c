"""The minimum around the parameters of a pruned network, in float64: Hessian by differences, cost of the mask."""

from collections.abc import Sequence

import numpy as np
from geometry import Values
from heads import losses
from inputs import Arrays
from networks import layers, tensors, vector

STEP = 1e-4


def flatness(arrays: Arrays, loss: str) -> Values:
    """Density, distance per parameter kept, extreme eigenvalues of the Hessian among what the mask keeps."""
    mask = tensors(arrays, "mask")
    kernels = np.concatenate([kept.ravel() for name, kept in mask.items() if name.endswith("/kernel")])
    kept = vector(arrays, "mask") > 0
    moved = (vector(arrays, "parameters") - vector(arrays, "initial"))[kept]
    values = np.linalg.eigvalsh(hessian(arrays, loss)[np.ix_(kept, kept)])
    return {
        "density": kernels.mean(),
        "distance_per_weight": np.linalg.norm(moved) / np.sqrt(kept.sum()),
        "hessian_top": values[-1],
        "hessian_bottom": values[0],
    }


def hessian(arrays: Arrays, loss: str) -> np.ndarray:
    """Second differences of the mean loss in every pair of parameters; pruned ones are 0.

    Units stay on or off as they are at the parameters, so that no difference reaches over a kink.
    """
    theta = vector(arrays, "parameters") * vector(arrays, "mask")
    shapes = {name: tensor.shape for name, tensor in tensors(arrays, "parameters").items()}
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1]

    def at(point: np.ndarray) -> Arrays:
        parts = np.split(point, ends)
        named = zip(shapes.items(), parts, strict=True)
        return arrays | {f"parameters/{name}": part.reshape(shape) for (name, shape), part in named}

    units = switched_on(at(theta))

    def mean(point: np.ndarray) -> float:
        return float(np.mean(losses(loss, linear_outputs(at(point), units), arrays["train_labels"])))

    steps = np.eye(len(theta)) * STEP
    result = np.empty((len(theta), len(theta)))
    for i, first in enumerate(steps):
        for j, second in enumerate(steps[: i + 1]):
            same = mean(theta + first + second) + mean(theta - first - second)
            other = mean(theta + first - second) + mean(theta - first + second)
            result[i, j] = result[j, i] = (same - other) / (4 * STEP**2)
    return result


def switched_on(arrays: Arrays) -> list[np.ndarray]:
    """Which hidden units are above 0, for each example."""
    output, found = arrays["inputs"], []
    for weights, bias in layers(arrays)[:-1]:
        found.append(output @ weights.T + bias > 0)
        output = (output @ weights.T + bias) * found[-1]
    return found


def linear_outputs(arrays: Arrays, units: list[np.ndarray]) -> np.ndarray:
    """Logits with the units that are given on, the others off."""
    *hidden, (head, head_bias) = layers(arrays)
    output = arrays["inputs"]
    for (weights, bias), on in zip(hidden, units, strict=True):
        output = (output @ weights.T + bias) * on
    return output @ head.T + head_bias


def pac_bayes(arrays: Arrays, sigmas: Sequence[float]) -> Values:
    """What costs nats: the mask, and the move away from theta_0 and from 0 at each sigma."""
    mask = tensors(arrays, "mask")
    kernels = np.concatenate([kept.ravel() for name, kept in mask.items() if name.endswith("/kernel")])
    gone = 1 - kernels.mean()
    entropy = -sum(share * np.log(share) for share in (gone, 1 - gone) if share > 0)
    kept = vector(arrays, "mask")
    theta, began = vector(arrays, "parameters") * kept, vector(arrays, "initial") * kept
    return {
        "mask_cost": len(kernels) * entropy,
        "slab_divergence": np.array([0.5 * np.sum(np.log1p(((theta - began) / s) ** 2)) for s in sigmas]),
        "zero_divergence": np.array([0.5 * np.sum(np.log1p((theta / s) ** 2)) for s in sigmas]),
    }
