"""How the within-class variance of a sample approaches that of the population: the rate of Theorem 4.1."""

from typing import Any

import numpy as np
import xarray as xr

THEORY_SLOPE = -0.5


def variance_gap(
    sample_features: Any,
    sample_labels: Any,
    population_features: Any,
    population_labels: Any,
    *,
    sizes: tuple[int, ...] | None = None,
    draws: int = 50,
    seed: int = 0,
    unbiased: bool = True,
) -> xr.Dataset:
    """Gap between the within-class variance of n_c examples per class and that of a population.

    For each n_c, `draws` times: n_c examples of every class are drawn from the sample without replacement, and
    V_n = sum_c p_c (1/(n_c - 1)) sum_i ||g_i - mean_c||^2 / B_g^2 is compared with V of the population, p_c being
    the class frequencies of the population and B_g the largest norm of both sets.

    Theorem 4.1 of arXiv:2509.20829 bounds the gap by O(1/sqrt(n_c)), slope -1/2 in log-log, uniformly over
    networks. What the curve says depends on the sample: features of *held-out* examples do not depend on the
    network, so their gap shows the rate alone; features of the *training* set do, and where they have
    collapsed further than unseen ones the gap stops falling at the generalisation gap. `unbiased=False` divides by
    n_c as the theorem does: its bias V/n_c falls faster than the rate and hides it at small n_c.

    Args:
      sample_features: [N, D].
      sample_labels: [N] integers.
      population_features: [M, D], from the same network.
      population_labels: [M].
      sizes: values of n_c; by default 10, doubled up to half of the smallest class of the sample (subsets of
        almost everything are almost the same subset).
      draws: subsamples per size.
      seed: of the subsampling.
      unbiased: whether to divide by n_c - 1.

    Returns:
      Dims ("class_size",): `gap` (mean of |V_n - V|), `gap_sd` (its standard deviation over draws), `variance`
      (mean V_n); scalars `population_variance` and `slope`, the least-squares slope of log gap against log n_c.

    Raises:
      ValueError: a size is below 2 or above the smallest class, or no class is in both sets.
    """
    features, population = (np.asarray(a, np.float64) for a in (sample_features, population_features))
    labels, others = np.asarray(sample_labels), np.asarray(population_labels)
    classes = np.intersect1d(labels, others)
    if not classes.size:
        raise ValueError("sample_labels: no class is in both sets")
    largest = np.sqrt(max(np.max(np.sum(a**2, axis=1)) for a in (features, population)))
    groups = [features[labels == c] / largest for c in classes]
    held = [population[others == c] / largest for c in classes]
    smallest = min(map(len, groups))
    if sizes is None:
        sizes = tuple(10 * 2**i for i in range(32) if 10 * 2**i <= smallest / 2) or (smallest,)
    for size in sizes:
        if not 2 <= size <= smallest:
            raise ValueError(f"sizes: {size}; it must be in 2 ... {smallest}, the smallest class of the sample")
    shares = np.array([len(g) for g in held]) / sum(map(len, held))
    truth = float(shares @ [_variance(g, unbiased) for g in held])
    rng = np.random.default_rng(seed)
    values = np.array(
        [
            [shares @ [_variance(rng.permutation(g)[:size], unbiased) for g in groups] for _ in range(draws)]
            for size in sizes
        ]
    )
    gaps = np.abs(values - truth)
    mean = gaps.mean(axis=1)
    fitted = len(sizes) > 1 and bool(np.all(mean > 0))
    slope = float(np.polyfit(np.log(sizes), np.log(mean), 1)[0]) if fitted else np.nan
    return xr.Dataset(
        {
            "gap": ("class_size", mean),
            "gap_sd": ("class_size", gaps.std(axis=1)),
            "variance": ("class_size", values.mean(axis=1)),
            "population_variance": truth,
            "slope": slope,
        },
        {"class_size": list(sizes)},
        attrs={"theory_slope": THEORY_SLOPE},
    )


def _variance(features: np.ndarray, unbiased: bool) -> float:
    """Total variance of the rows."""
    centred = features - features.mean(axis=0)
    return float(np.sum(centred**2) / max(len(features) - unbiased, 1))
