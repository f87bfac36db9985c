"""What reads the spectra of kernels, in float64."""

import numpy as np
from geometry import ROUNDING, Values
from inputs import Arrays
from networks import tensors


def heavy_tails(arrays: Arrays) -> Values:
    """Power law of the eigenvalues of every kernel, the head last."""
    kernels = {n.split("/")[0]: a for n, a in tensors(arrays, "parameters").items() if n.endswith("kernel")}
    names = ("alpha", "alpha_error", "xmin", "ks", "tail")
    rows = [tail_of(kernels[name]) for name in sorted(kernels, key=lambda name: (name == "head", name))]
    return {f"htsr_{name}": np.array([row[i] for row in rows]) for i, name in enumerate(names)}


def tail_of(kernel: np.ndarray) -> tuple[float, ...]:
    """Exponent, its error, beginning, distance and size of the tail that is nearest to its fit."""
    singular = np.linalg.svd(kernel, compute_uv=False)
    values = np.sort(singular[singular > ROUNDING * singular[0]] ** 2)
    found: list[tuple[float, ...]] = []
    for i in range(len(values) - 2):
        tail = values[i:]
        alpha = 1 + len(tail) / np.sum(np.log(tail / tail[0]))
        fitted = 1 - (tail / tail[0]) ** (1 - alpha)
        distance = np.max(np.abs(fitted - np.arange(len(tail)) / len(tail)))
        found.append((alpha, (alpha - 1) / np.sqrt(len(tail)), tail[0], distance, len(tail)))
    return min(found, key=lambda fit: fit[3]) if len(found) > 1 else (np.nan,) * 5
