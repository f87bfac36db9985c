"""Straightforward measures of one snapshot at a time, as research code has them."""

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma
from sklearn.neighbors import BallTree, KDTree


def collapse_loader(features: np.ndarray, labels: np.ndarray, batch_size: int) -> dict[str, float]:
    """Variances, RNC1, NC1 and NC2 in two passes over a DataLoader, class by class."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(torch.from_numpy(features), torch.from_numpy(labels)), batch_size)
    classes, dim = 10, features.shape[1]
    sums, counts, norms = torch.zeros(classes, dim), torch.zeros(classes), 0.0
    for batch, target in loader:
        for c in range(classes):
            members = batch[target == c]
            sums[c] += members.sum(0)
            counts[c] += len(members)
        norms += batch.norm(dim=1).sum().item()
    means, total = sums / counts[:, None], sums.sum(0) / counts.sum()
    within = 0.0
    for batch, target in loader:
        for c in range(classes):
            within += ((batch[target == c] - means[c]) ** 2).sum().item()
    within /= len(labels)
    between = (counts / counts.sum() * ((means - total) ** 2).sum(1)).sum().item()
    return {
        "rnc1_mean_norm": within / (norms / len(labels)) ** 2,
        "nc1": within / between,
        "nc2_condition": torch.linalg.cond(means @ means.T).sqrt().item(),
    }


def collapse_numpy(features: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The same from whole arrays."""
    one_hot = np.eye(10, dtype=features.dtype)[labels]
    counts = one_hot.sum(0)
    means = one_hot.T @ features / counts[:, None]
    within = np.mean(np.sum((features - means[labels]) ** 2, axis=1))
    between = np.sum(counts / counts.sum() * np.sum((means - features.mean(0)) ** 2, axis=1))
    values = np.linalg.svd(means, compute_uv=False)
    norms = np.linalg.norm(features, axis=1)
    return {
        "rnc1": within / norms.max() ** 2,
        "rnc1_mean_norm": within / norms.mean() ** 2,
        "nc1": within / between,
        "nc2_condition": values[0] / values[-1],
    }


def nhsic_torch(
    features: np.ndarray, inputs: np.ndarray, labels: np.ndarray, batch_size: int
) -> tuple[float, float]:
    """nHSIC(Z;X) and nHSIC(Z;Y), every pair with its own kernels and inverses, batch by batch."""
    import torch

    def smoother(kernel: torch.Tensor) -> torch.Tensor:
        return kernel @ torch.inverse(kernel + 1e-5 * len(kernel) * torch.eye(len(kernel)))

    def gaussian(points: torch.Tensor) -> torch.Tensor:
        squares = torch.cdist(points, points) ** 2
        kernel = torch.exp(-squares / (2 * 5.0**2 * points.shape[1]))
        return smoother(kernel @ (torch.eye(len(points)) - 1 / len(points)))

    def linear(one_hot: torch.Tensor) -> torch.Tensor:
        return smoother(one_hot @ one_hot.T)

    targets = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), 10).float()
    z, x = torch.from_numpy(features), torch.from_numpy(inputs)
    totals, starts = [0.0, 0.0], range(0, len(labels), batch_size)
    for start in starts:
        rows = slice(start, start + batch_size)
        totals[0] += torch.sum(gaussian(z[rows]) * gaussian(x[rows]).T).item()
        totals[1] += torch.sum(gaussian(z[rows]) * linear(targets[rows]).T).item()
    return totals[0] / len(starts), totals[1] / len(starts)


def ksg_sklearn(z: np.ndarray, x: np.ndarray, k: int, tree: str) -> float:
    """KSG with trees of scikit-learn in the joint space and in both."""
    build = {"kd_tree": KDTree, "ball_tree": BallTree}[tree]
    joint = np.hstack([z, x])
    radius = build(joint, metric="chebyshev").query(joint, k + 1)[0][:, -1]
    below = np.nextafter(radius, 0)
    counts = [build(s, metric="chebyshev").query_radius(s, below, count_only=True) for s in (z, x)]
    return digamma(k) + digamma(len(z)) - sum(np.mean(digamma(count)) for count in counts)


def ksg_scipy(z: np.ndarray, x: np.ndarray, k: int) -> float:
    """KSG with trees of scipy, on all cores."""
    joint = np.hstack([z, x])
    radius = cKDTree(joint).query(joint, k + 1, p=np.inf, workers=-1)[0][:, -1]
    below = np.nextafter(radius, 0)
    counts = [cKDTree(s).query_ball_point(s, below, p=np.inf, return_length=True, workers=-1) for s in (z, x)]
    return digamma(k) + digamma(len(z)) - sum(np.mean(digamma(count)) for count in counts)
