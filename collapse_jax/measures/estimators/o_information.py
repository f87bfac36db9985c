"""O-information of Gaussian variables in closed form, and the sets of variables in which it is extreme.

Sources: Rosas et al. 2019 (arXiv:1902.11239: O-information), Ince et al. 2017 (bias), arXiv:2408.08944 (clusters).
"""

import dataclasses
import functools
import itertools

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtri
from scipy.special import digamma

# Conditional variances below this, of variables of variance 1, are rounding: the correlation is singular.
RESOLVED = 1e-10
BITS = np.log(2)


@dataclasses.dataclass(frozen=True)
class Shared:
    """What n Gaussian variables with correlation R share, in bits.

    With P = R^-1, in nats: TC = -1/2 ln|R|, DTC = 1/2 (ln|R| + sum ln P_jj), O = TC - DTC, S = TC + DTC.

    Attributes:
      total: total correlation TC.
      dual: dual total correlation DTC.
    """

    total: float
    dual: float

    @property
    def o_information(self) -> float:
        """O-information: positive where redundancy dominates, negative where synergy does."""
        return self.total - self.dual

    @property
    def s_information(self) -> float:
        """S-information."""
        return self.total + self.dual


def shared(log_det: float, log_precision: float, size: int, examples: int = 0) -> Shared:
    """Return what variables share, of ln|R| and the sum of ln P_jj.

    With `examples` > 0 the bias of a covariance of so many examples is taken away: each entropy of d variables
    is H - d (ln 2 - ln(N - 1)) / 2 - sum_{i=1}^d psi((N - i) / 2) / 2.
    """
    total, dual = -log_det / 2, (log_det + log_precision) / 2
    if examples:
        one, fewer, whole = (_bias(d, examples) for d in (1, size - 1, size))
        total -= size * one - whole
        dual -= whole - size * (whole - fewer)
    return Shared(total / BITS, dual / BITS)


@functools.cache
def _bias(size: int, examples: int) -> float:
    terms = digamma((examples - np.arange(1, size + 1)) / 2)
    return float(size * (np.log(2) - np.log(examples - 1)) / 2 + np.sum(terms) / 2)


@dataclasses.dataclass(frozen=True)
class Searched:
    """Sets of variables and what they share.

    Attributes:
      members: [M, n] bool, the sets.
      found: of each set; None where the correlation is singular.
    """

    members: np.ndarray
    found: list[Shared | None]

    @functools.cached_property
    def values(self) -> np.ndarray:
        """[M] O-information in bits; nan where the correlation is singular."""
        return np.array([np.nan if each is None else each.o_information for each in self.found])


def unions(correlation: np.ndarray, labels: np.ndarray, order: int = 2, examples: int = 0) -> Searched:
    """Go through all unions of at least `order` of the k clusters, the last one the union of all.

    A tree of sets: each grows from one without its smallest cluster, whose inverse it extends (a Schur complement),
    so that a set of n variables of which m are new takes O(n^2 m).

    Args:
      correlation: R [n, n], ones on its diagonal.
      labels: [n] the cluster of each variable, 0 ... k - 1.
      order: the fewest clusters of a set.
      examples: for the correction of the bias; 0: none.
    """
    clusters = sorted((np.flatnonzero(labels == c) for c in np.unique(labels)), key=len, reverse=True)
    columns = [np.ascontiguousarray(correlation[:, own]) for own in clusters]
    blocks = [column[own] for column, own in zip(columns, clusters, strict=True)]
    sets: list[tuple[int, ...]] = []
    found: list[Shared | None] = []

    def note(chosen: tuple[int, ...], value: Shared | None) -> None:
        if len(chosen) >= order:
            sets.append(chosen)
            found.append(value)

    def grow(chosen: tuple[int, ...], rows: np.ndarray, inverse: np.ndarray, log_det: float) -> None:
        for c in range(chosen[-1] + 1 if chosen else 0, len(clusters)):
            more, now = clusters[c], (*chosen, c)
            step = _extended(inverse, columns[c][rows], blocks[c], whole=c < len(clusters) - 1)
            if step is None:
                for rest in _subsets(range(c + 1, len(clusters))):
                    note((*now, *rest), None)
                continue
            added, precision, wider = step
            size = len(rows) + len(more)
            note(now, shared(log_det + added, float(np.sum(np.log(precision))), size, examples))
            if wider is not None:
                grow(now, np.concatenate([rows, more]), wider, log_det + added)

    grow((), np.zeros(0, int), np.zeros((0, 0)), 0.0)
    place = sorted(range(len(sets)), key=lambda i: (len(sets[i]), sets[i]))
    members = np.zeros((len(sets), len(labels)), bool)
    for row, i in enumerate(place):
        for c in sets[i]:
            members[row, clusters[c]] = True
    return Searched(members, [found[i] for i in place])


def _subsets(items: range) -> itertools.chain:
    return itertools.chain.from_iterable(itertools.combinations(items, n) for n in range(len(items) + 1))


def _extended(
    inverse: np.ndarray, cross: np.ndarray, own: np.ndarray, whole: bool
) -> tuple[float, np.ndarray, np.ndarray | None] | None:
    """Add variables to a set.

    Args:
      inverse: of the correlation of the set.
      cross: correlation of the set with what is added.
      own: correlation of what is added.
      whole: whether the whole wider inverse is asked for.

    Returns:
      what ln|R| grows by, the diagonal of the wider inverse, and with `whole` all of it; None where the wider
      correlation is singular.
    """
    regression = inverse @ cross
    low, failed = dpotrf(own - cross.T @ regression, lower=1, clean=1)
    pivots = np.diag(low)
    if failed or not np.all(pivots**2 > RESOLVED):
        return None
    root = dtrtri(low, lower=1)[0]
    scaled = root @ regression.T
    precision = np.concatenate([np.diag(inverse) + np.sum(scaled**2, axis=0), np.sum(root**2, axis=0)])
    added = 2 * float(np.sum(np.log(pivots)))
    if not whole:
        return added, precision, None
    n = len(cross)
    wider = np.empty((n + len(own),) * 2)
    np.matmul(scaled.T, scaled, out=wider[:n, :n])
    wider[:n, :n] += inverse
    wider[n:, :n] = -(root.T @ scaled)
    wider[:n, n:] = wider[n:, :n].T
    wider[n:, n:] = root.T @ root
    return added, precision, wider


def greedy(correlation: np.ndarray, sign: int, largest: int = 0, examples: int = 0) -> Searched:
    """Grow the best three variables one by one: the sets of 3 ... `largest` variables on the way.

    Args:
      correlation: R [n, n], ones on its diagonal, n >= 3.
      sign: -1 for the lowest, 1 for the highest O-information.
      largest: variables of the last set; 0: all.
      examples: for the correction of the bias; 0: none.
    """
    n = len(correlation)
    members: list[np.ndarray] = []
    found: list[Shared | None] = []
    rows = np.array(_best_triple(correlation, sign))
    inverse, log_det = np.zeros((0, 0)), 0.0
    step = _extended(inverse, np.zeros((0, 3)), correlation[np.ix_(rows, rows)], whole=True)
    while step is not None:
        added, precision, wider = step
        assert wider is not None
        inverse, log_det = wider, log_det + added
        members.append(np.isin(np.arange(n), rows))
        found.append(shared(log_det, float(np.sum(np.log(precision))), len(rows), examples))
        if len(rows) >= (largest or n):
            break
        others = np.flatnonzero(~members[-1])
        cross = correlation[np.ix_(rows, others)]
        regression = inverse @ cross
        rest = 1 - np.sum(cross * regression, axis=0)
        usable = rest > RESOLVED
        if not usable.any():
            break
        rest = np.where(usable, rest, 1.0)
        wider_precision = np.log(np.diag(inverse)[:, None] + regression**2 / rest).sum(axis=0)
        value = np.where(usable, sign * (-log_det - np.log(rest) / 2 - wider_precision / 2), -np.inf)
        best = [int(np.argmax(value))]
        step = _extended(inverse, cross[:, best], np.ones((1, 1)), whole=True)
        rows = np.concatenate([rows, others[best]])
    return Searched(np.array(members).reshape(-1, n), found)


def _best_triple(correlation: np.ndarray, sign: int) -> tuple[int, int, int]:
    """Return three variables; of three, O = 1/2 ln|R| - 1/2 sum ln(1 - r^2) in nats."""
    n, best, chosen = len(correlation), -np.inf, (0, 1, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        free = np.log(1 - np.where(np.eye(n, dtype=bool), 0.0, correlation) ** 2)
        for i in range(n - 2):
            rest = correlation[i + 1 :, i + 1 :]
            a, b = correlation[i, i + 1 :][:, None], correlation[i, i + 1 :][None]
            det = 1 + 2 * a * b * rest - a**2 - b**2 - rest**2
            value = np.log(det) - free[i, i + 1 :][:, None] - free[i, i + 1 :][None] - free[i + 1 :, i + 1 :]
            value = np.where((det > RESOLVED) & np.tri(len(rest), k=-1, dtype=bool), sign * value, -np.inf)
            j, k = np.unravel_index(np.argmax(value), value.shape)
            if value[j, k] > best:
                best, chosen = value[j, k], (i, i + 1 + int(k), i + 1 + int(j))
    return chosen
