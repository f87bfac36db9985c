"""O-information by its definition: determinants of every subset, clusters by the least rise of the squares."""

import itertools

import numpy as np
from geometry import Values
from inputs import Arrays
from scipy.special import ndtri


def synergy(arrays: Arrays, clusters: int) -> Values:
    """All of it for the train features, but nulls."""
    x = arrays["train_features"].astype(np.float64)
    rows = range(x.shape[1])
    ranks = np.array([[np.sum(c < v) + (np.sum(c == v) + 1) / 2 for v in c] for c in x.T])
    correlation = np.corrcoef(ndtri(ranks / (len(x) + 1)))

    def entropy(chosen: tuple[int, ...]) -> float:
        """Of Gaussian variables, in bits, but for what cancels."""
        return np.linalg.slogdet(correlation[np.ix_(chosen, chosen)])[1] / 2 / np.log(2) if chosen else 0.0

    def parts(chosen: tuple[int, ...]) -> tuple[float, float]:
        whole = entropy(chosen)
        rest = [entropy(tuple(i for i in chosen if i != j)) for j in chosen]
        return sum(entropy((j,)) for j in chosen) - whole, sum(rest) - (len(chosen) - 1) * whole

    groups = ward(x.T, clusters)
    unions = [
        tuple(sorted(itertools.chain(*(groups[c] for c in chosen))))
        for size in range(2, clusters + 1)
        for chosen in itertools.combinations(range(clusters), size)
    ]
    total = {union: parts(union) for union in unions}
    o = {union: tc - dtc for union, (tc, dtc) in total.items()}
    low, high = min(o, key=lambda union: o[union]), max(o, key=lambda union: o[union])
    tc, dtc = parts(tuple(rows))
    return {
        "synergy": -o[low],
        "redundancy": o[high],
        "synergy_size": len(low),
        "redundancy_size": len(high),
        "synergy_members": np.array([float(i in low) for i in rows]),
        "o_information": tc - dtc,
        "s_information": tc + dtc,
        "total_correlation": tc,
        "dual_total_correlation": dtc,
        "copula_neurons": len(rows),
        "copula_singular": 0.0,
    }


def ward(x: np.ndarray, clusters: int) -> list[tuple[int, ...]]:
    """Merge the two groups of rows whose union adds least to the squared distances from the means."""
    groups = [(i,) for i in range(len(x))]

    def spread(group: tuple[int, ...]) -> float:
        return np.sum((x[list(group)] - x[list(group)].mean(axis=0)) ** 2)

    while len(groups) > clusters:
        a, b = min(
            itertools.combinations(groups, 2), key=lambda pair: spread(pair[0] + pair[1]) - sum(map(spread, pair))
        )
        groups = [group for group in groups if group not in (a, b)] + [a + b]
    return groups


def layer_synergy(arrays: Arrays, clusters: int) -> Values:
    """The same of every hidden layer."""
    layers = [array for name, array in sorted(arrays.items()) if name.startswith("train_layers/")]
    rows = [synergy({"train_features": layer}, clusters) for layer in layers]
    return {f"layer_{n}": np.array([row[n] for row in rows]) for n in rows[0] if n != "synergy_members"}
