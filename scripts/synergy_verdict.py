"""Does an early peak of synergy predict grokking? AUROC over the seeds of a sweep, and ranks within a setting.

    python scripts/synergy_verdict.py --workdir=runs/synergy_seeds

Peak: the highest synergy of the measured steps from `--since` to `--until`. Positive: the run groks (threshold of
the results) by its end. Beside it what else is known by then. `--measured`: the same runs in another sweep, which
may have ended early; what is known is read there. AUROC with the 95 % interval of 10,000 resamples within both
classes.
Spearman's rho of each predictor with the step of grokking, within the runs of one weight decay that grok, p by
permutation.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import xarray as xr
from scipy import stats

import collapse_jax
from collapse_jax.analysis import timescales

PEAKS = ("synergy", "redundancy", "synergy_ordinal", "redundancy_ordinal")  # the last two by the paper's ranks
PREDICTORS = (*PEAKS, "weight_norm", "train_loss", "test_loss", "test_accuracy")
RESAMPLES = 10_000


def higher(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """[P, N] 1 where the positive one is higher, 1/2 where they are equal; its mean is the AUROC."""
    return (positive[:, None] > negative) + (positive[:, None] == negative) / 2


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """P(positive > negative), ties half."""
    return float(higher(positive, negative).mean())


def interval(positive: np.ndarray, negative: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """95 % of the AUROC of resamples within both classes; its coverage: benchmarks/results/phase_coverage.txt."""
    rng, pairs = np.random.default_rng(0), higher(positive, negative)
    draws = [pairs[np.ix_(*(rng.integers(n, size=n) for n in pairs.shape))].mean() for _ in range(resamples)]
    return np.quantile(draws, (0.025, 0.975))


def spearman(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Rank correlation, and its two-sided p over random permutations."""
    ranks = [stats.zscore(stats.rankdata(values)) for values in (x, y)]
    drawn = np.random.default_rng(0).permuted(np.tile(ranks[0], (RESAMPLES, 1)), axis=1) @ ranks[1]
    own = ranks[0] @ ranks[1]
    p = (1 + np.sum(np.abs(drawn) >= abs(own) - 1e-9)) / (RESAMPLES + 1)
    return float(own / len(x)), float(p)


def early(results: xr.Dataset, name: str, since: int, until: int) -> xr.DataArray:
    """The peak of a measure of synergy, else the last value of the window."""
    window = results[name].sel(step=slice(since, until)).dropna("step", how="all")
    return window.max("step") if name in PEAKS else window.isel(step=-1)


def outcomes(taus: xr.Dataset) -> Iterator[str]:
    """Yield for each weight decay how many runs fit and grok, and when."""
    for decay in taus.weight_decay.values:
        one = taus.sel(weight_decay=decay)
        fits, grok = ~one["fit_censored"].astype(bool), ~one["grok_censored"].astype(bool)
        times = one["tau_grok"].values[grok.values]
        when = f", at step {times.min():.0f} to {times.max():.0f}" if len(times) else ""
        yield f"  weight decay {decay:g}: {int(fits.sum())} fit, {int(grok.sum())} grok{when}"


def predictors(taus: xr.Dataset, measured: xr.Dataset, since: int, until: int) -> Iterator[str]:
    """Yield a row for each predictor of `measured`, which holds the same runs as `taus`.

    Raises:
      ValueError: they are others.
    """
    groks = ~taus["grok_censored"].astype(bool)
    groks, measured = xr.align(groks, measured, join="exact", exclude=["step"])
    for name in filter(measured.data_vars.__contains__, PREDICTORS):
        value = early(measured, name, since, until).transpose(*groks.dims)
        positive, negative = (value.values[mask] for mask in (groks.values, ~groks.values))
        low, high = interval(positive, negative)
        ranges = [f"{x.mean():.3g} ({x.min():.3g} to {x.max():.3g})" for x in (positive, negative)]
        within = []
        for decay in groks.weight_decay.values:
            chosen = groks.sel(weight_decay=decay).values
            if chosen.sum() > 4:
                times = taus["tau_grok"].sel(weight_decay=decay).values[chosen]
                rho, p = spearman(value.sel(weight_decay=decay).values[chosen], times)
                within.append(f"{decay:g}: {rho:+.2f}, {p:.2g}")
        yield (
            f"{name:<20}{ranges[0]:>26}{ranges[1]:>34}   {auroc(positive, negative):.3f} [{low:.3f}, {high:.3f}]"
            f"   {'; '.join(within)}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--measured", default="")
    parser.add_argument("--since", type=int, default=1)
    parser.add_argument("--until", type=int, default=200)
    arguments = parser.parse_args()
    results = collapse_jax.open_results(arguments.workdir)
    measured = collapse_jax.open_results(arguments.measured) if arguments.measured else results
    taus, window = timescales(results), (arguments.since, arguments.until)
    groks = ~taus["grok_censored"].astype(bool)
    known = "known from {} to {}".format(*window)
    print(f"{int(groks.sum())} of {groks.size} runs grok by {int(results.step[-1])}; {known}")
    print("\n".join(outcomes(taus)))
    print(f"\n{'predictor':<20}{'grokking runs':>26}{'others':>34}   AUROC [95 %]          rho, p within")
    print("\n".join(predictors(taus, measured, *window)))


if __name__ == "__main__":
    main()
