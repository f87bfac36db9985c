"""Where the runs are that live, and programs that go over these alone."""

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from collapse_jax.engine import living, packing
from collapse_jax.engine.packing import Layout

ALIVE = st.integers(1, 9).flatmap(lambda runs: st.lists(st.booleans(), min_size=runs, max_size=runs))


@hypothesis.given(ALIVE, st.sampled_from([1, 2]), st.integers(1, 5))
def test_every_run_has_a_place_and_the_living_come_first(alive, devices, tile):
    alive = np.array(alive)
    tile = min(tile, -(-len(alive) // devices))
    placed = living.placement(Layout(len(alive), devices, tile), alive)
    slots = placed.order.reshape(devices, -1)
    assert sorted(run for run in placed.order if run >= 0) == list(range(len(alive)))
    first = [run for own, count in zip(slots, placed.living, strict=True) for run in own[:count]]
    assert first == np.flatnonzero(alive).tolist()
    if alive.all():  # as a sweep without a rule has them
        assert placed.layout.runs_per_tile == tile
        assert placed.order[: len(alive)].tolist() == list(range(len(alive)))
    tiles = -(-placed.living // placed.layout.runs_per_tile)
    assert tiles.max() * placed.layout.runs_per_tile <= slots.shape[1]
    assert tiles.sum() * placed.layout.runs_per_tile >= alive.sum()
    needed = -(-int(alive.sum()) // devices)
    assert placed.layout.runs_per_tile <= tile
    assert placed.layout.runs_per_tile in (1, tile) or placed.layout.runs_per_tile < 2 * needed
    tree = {"a": np.arange(len(alive)), "b": np.arange(2.0 * len(alive)).reshape(-1, 2)}
    jax.tree.map(np.testing.assert_array_equal, placed.rows(placed.place(tree)), tree)


HALVED = {0: 13, 8e10: 13, 9e10: 7, 2e11: 4, 3e11: 2, 6e11: 1}  # operations of a run -> narrowest tile


@pytest.mark.parametrize(("operations", "narrowest"), HALVED.items())
def test_a_tile_is_halved_where_that_saves_more_than_the_time_to_compile(operations, narrowest):
    layout = Layout(13, 1, 13)
    assert living.narrowest(layout, operations) == narrowest
    assert living.placement(layout, np.arange(13) == 4, narrowest).layout.runs_per_tile == narrowest


@pytest.mark.parametrize("tile", [1, 2])
def test_programs_go_over_the_living_alone(tile):
    """Tiles behind those of the living are not touched: their states stay, their values are not computed."""
    layout = Layout(8, 2, tile)
    alive = np.array([True, False, False, True, False, True, False, False])
    placed = living.placement(layout, alive)
    layout = placed.layout
    assert layout.runs_per_tile == tile
    states = placed.place(np.zeros(8))
    add = living.over_living_in_place(layout, lambda state, run, more: state + run + more)
    runs, counts = placed.place(np.arange(8.0)), placed.counts()
    states = add(states, runs, counts, 1.0)
    np.testing.assert_array_equal(placed.rows(states), np.where(alive, np.arange(8.0) + 1, 0))
    values = placed.rows(living.over_living(layout, lambda run, more: run + more)(runs, counts, 1.0))
    np.testing.assert_array_equal(values[alive], np.flatnonzero(alive) + 1)
    assert (values != 0).sum() <= tile * 2 * -(-int(placed.living.max()) // tile)


def test_the_only_tile_of_a_device_has_the_program_of_a_sweep_without_a_rule():
    """Another one would compute the same to other last bits."""

    def text(lift, *more):
        return lift(Layout(6, 2, 3), lambda run, factor: {"value": run * factor}).lower(runs, *more, 2.0).as_text()

    runs, counts = jax.ShapeDtypeStruct((6,), np.float32), jax.ShapeDtypeStruct((2,), np.int32)
    assert text(living.over_living, counts) == text(packing.over_runs)
