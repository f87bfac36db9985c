"""The minimum around the parameters of a pruned network, in float64: Hessian by differences, cost of the mask."""

from collections.abc import Sequence

import numpy as np
from geometry import Values
from heads import losses
from inputs import Arrays
from networks import outputs, tensors, vector

STEP = 1e-5


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
    """Second differences of the mean loss in every pair of parameters; pruned ones are 0."""
    theta = vector(arrays, "parameters") * vector(arrays, "mask")
    shapes = {name: tensor.shape for name, tensor in tensors(arrays, "parameters").items()}
    places = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes.values())])

    def mean(point: np.ndarray) -> float:
        named = {
            f"parameters/{n}": point[a:].ravel()[: int(np.prod(s))].reshape(s)
            for (n, s), a in zip(shapes.items(), places[:-1], strict=True)
        }
        return float(np.mean(losses(loss, outputs(arrays | named), arrays["train_labels"])))

    unit = np.eye(len(theta)) * STEP
    once = np.array([[mean(theta + sign * u) for u in unit] for sign in (1, -1)])
    result = np.empty((len(theta), len(theta)))
    for i in range(len(theta)):
        for j in range(i + 1):
            if i == j:
                change = once[0, i] + once[1, i] - 2 * mean(theta)
            else:
                same, other = unit[i] + unit[j], unit[i] - unit[j]
                change = (mean(theta + same) + mean(theta - same) - mean(theta + other) - mean(theta - other)) / 4
            result[i, j] = result[j, i] = change / STEP**2
    return result


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
