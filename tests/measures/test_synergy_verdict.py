"""The verdict on early synergy: what is known early of runs, against what became of them in another sweep."""

import pytest
import xarray as xr
from scipy import stats
from synthetic_results import make_results

from collapse_jax.analysis import timescales
from scripts.synergy_verdict import outcomes, predictors

SEEDS = range(6)


@pytest.fixture(scope="module")
def taus():
    """Of weight decay 0.3, which groks at about step 2000, and 0.001, which does not by 100,000."""
    return timescales(make_results(weight_decay=(0.001, 0.3), seed=SEEDS, jitter=0.1, last=100_000))


def test_auroc_and_rank_correlation_are_those_of_scipy(taus, rng):
    known = rng.integers(0, 12, size=(6, 4, 2)).astype(float)  # with ties
    coords = {"seed": list(SEEDS), "step": [2, 31, 80, 200], "weight_decay": taus.weight_decay.values}
    measured = xr.Dataset({"synergy_ordinal": (("seed", "step", "weight_decay"), known)}, coords)
    (row,) = predictors(taus, measured, 31, 80)
    peak = known[:, 1:3].max(axis=1)
    right = stats.mannwhitneyu(peak[:, 1], peak[:, 0]).statistic / 36
    assert f"   {right:.3f} [" in row
    rho = stats.spearmanr(peak[:, 1], taus["tau_grok"].sel(weight_decay=0.3)).statistic
    assert f"0.3: {rho:+.2f}, " in row
    assert "0.001: " not in row  # none of them groks
    assert [text.split(" at step")[0] for text in outcomes(taus)] == [
        "  weight decay 0.001: 6 fit, 0 grok",
        "  weight decay 0.3: 6 fit, 6 grok,",
    ]


def test_measures_of_other_runs_are_refused(taus):
    known = xr.zeros_like(taus["tau_grok"]).expand_dims(step=[2, 31])
    other = xr.Dataset({"synergy": known}).assign_coords(seed=[0, 1, 2, 3, 4, 7])
    with pytest.raises(ValueError, match="seed"):
        list(predictors(taus, other, 1, 80))
