"""nHSIC, mutual information from neighbours, and bounds on noisy channels, in float64."""

import math
from collections.abc import Mapping

import numpy as np
from geometry import Values
from inputs import Arrays
from scipy.spatial.distance import cdist
from scipy.special import digamma, gammaln

SIGMAS = {"_sigma003": 0.03, "_sigma010": 0.1, "_sigma030": 0.3}


def nhsic(arrays: Arrays, mode: str, bandwidth: str, epsilon: float, sigma: float) -> Values:
    """trace(R_Z R_X) and trace(R_Z R_Y) of one batch of all examples."""
    z, labels, x = arrays["train_features"], arrays["train_labels"], arrays["inputs"]
    same = (labels[:, None] == labels[None, :]).astype(float)
    r_z, r_x = (smoother(gaussian(points, mode, bandwidth, sigma), epsilon, mode) for points in (z, x))
    r_y = smoother(same, epsilon, "uncentred" if mode == "reference" else mode)
    values = {"nhsic_zx": np.trace(r_z @ r_x), "nhsic_zy": np.trace(r_z @ r_y)}
    return values | {"superfluous_nhsic": values["nhsic_zx"] - values["nhsic_zy"]}


def gaussian(points: np.ndarray, mode: str, bandwidth: str, sigma: float) -> np.ndarray:
    """The kernel matrix of the rows."""
    squares = cdist(points, points, "sqeuclidean")
    if mode == "reference":
        scale = math.sqrt(points.shape[1])
    elif bandwidth == "sup_norm":
        scale = np.linalg.norm(points, axis=1).max()
    else:
        scale = np.median(np.sqrt(squares[np.triu_indices(len(points), 1)]))
    return np.exp(-squares / (2 * (sigma * scale) ** 2))


def smoother(kernel: np.ndarray, epsilon: float, mode: str) -> np.ndarray:
    """R = A (A + epsilon n I)^-1, A the kernel centred on both sides, on one ("reference"), or on none."""
    count = len(kernel)
    centring = np.eye(count) - 1 / count
    a = {"centred": centring @ kernel @ centring, "reference": kernel @ centring, "uncentred": kernel}[mode]
    return a @ np.linalg.inv(a + epsilon * count * np.eye(count))


def mutual_information(arrays: Arrays, mode: str, k: int, dim: int) -> Values:
    """I(Z;X) and I(Z;Y) of principal components."""
    z, x = (components(arrays[name], dim) for name in ("train_features", "inputs"))
    labels = arrays["train_labels"]
    if mode == "ksg":
        z, x = z / z.std(axis=0), x / x.std(axis=0)
        zx, zy = ksg(z, x, k), ross(z, labels, k)
    else:
        z, x = whiten(z), whiten(x)
        zx = entropy(z, k) + entropy(x, k) - entropy(np.hstack([z, x]), k)
        given = sum(np.mean(labels == c) * entropy(z[labels == c], k) for c in np.unique(labels))
        zy = entropy(z, k) - given
    return {"mi_zx": zx, "mi_zy": zy, "superfluous_information": zx - zy}


def discrete(arrays: Arrays) -> Values:
    """psi(N) + mean( psi(n_zx) - psi(n_z) - psi(n_x) ) from counts of equal rows, and the same with the labels."""
    z, x = (arrays[name][:, 0] for name in ("train_features", "inputs"))

    def information(other: np.ndarray) -> float:
        same_z, same_other = z[:, None] == z, other[:, None] == other
        counts = [same.sum(axis=1) for same in (same_z & same_other, same_z, same_other)]
        both, first, second = (digamma(count) for count in counts)
        return float(digamma(len(z)) + np.mean(both - first - second))

    zx, zy = information(x), information(arrays["train_labels"])
    return {"mi_zx": zx, "mi_zy": zy, "superfluous_information": zx - zy}


def components(points: np.ndarray, dim: int) -> np.ndarray:
    """The first principal components."""
    centred = points - points.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:dim].T


def whiten(points: np.ndarray) -> np.ndarray:
    """Unit covariance by the Cholesky factor of the covariance plus 1e-6."""
    centred = points - points.mean(axis=0)
    factor = np.linalg.cholesky(centred.T @ centred / (len(points) - 1) + 1e-6 * np.eye(points.shape[1]))
    return np.linalg.solve(factor, centred.T).T


def ksg(first: np.ndarray, second: np.ndarray, k: int) -> float:
    """Algorithm 1 of Kraskov et al. 2004; no two points are equal here."""
    a, b = cdist(first, first, "chebyshev"), cdist(second, second, "chebyshev")
    radius = np.sort(np.maximum(a, b), axis=1)[:, k]  # column 0 is the point itself
    closer = [np.sum(d < radius[:, None], axis=1) for d in (a, b)]  # the point itself is the "+ 1"
    return float(digamma(k) + digamma(len(first)) - np.mean(digamma(closer[0]) + digamma(closer[1])))


def ross(points: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Ross 2014: k-th neighbour within the class, then all points closer than that."""
    distances = cdist(points, points, "chebyshev")
    terms = []
    for i, label in enumerate(labels):
        fellows = np.sort(distances[i, labels == label])
        closer = np.sum(distances[i] < fellows[k])
        terms.append(digamma(closer) + digamma(len(fellows)))
    return float(digamma(len(points)) + digamma(k) - np.mean(terms))


def entropy(points: np.ndarray, k: int) -> float:
    """Kozachenko and Leonenko; up to 4 dimensions the weighted estimator reads the nearest neighbour alone."""
    count, dim = points.shape
    if dim > 4:
        raise ValueError("the cases stay below 5 dimensions, where the weights are trivial for every k")
    nearest = np.sort(cdist(points, points), axis=1)[:, 1]
    ball = dim / 2 * math.log(math.pi) - gammaln(dim / 2 + 1)
    return float(np.mean(dim * np.log(nearest)) + math.log(count - 1) + ball - digamma(1))


def noisy_channel(arrays: Arrays, sigmas: Mapping[str, float] = SIGMAS) -> Values:
    """Bounds on the information that features keep under noise of sigma times their largest norm.

    `sigmas` are by the ending of the variables.
    """
    features, labels = arrays["train_features"], arrays["train_labels"]
    squares = cdist(features, features, "sqeuclidean")
    same = labels[:, None] == labels[None, :]
    values: Values = {}
    for name, sigma in sigmas.items():
        tau = sigma * np.linalg.norm(features, axis=1).max()
        for bound, factor in (("upper", 2), ("lower", 8)):
            terms = np.exp(-squares / (factor * tau**2))
            values[f"kde_{bound}_zx{name}"] = -np.mean(np.log(terms.mean(axis=1)))
            within = np.where(same, terms, 0).sum(axis=1) / same.sum(axis=1)
            values[f"kde_{bound}_zx_given_y{name}"] = -np.mean(np.log(within))
        log_det = trace = 0.0
        for c in np.unique(labels):
            covariance = np.cov(features[labels == c].T, bias=True) / tau**2
            log_det += np.mean(labels == c) * np.linalg.slogdet(covariance + np.eye(len(covariance)))[1] / 2
            trace += np.mean(labels == c) * np.trace(covariance) / 2
        values |= {f"log_det_bound{name}": log_det, f"trace_bound{name}": trace}
    return values


def separated(arrays: Arrays) -> Values:
    """What the Monte Carlo estimates must be, whatever is drawn, where noise cannot confuse two examples."""
    labels = arrays["train_labels"]
    sizes = np.unique(labels, return_counts=True)[1]
    given = float(np.sum(sizes * np.log(sizes)) / len(labels))
    zx = math.log(len(labels))
    return {"noisy_zx_sigma003": zx, "noisy_zx_given_y_sigma003": given, "noisy_zy_sigma003": zx - given}


def silent(arrays: Arrays) -> Values:
    """What they must be where all examples have one feature vector: nothing."""
    return {f"noisy_{kind}{name}": 0.0 for kind in ("zx", "zx_given_y", "zy") for name in SIGMAS}


def binned(arrays: Arrays, bins: int) -> Values:
    """Entropies of the patterns of units in bins of equal width, counted."""
    features, labels = arrays["train_features"], arrays["train_labels"]
    low, high = features.min(), features.max()
    patterns = np.minimum(np.floor((features - low) / ((high - low) / bins)), bins - 1)

    def entropy_of(rows: np.ndarray) -> float:
        shares = np.unique(rows, axis=0, return_counts=True)[1] / len(rows)
        return -float(np.sum(shares * np.log(shares)))

    zx = entropy_of(patterns)
    given = entropy_of(np.column_stack([patterns, labels])) - entropy_of(labels[:, None])
    return {"binned_zx": zx, "binned_zy": zx - given, "binned_zx_given_y": given}


def layers(arrays: Arrays, sigma: float | None, k: int, dim: int, bins: int) -> Values:
    """All of them for every hidden layer; what is drawn at random is left out."""
    sigmas = SIGMAS if sigma is None else {"": sigma}
    rows: list[Values] = []
    for layer in range(sum(name.startswith("train_layers/") for name in arrays)):
        own = arrays | {"train_features": arrays[f"train_layers/{layer}"]}
        rows.append(mutual_information(own, "ksg", k, dim) | noisy_channel(own, sigmas) | binned(own, bins))
    return {f"layer_{name}": np.array([row[name] for row in rows]) for name in rows[0]}
