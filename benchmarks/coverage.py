"""How often the intervals and tests of the package hold, in simulation.

python -m benchmarks.coverage > benchmarks/results/coverage.txt

Slopes: log tau = 8 - x + what a seed adds + scatter 0.25, x the centred logarithm of weight decay, right-censored
at a common last step that hides the given share of the runs on average. What a seed adds: nothing
("independent"), a level (sd 0.3, "levels"), a level and a slope (sd 0.15, "slopes"). 95 % intervals: coverage,
median width, share of the sweeps for which one is given; and how often lack of fit rejects the line, which is true,
at 5 %.

Grok rates: n runs that grok with probability p; Wilson's 95 % interval, exact over the binomial distribution: the
mean over p and the lowest for p from 0.05 to 0.95.

Settings: times of the same distribution ("levels") in 3 settings, seen at log steps a factor 1.2 apart; how often
the log-rank-type test says at 5 % that they differ.
"""

import sys
import warnings
from collections.abc import Iterator

import numpy as np
from scipy import stats

from collapse_jax.analysis.slopes import fit_power
from collapse_jax.analysis.survival import wilson
from collapse_jax.analysis.turnbull import group_test

DECAYS = {3: (0.1, 0.05, 0.025), 6: (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)}
MODELS = {"independent": (0.0, 0.0), "levels": (0.3, 0.0), "slopes": (0.3, 0.15)}
SCATTER, LEVEL, SLOPE = 0.25, 8.0, -1.0
SEEDS, CENSORED = (2, 3, 5, 10), (0.0, 0.2, 0.4)


def last_step(x: np.ndarray, model: str, share: float) -> float:
    """Log of the last step beyond which a share of the runs has its time, on average."""
    if not share:
        return np.inf
    level, slope = MODELS[model]
    spread = np.sqrt(SCATTER**2 + level**2 + (slope * x) ** 2)
    grid = np.linspace(LEVEL - 8, LEVEL + 8, 4001)
    hidden = stats.norm.sf((grid[:, None] - LEVEL - SLOPE * x) / spread).mean(axis=1)
    return float(grid[np.argmin(np.abs(hidden - share))])


def sweep(
    rng: np.random.Generator, decays: tuple[float, ...], seeds: int, model: str, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weight decays, times, whether these are lower bounds, and seeds of the runs of one sweep."""
    x = np.log(decays) - np.log(decays).mean()
    level, slope = MODELS[model]
    own = level * rng.normal(size=seeds) + np.outer(x, slope * rng.normal(size=seeds))
    y = (LEVEL + SLOPE * x[:, None] + own + SCATTER * rng.normal(size=(len(x), seeds))).ravel()
    end = last_step(x, model, share)
    return np.repeat(decays, seeds), np.exp(np.minimum(y, end)), y > end, np.tile(np.arange(seeds), len(x))


def slope_coverage(
    decays: tuple[float, ...], seeds: int, model: str, share: float, sweeps: int
) -> tuple[float, float, float, float]:
    """Share of intervals that hold the slope, median width, share of sweeps with one, share of lines rejected."""
    held, width, rejected = [], [], []
    for number in range(sweeps):
        rng = np.random.default_rng([number, seeds, len(decays), round(100 * share), list(MODELS).index(model)])
        fit = fit_power(*sweep(rng, decays, seeds, model, share))
        low, high = fit["low"], fit["high"]
        if np.isfinite(fit["p"]):
            rejected.append(fit["p"] < 0.05)
        if np.isfinite(low):
            held.append(low <= SLOPE <= high)
            width.append(high - low)
    return float(np.mean(held)), float(np.median(width)), len(held) / sweeps, float(np.mean(rejected))


def slope_rows(sweeps: int) -> Iterator[str]:
    """Lines of the table of slopes."""
    names = ("decays", "seeds are", "censored", "seeds", "coverage", "width", "given", "rejected")
    yield "Slopes\n" + " ".join(f"{name:>11}" for name in names)
    for count, decays in DECAYS.items():
        for model in MODELS:
            for share in CENSORED:
                for seeds in SEEDS:
                    cover, width, given, rejected = slope_coverage(decays, seeds, model, share, sweeps)
                    found = f"{cover:11.3f} {width:11.2f} {given:11.2f} {rejected:11.3f}"
                    yield f"{count:11} {model:>11} {share:11.0%} {seeds:11} {found}"


def rate_coverage(runs: int) -> tuple[float, float]:
    """Mean and lowest coverage of Wilson's interval over rates from 0.05 to 0.95."""
    ends = np.array([wilson(seen, runs) for seen in range(runs + 1)])
    rates = np.linspace(0.05, 0.95, 181)
    chance = stats.binom.pmf(np.arange(runs + 1), runs, rates[:, None])
    held = (ends[:, 0] <= rates[:, None]) & (rates[:, None] <= ends[:, 1])
    cover = (chance * held).sum(axis=1)
    return float(cover.mean()), float(cover.min())


def rate_rows() -> Iterator[str]:
    """Lines of the table of rates."""
    yield "\nGrok rates\n" + " ".join(f"{name:>11}" for name in ("runs", "coverage", "lowest"))
    for runs in (*SEEDS, 30):
        mean, lowest = rate_coverage(runs)
        yield f"{runs:11} {mean:11.3f} {lowest:11.3f}"


def false_differences(seeds: int, share: float, sweeps: int) -> float:
    """Share of the sweeps of equal settings that the test says differ, at 5 %."""
    level = MODELS["levels"][0]
    end = float(stats.norm.isf(share, scale=np.hypot(level, SCATTER))) if share else np.inf
    groups, member = np.repeat(np.arange(3), seeds), np.tile(np.arange(seeds), 3)
    found = []
    for number in range(sweeps):
        rng = np.random.default_rng([number, seeds, round(100 * share)])
        times = level * rng.normal(size=seeds)[member] + SCATTER * rng.normal(size=3 * seeds)
        before = np.floor(np.minimum(times, end) / np.log(1.2))
        lower, upper = np.exp(before * np.log(1.2)), np.exp((before + 1) * np.log(1.2))
        found.append(group_test(lower, np.where(times > end, np.inf, upper), groups, member) <= 0.05)
    return float(np.mean(found))


def setting_rows(sweeps: int) -> Iterator[str]:
    """Lines of the table of the test between settings."""
    yield "\nSettings that do not differ\n" + " ".join(f"{name:>11}" for name in ("censored", "seeds", "p <= 0.05"))
    for share in CENSORED:
        for seeds in SEEDS:
            yield f"{share:11.0%} {seeds:11} {false_differences(seeds, share, sweeps):11.3f}"


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    number_of_sweeps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    error = (0.95 * 0.05 / number_of_sweeps) ** 0.5
    print(f"{number_of_sweeps} sweeps each: the standard error of a coverage of 0.95 is {error:.3f}\n")
    for rows in (slope_rows(number_of_sweeps), rate_rows(), setting_rows(min(number_of_sweeps, 300))):
        for row in rows:
            print(row, flush=True)
