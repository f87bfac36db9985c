import numpy as np
import pytest

from collapse_jax.analysis.variance_gap import variance_gap


def clusters(seed, per_class, dim=3, classes=4, noise=0.3):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    return np.eye(classes, dim + 4)[labels] + noise * rng.normal(size=(len(labels), dim + 4)), labels


def test_held_out_features_show_the_rate_of_the_theorem():
    curve = variance_gap(*clusters(0, 2000), *clusters(1, 20_000), sizes=(10, 40, 160, 640), draws=60)
    assert float(curve.slope) == pytest.approx(-0.5, abs=0.12)
    assert curve.attrs["theory_slope"] == -0.5
    assert float(curve.variance[-1]) == pytest.approx(float(curve.population_variance), rel=0.02)


def test_a_collapsed_sample_stops_at_the_generalisation_gap():
    train, labels = clusters(0, 400, noise=0.01)
    curve = variance_gap(train, labels, *clusters(1, 5000), sizes=(10, 40, 160))
    assert abs(float(curve.slope)) < 0.01
    assert float(curve.gap[-1]) == pytest.approx(float(curve.population_variance), rel=0.01)


def test_the_bias_of_dividing_by_n_is_known():
    sets = (*clusters(0, 2000), *clusters(1, 20_000))
    curve = variance_gap(*sets, sizes=(10, 100), draws=200, unbiased=False)
    truth = float(curve.population_variance)
    np.testing.assert_allclose(curve.variance, [truth * 0.9, truth * 0.99], rtol=0.02)


def test_sizes_default_and_are_checked():
    sets = (*clusters(0, 90), *clusters(1, 90))
    assert variance_gap(*sets, draws=2).class_size.values.tolist() == [10, 20, 40]
    with pytest.raises(ValueError, match=r"sizes: 91; it must be in 2 \.\.\. 90"):
        variance_gap(*sets, sizes=(91,))
    with pytest.raises(ValueError, match="no class is in both"):
        variance_gap(*clusters(0, 9), np.zeros((2, 7)), np.array([7, 8]))
