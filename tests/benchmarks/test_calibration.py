"""Whether reported errors are those of fresh samples: a small part of benchmarks/calibration.py, and its table."""

import pathlib
import statistics

import pytest

from benchmarks.calibration import COUNTS, MEASURES, WIDTHS, errors_of

TABLE = pathlib.Path(__file__).parents[2] / "benchmarks" / "results" / "calibration.txt"


def test_errors_of_the_noisy_channel_are_those_of_fresh_samples():
    """Spreads over the examples at a fixed noise were 0.2 to 0.6 of them: they leave out the largest norm."""
    found = errors_of(MEASURES["noisy channel"], "clusters", 150, 40)
    assert len(found) == 7 * 3
    for name, (_, true, reported) in found.items():
        if not name.endswith("sigma003"):
            assert 0.65 < reported / true < 1.6, name


@pytest.mark.slow  # neighbours of many samples
@pytest.mark.parametrize(("kind", "count"), [("clusters", 300), ("collapsed", 200)])
def test_errors_of_mutual_information_are_those_of_fresh_samples(kind, count):
    """Few examples of a class included, for which halves were 2 to 7 times too large."""
    found = errors_of(MEASURES["mutual information, KSG"], kind, count, 25)
    for name in ("mi_zx", "mi_zy", "superfluous_information"):
        _, true, reported = found[name]
        assert 0.6 < reported / true < 2, name


def test_the_committed_table_is_near_one():
    lines = [line.split() for line in TABLE.read_text().splitlines() if line]
    rows = {row[0]: row[1:] for row in lines if len(row) == 1 + len(COUNTS) * len(WIDTHS)}
    expected = {"nhsic_zx", "mi_zx", "mi_zy", "noisy_zx_sigma010", "kde_lower_zx_sigma010", "layer_binned_zx"}
    assert expected <= set(rows)
    ratios = [float(ratio) for row in rows.values() for ratio in row if ratio != "-"]
    assert 0.9 < statistics.median(ratios) < 1.3
    assert min(ratios) > 0.6  # no error is far too small
