"""Whether reported errors are those of fresh samples: a small part of benchmarks/calibration.py."""

import pytest

from benchmarks.calibration import MEASURES, errors_of


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
