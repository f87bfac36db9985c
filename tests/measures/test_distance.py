"""Distance from the initial parameters by hand."""

import jax.numpy as jnp
import pytest

from collapse_jax.measures import Snapshot
from collapse_jax.measures.families.distance import VARIABLES, distance

FIRST = {"a": jnp.float32([3.0, 0.0]), "b": {"kernel": jnp.float32([[4.0]])}}
NOW = {"a": jnp.float32([3.0, 2.0]), "b": {"kernel": jnp.float32([[4.0]])}}


def test_by_hand():
    values = distance(Snapshot(params=NOW, initial=FIRST))
    assert values.keys() == VARIABLES.keys()
    assert float(values["distance_from_initial"]) == 2
    assert float(values["relative_distance"]) == pytest.approx(2 / 5)
    assert float(values["cosine_to_initial"]) == pytest.approx(25 / (5 * 29**0.5))


def test_nothing_moved():
    values = distance(Snapshot(params=FIRST, initial=FIRST))
    assert [float(values[name]) for name in VARIABLES] == pytest.approx([0, 0, 1])


def test_pruned_weights_have_no_distance():
    mask = {"a": jnp.array([True, False]), "b": {"kernel": jnp.array([[True]])}}
    assert float(distance(Snapshot(params=NOW, initial=FIRST, mask=mask))["distance_from_initial"]) == 0
