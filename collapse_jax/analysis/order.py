"""Which measure moves first: the main change of each in every run, and a paired test over seeds between them."""

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
import xarray as xr

from collapse_jax.analysis.change_points import main_change
from collapse_jax.analysis.nulls import holm
from collapse_jax.errors import ConfigError

POINTS = 400  # of the grid of log steps
EXACT = 12  # differences, of which all signs are tried
SIGNS = 4096
CHANGED = 1e-6  # of the size of a curve: below, it is constant


@dataclasses.dataclass(frozen=True)
class Move:
    """When a variable has its main change.

    Attributes:
      variable: its name.
      steps: [R] of every run, in steps; nan where it has none.
      up: whether its mean is higher afterwards, in most runs.
      p: two-sided, that it moves at another time than the next one in the order; nan for the last one, and where
        fewer than two runs have both.
      p_holm: the same, corrected for all comparisons of the order.
    """

    variable: str
    steps: np.ndarray
    up: bool
    p: float = float("nan")
    p_holm: float = float("nan")

    @property
    def median(self) -> float:
        """Median over the runs that have one."""
        return float(np.nanmedian(self.steps))


def order(runs: xr.Dataset, names: Mapping[str, bool]) -> list[Move]:
    """Order variables by the time of their main change, the earliest first.

    The main change of a curve over ln(step) is the cut between two levels that leaves least squares within
    (`change_points.main_change`). Neighbours are compared run by run: the mean difference of ln(step) against all
    changes of sign (4096 random ones above 12 runs). Of R runs no p is below 2^(1 - R). The main change of a curve
    that rises and falls is the larger of the two.

    Args:
      runs: dims ("run", "step"), runs that differ in the seed only.
      names: variables with these dims, and whether each is taken as its logarithm; it is then positive.

    Raises:
      ConfigError: none of the variables changes in any run.
    """
    steps = runs["step"].values
    found = [_move(name, runs[name].transpose("run", "step").values, steps, log) for name, log in names.items()]
    moves = sorted((move for move in found if np.isfinite(move.steps).any()), key=lambda move: move.median)
    if not moves:
        raise ConfigError("names", list(names), "none of these variables changes in any run")
    p = [paired(a.steps, b.steps) for a, b in itertools.pairwise(moves)] + [float("nan")]
    pairs = zip(moves, p, holm(np.array(p)), strict=True)
    return [dataclasses.replace(move, p=one, p_holm=float(corrected)) for move, one, corrected in pairs]


def _move(name: str, values: np.ndarray, steps: np.ndarray, log: bool) -> Move:
    rows = [_main_change(row.astype(np.float64), steps.astype(np.float64), log) for row in values]
    rising = [up for _, up in rows if up is not None]
    return Move(name, np.array([step for step, _ in rows]), up=sum(rising) * 2 >= len(rising))


def _main_change(values: np.ndarray, steps: np.ndarray, log: bool) -> tuple[float, bool | None]:
    """The step of the main change of one curve, and whether it rises there; nan and None without one."""
    known = (steps > 0) & np.isfinite(values) & ((values > 0) | (not log))
    if known.sum() < 3:
        return float("nan"), None
    values, times = values[known], np.log(steps[known])
    values = np.log(values) if log else values
    if np.ptp(values) <= CHANGED * np.abs(values).max():
        return float("nan"), None
    grid = np.linspace(times[0], times[-1], POINTS)
    curve = np.interp(grid, times, values)
    cut = main_change(curve)
    return float(np.exp((grid[cut - 1] + grid[cut]) / 2)), bool(curve[cut:].mean() > curve[:cut].mean())


def paired(first: np.ndarray, second: np.ndarray) -> float:
    """Return the two-sided p-value of the mean difference of ln(step) over runs against all changes of sign."""
    both = np.isfinite(first) & np.isfinite(second)
    difference = np.log(second[both]) - np.log(first[both])
    if len(difference) < 2:
        return float("nan")
    if len(difference) <= EXACT:
        signs = np.array(list(itertools.product((-1, 1), repeat=len(difference))))
    else:
        drawn = np.random.default_rng(0).choice((-1, 1), size=(SIGNS - 1, len(difference)))
        signs = np.concatenate([np.ones((1, len(difference))), drawn])
    means = np.abs(signs @ difference)
    return float(np.mean(means >= np.abs(difference.sum()) * (1 - 1e-12)))
