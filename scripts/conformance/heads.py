"""What reads the last layer or foreign features: fit, margins, generalisation, NC5 and NECO, in float64."""

import itertools

import numpy as np
from geometry import Values, logits, means_of, probes
from inputs import Arrays
from scipy.special import logsumexp

KINDS = {"": "train", "_test": "test"}


def losses(name: str, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Loss of every example: "squared_error" sum_k (f_k - [k = y])^2, or "cross_entropy" in nats."""
    if name == "squared_error":
        return np.sum((outputs - np.eye(outputs.shape[1])[labels]) ** 2, axis=1)
    return logsumexp(outputs, axis=1) - outputs[np.arange(len(labels)), labels]


def fit(arrays: Arrays, loss: str) -> Values:
    """Accuracy and mean loss."""
    values: Values = {}
    for suffix, (features, labels) in probes(arrays).items():
        outputs = logits(arrays, features)
        values[f"{KINDS[suffix]}_accuracy"] = np.mean(outputs.argmax(axis=1) == labels)
        values[f"{KINDS[suffix]}_loss"] = np.mean(losses(loss, outputs, labels))
    return values


def boundary(arrays: Arrays, a: int, b: int) -> tuple[np.ndarray, float]:
    """Unit normal of the boundary of two classes, towards a, and its offset."""
    kernel, bias = arrays["head_kernel"], arrays.get("head_bias", np.zeros(arrays["head_kernel"].shape[1]))
    normal = kernel[:, a] - kernel[:, b]
    length = np.linalg.norm(normal)
    return normal / length, (bias[a] - bias[b]) / length


def margins(arrays: Arrays, pairs: list[list[int]]) -> Values:
    """Signed distances of features to the boundaries of class pairs."""
    values: Values = {}
    for suffix, (features, labels) in probes(arrays).items():
        quantiles, errors, smallest = [], [], []
        for a, b in pairs:
            normal, offset = boundary(arrays, a, b)
            distances = features @ normal + offset
            first, second = distances[labels == a], distances[labels == b]
            quantiles.append([np.quantile(side, (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)) for side in (first, second)])
            errors.append([np.mean(first <= 0), np.mean(second >= 0)])
            smallest.append(min(first.min(), (-second).min()))
        nearest = []
        for g, y in zip(features, labels, strict=True):
            planes = [boundary(arrays, y, k) for k in range(arrays["head_kernel"].shape[1]) if k != y]
            nearest.append(min(g @ normal + offset for normal, offset in planes))
        found = {
            "margin_quantiles": np.array(quantiles),
            "margin_error": np.array(errors),
            "margin_min": np.array(smallest),
            "nearest_margin_min": min(nearest),
            "nearest_margin_median": np.median(nearest),
            "largest_norm": np.linalg.norm(features, axis=1).max(),
        }
        values |= {name + suffix: value for name, value in found.items()}
    return values


def generalisation(arrays: Arrays) -> Values:
    """The two sides of Theorems 3.2 and 4.1 of arXiv:2509.20829."""
    values: Values = {}
    largest = max(np.linalg.norm(features, axis=1).max() for features, _ in probes(arrays).values())
    for suffix, (features, labels) in probes(arrays).items():
        kind, means = KINDS[suffix], means_of(features, labels)
        plain = directional = within = 0.0
        for c, mean in means.items():
            share = np.mean(labels == c)
            deviations = features[labels == c] - mean
            variance = np.mean(np.sum(deviations**2, axis=1))
            within += share * variance
            for k in set(range(arrays["head_kernel"].shape[1])) - {c}:
                normal, offset = boundary(arrays, c, k)
                signal = max(mean @ normal + offset, 0) ** 2
                along = np.mean((deviations @ normal) ** 2)
                plain += share * bounded(variance, signal)
                directional += share * bounded(along, signal)
        outputs = logits(arrays, features)
        values |= {
            f"{kind}_error": np.mean(outputs.argmax(axis=1) != labels),
            f"{kind}_error_bound": plain,
            f"{kind}_error_bound_directional": directional,
            f"variance_{kind}": within / largest**2,
        }
    values["variance_gap"] = abs(values["variance_test"] - values["variance_train"])
    values["smallest_class"] = float(np.unique(arrays["train_labels"], return_counts=True)[1].min())
    if "parameters/hidden_0/kernel" in arrays:
        hidden = [v for n, v in arrays.items() if n.startswith("parameters/hidden") and n.endswith("kernel")]
        product = np.prod([np.linalg.norm(kernel, 2) for kernel in hidden])
        values["spectral_complexity"] = product * np.linalg.norm(arrays["inputs"], axis=1).max() / largest
    return values


def bounded(variance: float, signal: float) -> float:
    """1 / (1 + signal / variance), and 1 where both are 0."""
    return variance / (variance + signal) if variance + signal else 1.0


def ood(arrays: Arrays, scaling: str) -> Values:
    """NC5 and NECO, with K - 1 directions."""
    train, labels, test, foreign = (
        arrays[name] for name in ("train_features", "train_labels", "test_features", "ood_features")
    )
    means = means_of(train, labels)

    def orthogonality(features: np.ndarray) -> float:
        other = features.mean(axis=0)
        cosines = [abs(m @ other) / (np.linalg.norm(m) * np.linalg.norm(other)) for m in means.values()]
        return float(np.mean(cosines))

    values: Values = {
        "nc5_orthogonality": orthogonality(foreign),
        "nc5_orthogonality_test": orthogonality(test),
    }
    reference, inside, outside = train, test, foreign
    if scaling == "standard":
        centre, deviation = train.mean(axis=0), train.std(axis=0)
        reference, inside, outside = ((x - centre) / deviation for x in (train, test, foreign))
    axes = np.linalg.svd(reference - reference.mean(axis=0))[2][: arrays["head_kernel"].shape[1] - 1]
    first, second = (np.linalg.norm(x @ axes.T, axis=1) / np.linalg.norm(x, axis=1) for x in (inside, outside))
    wins = [(i > o) + (i == o) / 2 for i, o in itertools.product(first, second)]
    reaching = [t for t in first if np.mean(first >= t) >= 0.95]
    return values | {
        "neco": first.mean(),
        "neco_ood": second.mean(),
        "neco_auroc": np.mean(wins),
        "neco_fpr95": np.mean(second >= max(reaching)),
    }
