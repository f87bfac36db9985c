"""The part of `synergy` on the host: ranks, clusters, the search over sets of neurons, and nulls."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform

from collapse_jax.measures.estimators.copula import copula_correlation
from collapse_jax.measures.estimators.o_information import Searched, greedy, unions
from collapse_jax.measures.estimators.permutation import against_null

MODES = ("neurons", "cluster_mean")
SEARCHES = ("unions", "greedy")
EXTREMES = ("synergy", "redundancy")


def found(
    values: Mapping[str, np.ndarray],
    *,
    clusters: int = 10,
    order: int = 2,
    mode: str = "neurons",
    search: str = "unions",
    largest: int = 0,
    ties: str = "average",
    bias_correction: bool = False,
    permutations: int = 5,
    seed: int = 0,
) -> dict[str, Any]:
    """Search the activations of one layer; see `synergy.synergy`.

    Args:
      values: "activations" [N, D].
      clusters: as there, and so the others.
      order: fewest clusters.
      mode: neurons or means of clusters.
      search: unions of clusters or greedy.
      largest: neurons of a greedy set.
      ties: of ranks.
      bias_correction: of entropies.
      permutations: of the nulls.
      seed: of nulls and random ties.
    """
    whole = np.asarray(values["activations"], np.float64)
    rng = np.random.default_rng(seed)
    sure = bool(np.isfinite(whole).all())
    varies = np.flatnonzero(np.ptp(whole, axis=0) > 0) if sure else np.zeros(0, int)
    x = whole[:, varies]
    result: dict[str, Any] = {"copula_neurons": float(len(varies)) if sure else np.nan}
    if len(varies) < 3:
        return result | _undefined(whole.shape[1], permutations)
    examples = len(x) if bias_correction else 0
    count = min(clusters, len(varies))

    def searched(correlation: np.ndarray, labels: np.ndarray) -> tuple[Searched, Searched]:
        if search == "greedy":
            low, high = (greedy(correlation, sign, largest, examples) for sign in (-1, 1))
            return low, high
        every = unions(correlation, labels, min(order, count), examples)
        return every, every

    def of_activations(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Correlation of the variables, their clusters, and which neurons each stands for [variables, neurons]."""
        labels = ward(x.T, count)
        if mode == "neurons":
            return copula_correlation(x, ties, rng), labels, np.eye(x.shape[1], dtype=bool)
        stands = labels[None] == np.arange(count)[:, None]
        means = np.stack([x[:, own].mean(axis=1) for own in stands], axis=1)
        return copula_correlation(means, ties, rng), np.arange(count), stands

    correlation, labels, stands = of_activations(x)
    low, high = searched(correlation, labels)
    result |= _extremes(low, high) | _of_all(correlation, examples)
    result["copula_singular"] = float(np.mean(np.isnan(np.concatenate([low.values, high.values]))))
    members = np.full(whole.shape[1], np.nan)
    if np.isfinite(low.values).any():
        chosen = low.members[np.nanargmin(low.values)]
        members[:] = 0
        members[varies[chosen @ stands]] = 1
        result["synergy_size"] = float(np.sum(members))
        result["redundancy_size"] = float(np.sum(high.members[np.nanargmax(high.values)] @ stands))
    else:
        result["synergy_size"] = result["redundancy_size"] = np.nan
    result["synergy_members"] = members
    if permutations:
        shuffled = [searched(*of_activations(rng.permuted(x, axis=0))[:2]) for _ in range(permutations)]
        result |= _against(result, "", shuffled)
        rotated = [searched(*_rotated(correlation, count, rng)) for _ in range(permutations)]
        result |= _against(result, "_spectrum", rotated)
    return result


def ward(x: np.ndarray, clusters: int) -> np.ndarray:
    """Return the cluster 0 ... k - 1 of each row of x [n, d], by Ward's criterion (minimum variance)."""
    x = x - x.mean(axis=0)
    product = x @ x.T
    square = np.diag(product)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * product, 0))
    return _cut(distance, clusters)


def _cut(distance: np.ndarray, clusters: int) -> np.ndarray:
    distance = (distance + distance.T) / 2
    np.fill_diagonal(distance, 0)
    return cut_tree(linkage(squareform(distance, checks=False), "ward"), n_clusters=clusters)[:, 0]


def _rotated(correlation: np.ndarray, clusters: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian variables with the eigenvalues of a correlation, along random directions, and their clusters."""
    spectrum = np.maximum(np.linalg.eigvalsh(correlation), 0)
    directions = np.linalg.qr(rng.normal(size=correlation.shape))[0]
    covariance = directions * spectrum @ directions.T
    scale = np.sqrt(np.diag(covariance))
    turned = covariance / scale[:, None] / scale[None]
    return turned, _cut(np.sqrt(np.maximum(2 - 2 * turned, 0)), min(clusters, len(turned)))


def _extremes(low: Searched, high: Searched) -> dict[str, float]:
    """Synergy and redundancy in bits; nan where all correlations are singular."""
    if not (np.isfinite(low.values).any() and np.isfinite(high.values).any()):
        return dict.fromkeys(EXTREMES, np.nan)
    return {"synergy": float(-np.nanmin(low.values)), "redundancy": float(np.nanmax(high.values))}


def _of_all(correlation: np.ndarray, examples: int) -> dict[str, float]:
    """What all variables together share."""
    every = unions(correlation, np.zeros(len(correlation), int), 1, examples).found[-1]
    if every is None:
        return dict.fromkeys(
            ("total_correlation", "dual_total_correlation", "o_information", "s_information"), np.nan
        )
    return {
        "total_correlation": every.total,
        "dual_total_correlation": every.dual,
        "o_information": every.o_information,
        "s_information": every.s_information,
    }


def _against(result: Mapping[str, Any], kind: str, draws: list[tuple[Searched, Searched]]) -> dict[str, Any]:
    rows = [_extremes(*each) for each in draws]
    drawn = {f"{name}{kind}": jnp.asarray([row[name] for row in rows]) for name in EXTREMES}
    values = {f"{name}{kind}": jnp.asarray(result[name]) for name in EXTREMES}
    return {name: np.asarray(value) for name, value in against_null(values, drawn).items()}


def _undefined(neurons: int, permutations: int) -> dict[str, Any]:
    names = ["total_correlation", "dual_total_correlation", "o_information", "s_information", "copula_singular"]
    names += [*EXTREMES, "synergy_size", "redundancy_size"]
    if permutations:
        names += [
            f"{name}{kind}{what}"
            for name in EXTREMES
            for kind in ("", "_spectrum")
            for what in ("_null", "_null_sd", "_p")
        ]
    return dict.fromkeys(names, np.nan) | {"synergy_members": np.full(neurons, np.nan)}
