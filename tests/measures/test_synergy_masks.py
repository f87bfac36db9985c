"""The masks of the sub-network experiment, and the table of its sweeps."""

import numpy as np
import pytest
import xarray as xr
from synthetic_results import join_parts, make_results

from scripts.synergy_masks import masks_of, members_of
from scripts.synergy_subnetworks import table, with_all_neurons


def test_members_are_those_of_the_most_synergy_of_a_window(rng):
    synergy = np.array([[9.0, 1.0, 3.0, np.nan], [9.0, 4.0, 2.0, 5.0]])  # the last step lacks a seed
    members = rng.integers(0, 2, size=(2, 4, 7)).astype(float)
    coords = {"seed": [5, 3], "step": [0, 2, 8, 16]}
    results = xr.Dataset(
        {"synergy": (("seed", "step"), synergy), "synergy_members": (("seed", "step", "neuron"), members)}, coords
    )
    for since, steps in ((0, [0, 0]), (1, [8, 2]), (3, [8, 8])):
        found, at = members_of(results, since)
        assert at.tolist() == steps
        places = [coords["step"].index(step) for step in steps]
        np.testing.assert_array_equal(found, [members[0, places[0]], members[1, places[1]]])


def test_random_masks_keep_as_many_neurons_and_split_them_all(rng):
    members = rng.random((4, 50)) < np.array([[0.2], [0.7], [0.5], [0.8]])
    masks = masks_of(members, np.array([3, 1, 2, 7]))
    for name, size in (("subnetwork", members.sum(1)), ("inverse", 50 - members.sum(1))):
        control = {"subnetwork": "random", "inverse": "random_inverse"}[name]
        assert masks[name].sum(1).tolist() == masks[control].sum(1).tolist() == size.tolist()
        assert (masks[name] != masks[control]).any(1).all()
    assert (masks["subnetwork"] ^ masks["inverse"]).all()
    assert (masks["random"] ^ masks["random_inverse"]).all()
    again = masks_of(members[::-1], np.array([7, 2, 1, 3]))
    np.testing.assert_array_equal(again["random"][::-1], masks["random"])  # of a seed, whatever its place


def grokking(at, seed=range(6), last=100_000, weight_decay=(0.1,)):
    """Results whose test accuracy leaps at a step, 1.2 times as late for each next seed."""
    one = make_results(weight_decay=weight_decay, seed=seed, last=last)
    late = (one["step"] >= at * 1.2 ** one["seed"]).broadcast_like(one["test_accuracy"])
    return one.assign(test_accuracy=late.transpose(*one["rnc1"].dims).astype(float))


def test_runs_of_all_neurons_may_be_of_another_sweep():
    """One of more seeds, more decays and other log steps, which is followed for longer."""
    masks = ("m/subnetwork.npz", "m/random.npz")
    parts = [({"mask": mask}, grokking(at)) for mask, at in zip(masks, (2000, 1000), strict=True)]
    alone = join_parts({"mask": masks}, parts)
    together = join_parts({"mask": ("", *masks)}, [({"mask": ""}, grokking(1000)), *parts])
    elsewhere = grokking(1000, seed=range(5, -1, -1), last=300_000, weight_decay=(0.03, 0.1))
    found = with_all_neurons(alone, elsewhere)
    assert found["step"].max() == alone["step"].max()
    for row, right in zip(table(found), table(together), strict=True):
        assert row[:3] + row[4:6] == right[:3] + right[4:6]
        ratios = [float(r[6].split(",")[0]) for r in (row, right) if r[0] != "none"]
        np.testing.assert_allclose(ratios[:1], ratios[1:], rtol=0.05)  # between log steps
    with pytest.raises(KeyError):
        with_all_neurons(alone, elsewhere.isel(seed=[0, 1]))


def test_ratios_are_between_the_same_seeds_of_masks_of_equal_size():
    """Twice as late as its control at every one of 6 seeds: ratio 2, and p is 2 of 2^6."""
    kinds = {"": 1000, "m/subnetwork.npz": 2000, "m/random.npz": 1000, "m/inverse.npz": 10**6}
    parts = [({"mask": mask}, grokking(at)) for mask, at in kinds.items()]
    parts.append(({"mask": "m/random_inverse.npz"}, parts[-1][1]))
    names = (*kinds, "m/random_inverse.npz")
    rows = {row[0]: row for row in table(join_parts({"mask": names}, parts))}
    assert rows["none"][2] == rows["subnetwork"][2] == "6/6"
    for column in (5, 6):
        ratio, p = rows["subnetwork"][column].split(", p = ")
        assert abs(float(ratio) - 2) < 0.1  # between log steps
        assert p == "0.031 (6 seeds)"
    assert rows["inverse"][2:4] == ["0/6", "-"]
    assert rows["inverse"][5] == "-"
