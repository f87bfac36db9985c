"""Where curves change their level: phases by a rule, with the uncertainty that the seeds leave."""

import dataclasses
from typing import Any

import numpy as np

MOST = 6  # changes
POINTS = 4  # for each of them
RESAMPLES = 200


@dataclasses.dataclass(frozen=True)
class Changes:
    """Where a set of curves changes its level.

    Attributes:
      at: the places, each the index of the first point after the change.
      low: of each the 2.5 % quantile over resampled seeds.
      high: of each the 97.5 % quantile.
    """

    at: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]


def change_points(curves: np.ndarray, most: int = MOST, resamples: int = RESAMPLES, seed: int = 0) -> Changes:
    """Cut the points of time into phases, in each of which every curve has a level of its own.

    Curves are standardised; the cuts are common to all and minimise the squares within phases (optimal partition
    by dynamic programming). Their number K minimises BIC = n ln(RSS / n) + (K + 1) C ln n + K ln T, n the number of
    all points and C that of all curves; it is at most `most`, and one for every four points: BIC would give each of
    few points a phase of its own. A slow ramp is told as some steps: BIC takes errors
    for independent. The interval is that of the places over seeds drawn with replacement, K held: with one seed
    both ends are the place itself. In simulation it covers .66 to .81 with 2 seeds, .84 to .93 with 3 and .96 or
    more from 5 on (benchmarks/results/phase_coverage.txt).

    Args:
      curves: [R, V, T] of R seeds; V variables at T common points, all finite. Points at which a curve is to count
        equally, such as a grid of log steps.
      most: changes.
      resamples: of the seeds.
      seed: of these.

    Raises:
      ValueError: curves are not finite, or fewer than three points.
    """
    curves = np.asarray(curves, np.float64)
    if curves.ndim != 3 or curves.shape[2] < 3 or not np.isfinite(curves).all():
        raise ValueError(f"curves {curves.shape}: must be [seeds, variables, at least 3 points], all finite")
    scaled = _standardised(curves)
    seeds, variables, length = scaled.shape
    costs = np.stack([_costs(own) for own in scaled])
    best = partitions(costs.sum(axis=0), min(most, length // POINTS))
    n, count = scaled.size, seeds * variables
    bic = [
        n * np.log(max(rss, 1e-12) / n) + (k + 1) * count * np.log(n) + k * np.log(length)
        for k, (rss, _) in enumerate(best)
    ]
    at = best[int(np.argmin(bic))][1]
    rng = np.random.default_rng(seed)
    draws = [at]
    if seeds > 1 and at:
        drawn = rng.integers(seeds, size=(resamples, seeds))
        draws = [partitions(costs[own].sum(axis=0), len(at))[len(at)][1] for own in drawn]
    low, high = (np.quantile(np.array(draws), q, axis=0, method="nearest") if at else () for q in (0.025, 0.975))
    return Changes(at, tuple(map(int, low)), tuple(map(int, high)))


def main_change(curve: np.ndarray) -> int:
    """Return the index of the first point after the one cut that leaves least within; curve [T], finite, T >= 2."""
    return partitions(_costs(_standardised(np.asarray(curve, np.float64)[None, None])[0]), 1)[1][1][0]


def _standardised(curves: np.ndarray) -> np.ndarray:
    spread = curves.std(axis=2, keepdims=True)
    return (curves - curves.mean(axis=2, keepdims=True)) / np.where(spread > 0, spread, 1)


def _costs(curves: np.ndarray) -> np.ndarray:
    """[T + 1, T + 1] the squares about the mean of points i ... j - 1, summed over curves [V, T]."""
    zero = np.zeros((len(curves), 1))
    first = np.concatenate([zero, np.cumsum(curves, axis=1)], axis=1)
    second = np.concatenate([zero, np.cumsum(curves**2, axis=1)], axis=1)
    size = np.arange(first.shape[1])
    length = np.maximum(size[None] - size[:, None], 1)
    total = first[:, None] - first[:, :, None]
    return np.maximum(second[:, None] - second[:, :, None] - total**2 / length, 0).sum(axis=0)


def partitions(costs: np.ndarray, most: int) -> list[tuple[float, tuple[int, ...]]]:
    """Return for k = 0 ... `most` the least cost of a partition with k cuts, and the cuts.

    Args:
      costs: [T + 1, T + 1] of points i ... j - 1.
      most: cuts.
    """
    length = len(costs) - 1
    least = costs[0].copy()
    least[0] = np.inf
    found: list[tuple[float, tuple[int, ...]]] = [(float(costs[0, length]), ())]
    back: list[np.ndarray] = []
    later = np.where(np.tri(length + 1, dtype=bool).T & ~np.eye(length + 1, dtype=bool), costs, np.inf)
    for k in range(1, most + 1):
        total = least[:, None] + later
        back.append(np.argmin(total, axis=0))
        least = np.min(total, axis=0)
        if not np.isfinite(least[length]):
            break
        cuts: list[Any] = [length]
        for choice in reversed(back[:k]):
            cuts.append(int(choice[cuts[-1]]))
        found.append((float(least[length]), tuple(reversed(cuts[1:]))))
    return found
