"""Whether nominal means nominal: a small part of benchmarks/coverage.py, and the table that all of it printed."""

import pathlib

import numpy as np
import pytest

from benchmarks.coverage import CENSORED, DECAYS, MODELS, SEEDS, false_differences, rate_coverage, slope_coverage
from collapse_jax.analysis import turnbull

TABLE = pathlib.Path(__file__).parents[2] / "benchmarks" / "results" / "coverage.txt"


@pytest.mark.parametrize(("count", "model", "share"), [(3, "independent", 0.0), (6, "slopes", 0.4)])
def test_intervals_of_slopes_over_three_seeds_hold_what_they_say(count, model, share):
    # The percentile bootstrap holds in 0.70 to 0.78 of these sweeps.
    cover, width, given, _ = slope_coverage(DECAYS[count], 3, model, share, 100)
    assert 0.93 - 3 * np.sqrt(0.93 * 0.07 / 100) < cover <= 1
    assert given > 0.8
    assert 0 < width < 3


def test_rates_and_differences_hold_what_they_say(monkeypatch):
    monkeypatch.setattr(turnbull, "PERMUTATIONS", 199)
    for runs in (3, 10):
        mean, lowest = rate_coverage(runs)
        assert 0.93 < mean < 0.97
        assert lowest > 0.8
    assert false_differences(3, 0.2, 60) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_the_committed_table_reaches_its_goal():
    rows = [line.split() for line in TABLE.read_text().splitlines()]
    slopes = [(int(row[3]), float(row[4])) for row in rows if len(row) == 8 and row[1] in MODELS]
    assert len(slopes) == len(DECAYS) * len(MODELS) * len(CENSORED) * len(SEEDS)
    repeated = [cover for seeds, cover in slopes if seeds >= 3]
    assert np.mean(repeated) > 0.93
    assert min(repeated) > 0.93 - 3 * 0.007  # three standard errors below
