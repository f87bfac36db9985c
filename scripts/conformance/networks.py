"""What reads the parameters of a network, or the outputs of its layers, in float64."""

import bz2
import itertools
from collections.abc import Callable

import numpy as np
from geometry import Values, collapse
from heads import losses
from information import nhsic
from inputs import Arrays


def tensors(arrays: Arrays, kind: str) -> dict[str, np.ndarray]:
    """The arrays of "parameters", "initial" or "mask", by the name of their tensor."""
    return {n.removeprefix(f"{kind}/"): a for n, a in sorted(arrays.items()) if n.startswith(f"{kind}/")}


def vector(arrays: Arrays, kind: str) -> np.ndarray:
    """All of them as one vector, in the order of their names."""
    return np.concatenate([tensor.ravel() for tensor in tensors(arrays, kind).values()])


def layers(arrays: Arrays) -> list[tuple[np.ndarray, np.ndarray]]:
    """W_l with rows out, as the theorems have it, and b_l; the last is the head."""
    parameters = tensors(arrays, "parameters")
    names = [*sorted({name.split("/")[0] for name in parameters} - {"head"}), "head"]
    return [(parameters[f"{name}/kernel"].T, parameters[f"{name}/bias"]) for name in names]


def norms(arrays: Arrays) -> Values:
    """Norms of the parameters."""
    lengths = [np.linalg.norm(tensor.ravel()) for tensor in tensors(arrays, "parameters").values()]
    return {
        "weight_norm": np.linalg.norm(vector(arrays, "parameters")),
        "weight_norm_sum": sum(lengths),
        "last_layer_norm": np.linalg.norm(arrays["head_kernel"]),
    }


def distance(arrays: Arrays) -> Values:
    """Distance from theta_0 of what the mask keeps."""
    kept = vector(arrays, "mask")
    now, began = vector(arrays, "parameters") * kept, vector(arrays, "initial") * kept
    moved, size = np.linalg.norm(now - began), np.linalg.norm(began)
    return {
        "distance_from_initial": moved,
        "relative_distance": moved / size,
        "cosine_to_initial": now @ began / (size * np.linalg.norm(now)),
    }


def balancedness(arrays: Arrays) -> Values:
    """Imbalance of neighbouring layers."""
    rows = []
    chain = layers(arrays)
    for (first, bias), (second, _) in itertools.pairwise(chain):
        outer, inner = second.T @ second, first @ first.T
        kernels = outer - inner
        full = kernels - np.outer(bias, bias)
        sizes = [np.linalg.norm(m, 2) for m in (kernels, outer, inner)]
        diagonal = np.linalg.norm(np.diag(full))
        rows.append([np.linalg.norm(full), np.linalg.norm(kernels), diagonal, sizes[0] / min(sizes[1:])])
    names = ("imbalance", "imbalance_kernels", "imbalance_neurons", "imbalance_normalised")
    return dict(zip(names, np.array(rows).T, strict=True))


def compressed_size(arrays: Arrays, bin_width: float, loss: str, mode: str) -> Values:
    """Bytes of bzip2 of the parameters in float32, and the loss that quantising them costs; see `header`."""
    exact = vector(arrays, "parameters")
    coarse = np.round(exact / bin_width) * bin_width + 0.0
    rounded = {n: np.round(a / bin_width) * bin_width for n, a in arrays.items() if n.startswith("parameters/")}
    change = [np.mean(losses(loss, outputs(a), a["train_labels"])) for a in (arrays | rounded, arrays)]
    return {
        "compressed_size": len(bz2.compress(coarse.astype("<f4").tobytes()))
        + (header(arrays) if mode == "corrected" else 0),
        "compressed_size_exact": len(bz2.compress(exact.astype("<f4").tobytes())),
        "coarse_loss_change": change[0] - change[1],
    }


def header(arrays: Arrays) -> int:
    """Bytes that say how to read the numbers.

    The bin width, 4; of every tensor the number of its axes, 1, and their lengths, 4 each; of a matrix its rank, 2,
    and whether rows are left out, 1.
    """
    return 4 + sum(1 + 4 * a.ndim + 3 * (a.ndim > 1) for a in tensors(arrays, "parameters").values())


def complexity(arrays: Arrays, loss: str) -> Values:
    """What does not depend on a search: spectra, and the network of zeros, which any large distortion allows."""
    parameters = tensors(arrays, "parameters")
    matrices = [a for a in parameters.values() if a.ndim == 2]
    shares = [np.linalg.svd(a, compute_uv=False) for a in matrices]
    entropies = np.array([-np.sum(s / s.sum() * np.log(s / s.sum())) for s in shares])
    sizes = np.array([a.size for a in matrices])
    zeros = {n: a * 0 for n, a in arrays.items() if n.startswith("parameters/")}
    of_zeros = np.mean(losses(loss, outputs(arrays | zeros), arrays["train_labels"]))
    count = len(vector(arrays, "parameters"))
    return {
        "quantised_complexity": [header(arrays) + len(bz2.compress(bytes(4 * count)))],
        "coarse_train_loss": [of_zeros],
        "naive_size": sum(len(bz2.compress(a.astype("<f4").tobytes())) for a in parameters.values()),
        "weight_spectral_entropy": entropies,
        "weight_effective_rank": np.exp(entropies),
        "weight_effective_rank_mean": np.sum(np.exp(entropies) * sizes) / count,
    }


def outputs(arrays: Arrays) -> np.ndarray:
    """Logits of dense layers with ReLU between them."""
    *hidden, (head, head_bias) = layers(arrays)
    output = arrays["inputs"]
    for weights, bias in hidden:
        output = np.maximum(output @ weights.T + bias, 0)
    return output @ head.T + head_bias


def collapse_bounds(arrays: Arrays) -> Values:
    """Theorem 3.1 of arXiv:2410.04887 as the docstring of the measure states it."""
    labels, before, features = (arrays[n] for n in ("train_labels", "train_layers/0", "train_features"))
    (last, bias), (head, head_bias) = layers(arrays)[-2:]
    count, dim, classes = len(labels), features.shape[1], len(head)
    targets = np.eye(classes)[labels]
    logits = features @ head.T + head_bias
    e1 = np.linalg.norm(logits - targets)
    e2 = np.linalg.norm(head.T @ head - last @ last.T, 2)
    residual = features - (before @ last.T + bias)
    averages = targets @ np.linalg.solve(targets.T @ targets, targets.T)
    e3 = np.linalg.norm(residual - averages @ residual)
    before_norm = np.linalg.norm(before, 2)
    sizes = [before_norm, np.linalg.norm(features, 2), *(np.linalg.norm(w, 2) for w, _ in layers(arrays))]
    r = max(sizes)
    s = np.linalg.svd(head, compute_uv=False)
    y = np.linalg.svd(targets - head_bias, compute_uv=False)
    fits, psis = [], []
    for k in range(1, len(s) + 1):
        unbalanced = np.sqrt(dim * e2 + np.sum(s[k:] ** 2))
        fits.append(e1 / s[k - 1] + unbalanced * before_norm)
        psis.append(r * (e1 / (y[k - 1] - e1) + unbalanced) if e1 < y[k - 1] else np.inf)
    variance, psi = (min(fits) + e3) ** 2 / count, min(psis) + e3
    between = np.sqrt(1 - np.sum(targets.mean(axis=0) ** 2)) - 2 * e1 / np.sqrt(count)
    return {
        "within_class_variance_bound": variance,
        "within_class_variance_bound_jacot": psi**2 / count,
        "rnc1_bound": variance / np.max(np.sum(features**2, axis=1)),
        "nc1_bound": np.linalg.norm(head, 2) ** 2 * variance / between**2 if between > 0 else np.inf,
        "nc1_bound_jacot": (r * psi / between) ** 2 / count if between > 0 else np.inf,
        "jacot_e1": e1,
        "jacot_e2": e2,
        "jacot_e3": e3,
        "jacot_r": r,
        "jacot_psi": psi,
        "head_smallest_singular": s[-1],
    }


LAYERED = ("rnc1", "nc1", "nc1_pinv", "class_mean_rank", "nc2_condition", "nc2_equinorm", "nc2_etf_error")


def layerwise(arrays: Arrays, bandwidth: str) -> Values:
    """`collapse`, nearest-centre accuracy and `nhsic` of every hidden layer."""
    rows: list[Values] = []
    for layer in range(sum(name.startswith("train_layers/") for name in arrays)):
        own = {n: arrays[n] for n in ("train_labels", "test_labels", "inputs")}
        own |= {f"{kind}_features": arrays[f"{kind}_layers/{layer}"] for kind in ("train", "test")}
        found = collapse(own)
        row = {f"layer_{name}{suffix}": found[name + suffix] for name in LAYERED for suffix in ("", "_test")}
        for kind, suffix in (("train", ""), ("test", "_test")):
            row[f"layer_centre_accuracy{suffix}"] = centre_accuracy(own, kind)
        found = nhsic(own, "centred", bandwidth, epsilon=1e-3, sigma=1.0)
        rows.append(row | {f"layer_{name}": value for name, value in found.items()})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def layer_probe(arrays: Arrays, ridge: float) -> Values:
    """Accuracy of ridge regression from every hidden layer, by the normal equations with an inverse."""
    labels = arrays["train_labels"]
    one_hot = (labels[:, None] == np.arange(labels.max() + 1)).astype(float)
    rows: list[Values] = []
    for layer in range(sum(name.startswith("train_layers/") for name in arrays)):
        train, test = (arrays[f"{kind}_layers/{layer}"] for kind in ("train", "test"))
        centred = train - train.mean(axis=0)
        gram = centred.T @ centred
        constant = ridge * np.trace(gram) / len(gram)
        kernel = np.linalg.inv(gram + constant * np.eye(len(gram))) @ centred.T @ (one_hot - one_hot.mean(axis=0))
        row: Values = {}
        for suffix, found, right in (("", train, labels), ("_test", test, arrays["test_labels"])):
            scores = (found - train.mean(axis=0)) @ kernel + one_hot.mean(axis=0)
            row[f"layer_probe_accuracy{suffix}"] = np.mean(scores.argmax(axis=1) == right)
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def cka(arrays: Arrays) -> Values:
    """Linear CKA of all pairs of layers, and of each with that of theta_0, by N x N matrices of inner products."""
    values: Values = {}
    for kind, suffix in (("train", ""), ("test", "_test")):
        names = sorted(name for name in arrays if name.startswith(f"{kind}_layers/"))
        grams = [centred_gram(arrays[name]) for name in names]
        for name, estimate in (("cka", biased_hsic), ("cka_debiased", unbiased_hsic)):
            values[name + suffix] = np.array([[aligned(estimate, a, b) for b in grams] for a in grams])
    began = [centred_gram(layer) for layer in hidden_outputs(arrays, "initial")]
    now = [centred_gram(layer) for layer in hidden_outputs(arrays, "parameters")]
    for name, estimate in (("cka_initial", biased_hsic), ("cka_initial_debiased", unbiased_hsic)):
        values[name] = np.array([aligned(estimate, a, b) for a, b in zip(now, began, strict=True)])
    return values


def centred_gram(layer: np.ndarray) -> np.ndarray:
    """Inner products of the rows minus their mean."""
    centred = layer - layer.mean(axis=0)
    return centred @ centred.T


def aligned(estimate: Callable[[np.ndarray, np.ndarray], float], first: np.ndarray, second: np.ndarray) -> float:
    """Ratio of a dependence to the geometric mean of those with oneself; nan where one of these is not positive."""
    own = estimate(first, first), estimate(second, second)
    return estimate(first, second) / np.sqrt(own[0] * own[1]) if min(own) > 0 else np.nan


def biased_hsic(first: np.ndarray, second: np.ndarray) -> float:
    """Trace of K L, centred."""
    return float(np.sum(first * second))


def unbiased_hsic(first: np.ndarray, second: np.ndarray) -> float:
    """Song et al. 2012, Equation 5, times N (N - 3)."""
    count = len(first)
    k, m = (gram - np.diag(np.diag(gram)) for gram in (first, second))
    return float(np.sum(k * m) + k.sum() * m.sum() / (count - 1) / (count - 2) - 2 * np.sum(k @ m) / (count - 2))


def hidden_outputs(arrays: Arrays, kind: str) -> list[np.ndarray]:
    """Outputs of the hidden layers with the parameters of a kind."""
    own = tensors(arrays, kind)
    output, found = arrays["inputs"], []
    for name in sorted({name.split("/")[0] for name in own} - {"head"}):
        output = np.maximum(output @ own[f"{name}/kernel"] + own[f"{name}/bias"], 0)
        found.append(output)
    return found


def centre_accuracy(arrays: Arrays, kind: str) -> float:
    """Fraction of examples whose nearest class mean of the train features is that of their label."""
    train, labels = arrays["train_features"], arrays["train_labels"]
    means = np.array([train[labels == c].mean(axis=0) for c in np.unique(labels)])
    squares = np.sum((arrays[f"{kind}_features"][:, None] - means) ** 2, axis=2)
    return float(np.mean(np.unique(labels)[squares.argmin(axis=1)] == arrays[f"{kind}_labels"]))
