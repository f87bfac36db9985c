"""Collapse, pairwise geometry, spectra, each definition written out in float64 (docs/measures.md)."""

import itertools

import numpy as np
from inputs import Arrays

# Singular values below this fraction of the largest are rounding of float32 features.
ROUNDING = 7.6e-6
Values = dict[str, float | np.ndarray]


def logits(arrays: Arrays, features: np.ndarray) -> np.ndarray | None:
    """Outputs of the head, if there is one."""
    if "head_kernel" not in arrays:
        return None
    return features @ arrays["head_kernel"] + arrays.get("head_bias", 0.0)


def means_of(features: np.ndarray, labels: np.ndarray) -> dict[int, np.ndarray]:
    """The mean of every class that has a member."""
    return {int(c): features[labels == c].mean(axis=0) for c in np.unique(labels)}


def probes(arrays: Arrays) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features and labels by the suffix of their variables."""
    both = {"": "train", "_test": "test"}
    return {
        s: (arrays[f"{k}_features"], arrays[f"{k}_labels"]) for s, k in both.items() if f"{k}_features" in arrays
    }


def collapse(arrays: Arrays) -> Values:
    """Within- and between-class variance, RNC1, NC1 to NC4."""
    values: Values = {}
    centres = means_of(arrays["train_features"], arrays["train_labels"])
    for suffix, (features, labels) in probes(arrays).items():
        predicted = logits(arrays, features)
        own = means_of(features, labels)
        found = spread(features, labels, own, predicted) | arrangement(features, labels, own, arrays)
        if suffix:
            around = spread(features, labels, centres, predicted)
            found |= {f"{name}_test_around_train": value for name, value in around.items()}
        values |= {name if "around" in name else name + suffix: value for name, value in found.items()}
    return values


def spread(
    features: np.ndarray, labels: np.ndarray, centres: dict[int, np.ndarray], predicted: np.ndarray | None
) -> Values:
    """How far features lie from given centres of their classes."""
    kept = np.isin(labels, list(centres))
    squares = [np.sum((g - centres[c]) ** 2) for g, c in zip(features[kept], labels[kept], strict=True)]
    within = np.mean(squares)
    shares = {c: np.mean(labels[kept] == c) for c in centres}
    average = sum(shares[c] * centres[c] for c in centres)
    between = sum(shares[c] * np.sum((centres[c] - average) ** 2) for c in centres)
    norms = np.linalg.norm(features, axis=1)
    values: Values = {
        "within_class_variance": within,
        "between_class_variance": between,
        "rnc1": within / norms.max() ** 2,
        "rnc1_mean_norm": within / norms.mean() ** 2,
        "rnc1_q95": within / np.quantile(norms, 0.95) ** 2,
        "nc1": within / between if between else np.inf,
    }
    if predicted is not None:
        nearest = [min(centres, key=lambda c: np.sum((g - centres[c]) ** 2)) for g in features]
        values["nc4_agreement"] = np.mean(np.array(nearest) == predicted.argmax(axis=1))
    return values


def arrangement(features: np.ndarray, labels: np.ndarray, means: dict[int, np.ndarray], arrays: Arrays) -> Values:
    """How the class means lie to one another and to the head."""
    classes, count = list(means), len(means)
    uncentred = np.array([means[c] for c in classes])
    centred = uncentred - uncentred.mean(axis=0)
    deviations = features - np.array([means[int(c)] for c in labels])
    sigma_w = deviations.T @ deviations / len(features)
    _, sizes, directions = np.linalg.svd(centred)
    used = [i for i in range(min(count - 1, len(sizes))) if sizes[i] > ROUNDING * sizes[0]]
    pinv = sum(np.outer(directions[i], directions[i]) * count / sizes[i] ** 2 for i in used)
    spectrum = np.linalg.svd(uncentred, compute_uv=False)
    regular = count <= uncentred.shape[1] and spectrum[-1] > ROUNDING * spectrum[0]
    lengths = np.linalg.norm(centred, axis=1)
    cosines = [
        centred[a] @ centred[b] / (lengths[a] * lengths[b]) if lengths[a] * lengths[b] else np.nan
        for a, b in itertools.combinations(range(count), 2)
    ]
    values: Values = {
        "nc1_pinv": np.trace(sigma_w @ pinv) / count if used else np.nan,
        "class_mean_rank": len(used),
        "nc2_condition": spectrum[0] / spectrum[-1] if regular else np.inf,
        "nc2_equinorm": lengths.std() / lengths.mean() if used else np.nan,
        "nc2_etf_error": np.mean(np.abs(np.array(cosines) + 1 / (count - 1))),
    }
    if "head_kernel" in arrays:
        head = arrays["head_kernel"].T[classes]
        size = np.linalg.norm(centred)
        values["nc3_self_duality"] = (
            np.linalg.norm(head / np.linalg.norm(head) - centred / size) if size else np.nan
        )
    return values


def geometry(arrays: Arrays) -> Values:
    """CDNV and the energies of G-NC2."""
    return {n + suffix: v for suffix, probe in probes(arrays).items() for n, v in pairwise(*probe).items()}


def pairwise(features: np.ndarray, labels: np.ndarray) -> Values:
    """Over the unordered pairs of classes."""
    means = means_of(features, labels)
    variances = {c: np.mean(np.sum((features[labels == c] - means[c]) ** 2, axis=1)) for c in means}
    average = np.mean(list(means.values()), axis=0)
    cdnv, logs, inverses = [], [], []
    for a, b in itertools.combinations(means, 2):
        squared = np.sum((means[a] - means[b]) ** 2)
        cdnv.append((variances[a] + variances[b]) / (2 * squared) if squared else np.inf)
        first, second = (means[c] - average for c in (a, b))
        with np.errstate(invalid="ignore"):
            distance = np.linalg.norm(first / np.linalg.norm(first) - second / np.linalg.norm(second))
        logs.append(-np.log(distance))
        inverses.append(1 / distance)
    count = len(means)
    least = np.sqrt((count - 1) / (2 * count))
    return {
        "cdnv": np.mean(cdnv),
        "cdnv_max": np.max(cdnv),
        "gnc2_log": np.mean(logs),
        "gnc2_log_std": np.std(logs),
        "gnc2_log_excess": np.mean(logs) - np.log(least),
        "gnc2_inverse": np.mean(inverses),
        "gnc2_inverse_std": np.std(inverses),
        "gnc2_inverse_excess": np.mean(inverses) - least,
    }


def spectrum(arrays: Arrays) -> Values:
    """Spectrum of the covariance of the features."""
    values: Values = {}
    for suffix, (features, _) in probes(arrays).items():
        sizes = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)
        sizes = sizes[sizes > 1e-12 * sizes[0]]
        eigenvalues = sizes**2
        shares, weights = eigenvalues / eigenvalues.sum(), sizes / sizes.sum()
        entropy = -np.sum(shares * np.log(shares))
        values |= {
            f"spectral_entropy{suffix}": entropy,
            f"spectral_entropy_normalised{suffix}": entropy / np.log(features.shape[1]),
            f"effective_rank{suffix}": np.exp(-np.sum(weights * np.log(weights))),
            f"participation_ratio{suffix}": eigenvalues.sum() ** 2 / np.sum(eigenvalues**2),
            f"stable_rank{suffix}": eigenvalues.sum() / eigenvalues.max(),
        }
    return values


def angles(arrays: Arrays, exponent: float = 2.0) -> Values:
    """Equality of angles of class means and weights, duality class by class, CDNV with an exponent."""
    values: Values = {}
    for suffix, (features, labels) in probes(arrays).items():
        means = means_of(features, labels)
        centre = np.mean(list(means.values()), axis=0)
        pairs = list(itertools.combinations(means, 2))
        spreads = {c: np.mean(np.sum((features[labels == c] - mean) ** 2, axis=1)) for c, mean in means.items()}
        distances = [np.linalg.norm(means[a] - means[b]) for a, b in pairs]
        duals = [cosine(arrays["head_kernel"][:, c], mean - centre) for c, mean in means.items()]
        found = {
            "nc2_equiangularity": np.std([cosine(means[a] - centre, means[b] - centre) for a, b in pairs]),
            "nc3_cosine": np.mean(duals),
            "unc3": np.std(duals),
            "cdnv_power": np.mean(
                [
                    (spreads[a] + spreads[b]) / 2 / d ** (2 * exponent)
                    for (a, b), d in zip(pairs, distances, strict=True)
                ]
            ),
        }
        values |= {name + suffix: value for name, value in found.items()}
    weights = arrays["head_kernel"].T[np.unique(arrays["train_labels"])]
    lengths = np.linalg.norm(weights, axis=1)
    cosines = np.array([cosine(a, b) for a, b in itertools.combinations(weights, 2)])
    return values | {
        "nc2_equinorm_head": np.std(lengths) / np.mean(lengths),
        "nc2_equiangularity_head": np.std(cosines),
        "nc2_etf_error_head": np.mean(np.abs(cosines + 1 / (len(weights) - 1))),
    }


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of the angle between two vectors."""
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
