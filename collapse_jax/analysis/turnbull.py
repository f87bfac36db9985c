"""The distribution of times that are known to lie between two steps only, and whether it differs between groups."""

import math
from typing import NamedTuple

import numpy as np

TOLERANCE = 1e-8  # of the condition that no shift of mass raises the likelihood, per time
PERMUTATIONS = 1999


class Curve(NamedTuple):
    """An estimated distribution: `mass` anywhere in each (left, right], nothing between them.

    Attributes:
      left: [M] increasing.
      right: [M]; the last is inf where a time was not seen.
      mass: [M], adding to 1.
    """

    left: np.ndarray
    right: np.ndarray
    mass: np.ndarray

    def survival(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and highest share of times beyond the steps, [T]: inside an interval they differ."""
        steps = np.asarray(steps)[..., None]
        low = 1 - (self.mass * (self.left < steps)).sum(axis=-1)
        return np.maximum(low, 0.0), np.maximum(1 - (self.mass * (self.right <= steps)).sum(axis=-1), 0.0)

    @property
    def median(self) -> tuple[float, float]:
        """The interval in which half of the times are reached; (last left end, inf) where they are not."""
        place = int(np.argmax(np.cumsum(self.mass) >= 0.5 - 1e-9))
        return float(self.left[place]), float(self.right[place])


def turnbull(lower: np.ndarray, upper: np.ndarray) -> Curve:
    """The maximum-likelihood distribution of interval-censored times, without any model.

    L = prod_i P(lower_i < T <= upper_i). Mass can lie only in the intervals that begin at a lower and end at an
    upper end with no other end between them; how much, is a concave problem: Newton steps, each a least-
    squares problem under mass >= 0, with step halving, until the gradient says that no mass can be moved to
    gain. With exact and right-censored times this is the estimate of Kaplan and Meier. Sources: Turnbull,
    JRSS B 1976; Wang, "On fast computation of the non-parametric maximum likelihood estimate of a mixing
    distribution", JRSS B 2007.

    Intervals are open on the left: two that only touch share no time. (`lifelines` 0.30 takes them as closed, and
    says of (0, 10], (10, 100], (10, 100] that all are beyond 10.)

    Args:
      lower: [N] finite; where it is `upper`, the time is exact.
      upper: [N], inf where a time was not seen.
    """
    lower = _open(lower, upper)
    right = np.unique(upper)
    left = np.array([lower[lower < end].max() for end in right])
    innermost = np.array([upper[upper > start].min() == end for start, end in zip(left, right, strict=True)])
    left, right = left[innermost], right[innermost]
    inside = ((lower[:, None] <= left) & (right <= upper[:, None])).astype(float)
    return Curve(left, right, _masses(inside))


def _open(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Left ends below the right ones, also of times that are exact."""
    return np.where(lower < upper, lower, np.nextafter(upper, -math.inf))


def _masses(inside: np.ndarray) -> np.ndarray:
    """[M] masses that maximise the mean of log(inside @ mass), of inside [N, M]."""
    from scipy.optimize import nnls  # a third of a second that tables without curves need not wait

    mass = np.full(inside.shape[1], 1 / inside.shape[1])
    for _ in range(200):
        likelihood = inside @ mass
        ratio = inside / likelihood[:, None]
        gradient = ratio.mean(axis=0) - 1
        if gradient.max() <= TOLERANCE:
            break
        # The quadratic model of the log likelihood, with the condition on the sum as a heavy row.
        heavy = 1e3 * len(ratio)
        goal = nnls(np.vstack([ratio, np.full((1, len(mass)), heavy)]), np.append(np.full(len(ratio), 2.0), heavy))[
            0
        ]
        step = goal / goal.sum() - mass
        scale, value = 1.0, np.log(likelihood).mean()
        while scale > 1e-12 and _mean_log(inside @ (mass + scale * step)) < value:
            scale /= 2
        mass = np.maximum(mass + scale * step, 0.0)
        mass /= mass.sum()
    return mass


def _mean_log(likelihood: np.ndarray) -> float:
    return float(np.log(likelihood).mean()) if likelihood.min() > 0 else -math.inf


def scores(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """[N] log-rank scores of interval-censored times: high for early ones, adding to 0.

    c_i = (S(l) log S(l) - S(u) log S(u)) / (S(l) - S(u)) with S the curve of all times together: the derivative of
    the log likelihood in a common factor of the hazard. Sources: Finkelstein, Biometrics 1986; Fay & Shaw, J. Stat.
    Software 2010.
    """
    lower = _open(lower, upper)
    curve = turnbull(lower, upper)
    before, after = (curve.survival(ends)[1] for ends in (lower, upper))
    found = (_entropy(before) - _entropy(after)) / (before - after)
    return 1 + found - (1 + found).mean()


def _entropy(share: np.ndarray) -> np.ndarray:
    return np.where(share > 0, share * np.log(np.where(share > 0, share, 1.0)), 0.0)


def group_test(lower: np.ndarray, upper: np.ndarray, groups: np.ndarray, blocks: np.ndarray) -> float:
    """Probability of differences between groups at least as large as those seen, if the groups do not matter.

    The statistic is sum_g n_g (mean score of group g)^2, its distribution that under permutations of the groups
    within blocks (all runs of a seed share initial weights and batches), drawn `PERMUTATIONS` times with fixed
    random numbers: right for any number of runs, and never below 1 / (PERMUTATIONS + 1). Where no block has two
    runs, over all.

    Args:
      lower: [N].
      upper: [N].
      groups: [N] the setting of each run.
      blocks: [N] its seed.

    Returns:
      p; nan where there are fewer than two groups.
    """
    _, groups = np.unique(groups, return_inverse=True)
    if groups.max(initial=0) < 1:
        return math.nan
    if len(np.unique(blocks)) == len(blocks):
        blocks = np.zeros(len(blocks))
    values, counts = scores(lower, upper), np.bincount(groups)
    rng, seen = np.random.default_rng(0), 0
    order = np.argsort(blocks, kind="stable")
    values, groups, blocks = values[order], groups[order], blocks[order]

    def statistic(of: np.ndarray) -> float:
        return float(np.sum(np.bincount(groups, of) ** 2 / counts))

    observed = statistic(values) * (1 - 1e-9)
    for _ in range(PERMUTATIONS):
        # A random order within each block: sorting by block first, then by a random number.
        shuffled = values[np.lexsort((rng.random(len(values)), blocks))]
        seen += statistic(shuffled) >= observed
    return (1 + seen) / (1 + PERMUTATIONS)
