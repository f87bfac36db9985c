"""The search for the widest bins, on distortions that are written down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from collapse_jax.measures.estimators.rate_search import search

WIDTHS = jnp.geomspace(1e-3, 1, 10)
THRESHOLDS = jnp.array([0.5, 1.0])


def found(screen, evaluate, allowed, rounds=3):
    """Widths [E, 2]; the entropy falls with the width and the threshold."""
    result = jax.jit(
        lambda: search(
            lambda tau, width: screen(width),
            lambda tau, width: (evaluate(width), evaluate(width)),
            lambda tau, width: tau - jnp.log(width),
            jnp.asarray(allowed),
            THRESHOLDS,
            WIDTHS,
            2,
            rounds,
        )
    )()
    return np.asarray(result.width)


@pytest.mark.parametrize("power", [2, 4])
def test_a_power_law_is_followed_to_its_end(power):
    allowed = np.array([0.25, 0.01])
    widths = found(lambda w: w**power, lambda w: w**power, allowed)
    assert (widths**power < allowed[:, None]).all()
    np.testing.assert_allclose(widths, allowed[:, None] ** (1 / power) * np.ones(2), rtol=0.02)


def test_the_network_of_zeros_is_within_reach_of_few_examples_alone():
    """Distortion rises to 0.4 and falls to 0.07 of a network of zeros, which few examples take for 0.05."""

    def rises(width):
        return 0.4 * (width / 0.2) ** 2

    widths = found(
        lambda w: jnp.where(w > 0.3, 0.05, rises(w)), lambda w: jnp.where(w > 0.3, 0.07, rises(w)), [0.0625]
    )
    assert np.isfinite(widths).all()
    assert (rises(widths) < 0.0625).all()
    # The last of the widths that were screened before the distortion first passed the limit.
    screened = np.asarray(WIDTHS)
    np.testing.assert_allclose(widths, screened[rises(screened) < 0.0625].max(), rtol=1e-5)
