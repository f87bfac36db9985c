"""How often the intervals of change points, and of the AUROC of scripts/synergy_verdict.py, hold in simulation.

python -m benchmarks.phase_coverage > benchmarks/results/phase_coverage.txt          (5 minutes)

Change points: two curves of 30 points for each of R seeds that jump by 1 at a place drawn for the seed (normal
around 14.5, of the given standard deviation in points), with noise 0.15. How often BIC
finds that one cut and no other (seeds that jump at different places make a ramp of their mean, which is told as
steps); and with one cut at most, how often the 95 % interval over resampled seeds holds the mean place, and its
median width in points.

AUROC: two normal samples of 20 whose distance gives the true value; how often the interval of 95 % of
400 resamples holds it.
"""

import numpy as np
from scipy import stats

from collapse_jax.analysis.change_points import change_points
from scripts.synergy_verdict import interval

SEEDS, SPREADS, AUROCS = (2, 3, 5, 10, 20), (1.0, 3.0), (0.5, 0.65, 0.8, 0.95)
POINTS, PLACE, NOISE, SIMULATIONS = 30, 14.5, 0.15, 200


def of_places(rng: np.random.Generator, seeds: int, spread: float) -> tuple[float, float, float]:
    """Return how often BIC finds one cut; coverage and median width of the interval where there is one."""
    single, widths, held = [], [], []
    for _ in range(SIMULATIONS):
        places = rng.normal(PLACE, spread, seeds)[:, None, None]
        curves = (np.arange(POINTS) > places) + rng.normal(0, NOISE, (seeds, 2, POINTS))
        single.append(len(change_points(curves, resamples=1).at) == 1)
        found = change_points(curves, most=1)
        if found.at:
            # The first point after the change: a place between a - 1 and a belongs to a.
            held.append(found.low[0] - 1 <= PLACE <= found.high[0])
            widths.append(found.high[0] - found.low[0])
    return float(np.mean(single)), float(np.mean(held)), float(np.median(widths))


def of_auroc(rng: np.random.Generator, true: float) -> float:
    """Return how often the interval holds the true value."""
    distance = np.sqrt(2) * stats.norm.ppf(true)
    held = 0
    for _ in range(SIMULATIONS):
        low, high = interval(rng.normal(distance, 1, 20), rng.normal(0, 1, 20), resamples=400)
        held += low <= true <= high
    return held / SIMULATIONS


def main() -> None:
    """Print the tables."""
    rng = np.random.default_rng(0)
    print(__doc__)
    print(f"{SIMULATIONS} simulations each.\n\nseeds  sd of places  one by BIC  coverage  median width")
    for seeds in SEEDS:
        for spread in SPREADS:
            share, coverage, width = of_places(rng, seeds, spread)
            print(f"{seeds:5}  {spread:12}  {share:10.2f}  {coverage:8.2f}  {width:12.1f}")
    print("\nAUROC  coverage")
    for true in AUROCS:
        print(f"{true:5}  {of_auroc(rng, true):8.2f}")


if __name__ == "__main__":
    main()
