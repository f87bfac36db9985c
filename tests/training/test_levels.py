"""Levels of train, prune and rewind: counts, what survives, and the same bits wherever the loop is cut."""

import itertools

import jax
import numpy as np
import pytest
from runs import assert_same_bits, begin, distance, one, take, train

import collapse_jax
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Packing, Schedule, Snapshots, Training
from collapse_jax.experiment.training import Levels, Rate
from collapse_jax.training import advance_run
from collapse_jax.training.levels import Pruning, all_kept, pruned
from scripts.ticket_masks import write

LEVELS, STEPS = 4, 10
TRAINING = Training(levels=Levels(STEPS, prune=0.2))
KERNELS = 784 * 16 + 16 * 12 + 12 * 10
EXPECTED = list(itertools.accumulate(range(LEVELS - 1), lambda n, _: n - round(0.2 * n), initial=KERNELS))


def kernels(tree):
    return np.concatenate([np.asarray(layer["kernel"]).ravel() for layer in tree.values()])


def leveled(tiny, **changes):
    return tiny(**{"steps": LEVELS * STEPS, "training": TRAINING} | changes)


@pytest.fixture(scope="module")
def ends():
    """Return the states of all runs at the end of each level, and in the first step of the next."""
    from conftest import tiny_experiment

    steps = [*range(STEPS, LEVELS * STEPS + 1, STEPS)]
    return [train(leveled(tiny_experiment, steps=step)) for step in steps]


def test_the_density_falls_by_the_share_at_every_level(ends):
    for level, states in enumerate(ends):
        for run in range(4):
            mask, weights = (kernels(take(tree, run)) for tree in (states.mask, states.params))
            assert mask.sum() == EXPECTED[level]
            np.testing.assert_array_equal(weights != 0, mask)
    assert EXPECTED[-1] / KERNELS == pytest.approx(0.8**3, abs=1e-4)


def test_the_smallest_weights_of_all_layers_go(ends):
    for before, after in itertools.pairwise(ends):
        for run in range(4):
            weights, old, new = (
                kernels(tree) for tree in (take(before.params, run), take(before.mask, run), take(after.mask, run))
            )
            gone = old & ~new
            assert np.abs(weights[gone]).max() <= np.abs(weights[new]).min()
            assert not (new & ~old).any()


def test_biases_are_never_pruned(ends):
    assert all(layer["bias"].all() for layer in ends[-1].mask.values())


def test_a_level_begins_with_the_initial_parameters(tiny):
    """With a rate of almost 0 the parameters in a level are theta_0, masked, to the last bit."""
    grid = Grid(weight_decay=(0.1,), learning_rate=(1e-30,), init_scale=(1.0,), seed=(1, 2))
    states = train(leveled(tiny, grid=grid, steps=3 * STEPS + 1))
    start = train(tiny(grid=grid, steps=0))
    masked = jax.tree.map(lambda kept, leaf: np.where(kept, leaf, 0), states.mask, start.params)
    assert_same_bits(states.params, masked)


def test_the_first_level_is_the_run_without_levels_and_every_level_sees_its_batches(tiny, ends):
    """Without pruning worth the name, the second level is the first once more."""
    assert_same_bits(ends[0].params, train(tiny(steps=STEPS)).params)
    hardly = Training(levels=Levels(STEPS, prune=1e-6), rate=Rate(milestones=(4,)))
    first, second = (train(tiny(steps=steps, training=hardly)) for steps in (STEPS, 2 * STEPS))
    assert_same_bits(first.params, second.params)


def test_where_the_loop_is_cut_changes_no_bit(tiny, ends):
    cuts = (1, STEPS - 1, STEPS, STEPS + 1, 2 * STEPS, 3 * STEPS + 7)
    assert_same_bits(train(leveled(tiny), cuts=cuts), ends[-1])


def test_tiles_prune_the_same_weights(tiny, ends):
    tiled = train(leveled(tiny), layout=Packing(1, 4))
    assert_same_bits(tiled.mask, ends[-1].mask)
    assert distance(tiled.params, ends[-1].params) < 2e-4


def test_all_levels_are_one_program(tiny, monkeypatch):
    recipe, h, data = one(leveled(tiny))
    traces = []
    advance = jax.jit(lambda s, a, b: traces.append(1) or advance_run(recipe, s, h, data, a, b))
    state = begin(recipe, h, data)
    for start, stop in itertools.pairwise((0, 3, STEPS, 2 * STEPS + 1, 4 * STEPS)):
        state = advance(state, np.int32(start), np.int32(stop))
    assert len(traces) == 1


def test_counts_are_exact_where_magnitudes_are_equal():
    params = {"a": {"kernel": np.zeros((5, 8), np.float32), "bias": np.zeros(3, np.float32)}}
    mask = all_kept(params)
    for expected in (32, 26, 21):  # 40 - 8, 32 - round(6.4), 26 - round(5.2)
        mask = pruned(params, mask, Pruning(0.2))
        assert int(mask["a"]["kernel"].sum()) == expected
        assert mask["a"]["bias"].all()


def test_the_density_of_fifteen_levels(rng):
    """.8^k to 1e-3, by magnitudes that change from level to level, of all layers of 64-300-100-10 together."""
    shapes = ((64, 300), (300, 100), (100, 10))

    def drawn():
        return {f"layer_{i}": {"kernel": np.float32(rng.normal(size=shape))} for i, shape in enumerate(shapes)}

    mask = all_kept(drawn())
    for level in range(1, 16):
        before, mask = kernels(mask), pruned(drawn(), mask, Pruning(0.2))
        assert kernels(mask).mean() == pytest.approx(0.8**level, abs=1e-3)
        assert not (kernels(mask) & ~before).any()


def test_a_sweep_of_levels_is_measured_with_its_mask(tiny, tmp_path):
    snapshots = Snapshots(Schedule("explicit", at=(STEPS, 2 * STEPS)), ("parameters",), 50)
    results = collapse_jax.train(
        leveled(tiny, snapshots=snapshots, grid=Grid(seed=(1, 2), init_scale=(1.0,)), steps=2 * STEPS),
        tmp_path / "w",
    )
    stored = collapse_jax.open_snapshots(tmp_path / "w")
    first, second = (stored.snapshot(step, 1) for step in (STEPS, 2 * STEPS))
    stored.close()
    assert int(kernels(first.mask).sum()) == KERNELS
    assert int(kernels(second.mask).sum()) == EXPECTED[1] == int((kernels(second.params) != 0).sum())
    assert {*second.params} == {"hidden_0", "hidden_1", "head"}
    assert int(second.step) == 2 * STEPS
    start = take(train(tiny(steps=0, grid=Grid(seed=(2,), init_scale=(1.0,)))), 0).params
    assert_same_bits(jax.tree.map(np.asarray, second.initial), start)
    assert np.isfinite(results.train_loss).all()
    write(str(tmp_path / "w"), 1, tmp_path / "masks.npz", shift=10)
    masks = np.load(tmp_path / "masks.npz")
    assert masks["seed"].tolist() == [11, 12]
    assert sum(int(masks[f"{name}/kernel"][1].sum()) for name in second.params) == EXPECTED[1]
    for name, layer in second.mask.items():
        np.testing.assert_array_equal(masks[f"{name}/kernel"][1], layer["kernel"])


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (Levels(40), r"training\.levels\.steps=40: must be in 0 \.\.\. 39"),
        (Levels(10, prune=1.0), r"training\.levels\.prune=1\.0: must be in \(0, 1\)"),
        (
            Levels(10, rule="least"),
            r"training\.levels\.rule='least': unknown rule; .*known: largest, random, smallest",
        ),
        (Levels(10, rewind=10), r"training\.levels\.rewind=10: must be in 0 \.\.\. 9, within a level"),
    ],
)
def test_wrong_levels_are_refused(tiny, levels, message):
    with pytest.raises(ConfigError, match=message):
        validate(tiny(training=Training(levels=levels)))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (Levels(10, ignored=("last",)), r"training\.levels\.ignored='last': no such layer; the model has .*head"),
        (Levels(1, prune=0.5), r"training\.levels\.prune=0\.5: prunes 39 times, .* less than one of 12856 weights"),
    ],
)
def test_levels_that_do_not_fit_the_network_are_refused(tiny, tmp_path, levels, message):
    with pytest.raises(ConfigError, match=message):
        collapse_jax.train(tiny(training=Training(levels=levels)), tmp_path / "w")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(("rule", "gone"), [("smallest", slice(4)), ("largest", slice(16, None))])
def test_the_rule_says_which_weights_go(rng, rule, gone):
    """Of 20 weights in two kernels, of which one more is ignored; then of the 16 that remain."""
    values = rng.permutation(np.arange(1.0, 21.0)) * rng.choice([-1, 1], 20)
    params = {
        "a": {"kernel": values[:12].reshape(3, 4), "bias": np.zeros(3)},
        "b": {"kernel": values[12:].reshape(2, 4)},
        "head": {"kernel": np.full((2, 2), 0.5)},
    }
    params = jax.tree.map(np.float32, params)
    pruning = Pruning(0.2, rule, ("head",))
    mask = pruned(params, all_kept(params), pruning)
    kept = np.concatenate([np.ravel(mask[name]["kernel"]) for name in "ab"])
    assert sorted(abs(values[~kept])) == list(np.arange(1.0, 21.0)[gone])
    assert mask["head"]["kernel"].all()
    again = pruned(params, mask, pruning)
    kept = np.concatenate([np.ravel(again[name]["kernel"]) for name in "ab"])
    assert kept.sum() == 16 - 3


def test_random_weights_go_by_the_key(rng):
    params = {"a": {"kernel": rng.normal(size=(100, 100)).astype(np.float32)}}
    masks = [pruned(params, all_kept(params), Pruning(0.3, "random"), jax.random.key(i)) for i in (0, 0, 1)]
    kept = [np.asarray(mask["a"]["kernel"]) for mask in masks]
    assert all(mask.sum() == 7000 for mask in kept)
    np.testing.assert_array_equal(kept[0], kept[1])
    assert (kept[0] & kept[2]).mean() == pytest.approx(0.49, abs=0.02)
    # Independent of the magnitudes: of either half of them the same share goes.
    large = abs(params["a"]["kernel"]) > np.median(abs(params["a"]["kernel"]))
    assert kept[0][large].mean() == pytest.approx(0.7, abs=0.04)


def test_a_level_is_rewound_to_a_step_of_the_first(tiny):
    """With weights, moments and batches of step 4, and from there; until then nothing changes."""
    grid = Grid(weight_decay=(0.1,), init_scale=(1.0,), seed=(1, 2))

    def rewound(steps):
        return train(tiny(grid=grid, steps=steps, training=Training(levels=Levels(STEPS, rewind=4))))

    fourth = train(tiny(grid=grid, steps=4))
    states = [rewound(steps) for steps in (STEPS + 1, STEPS + 4, STEPS + 5)]
    masked = jax.tree.map(lambda kept, leaf: np.where(kept, leaf, 0), states[0].mask, fourth.params)
    assert distance(states[0].params, masked) < 1e-6
    assert_same_bits(states[0].params, states[1].params)
    assert distance(states[1].params, states[2].params) > 1e-5
    hardly = Training(levels=Levels(STEPS, prune=1e-6, rewind=4))
    first, second = (train(tiny(grid=grid, steps=steps, training=hardly)) for steps in (STEPS, 2 * STEPS))
    assert distance(first.params, second.params) < 1e-6
    cut = train(tiny(grid=grid, steps=2 * STEPS, training=hardly), cuts=(3, STEPS, STEPS + 2, STEPS + 4, STEPS + 6))
    assert_same_bits(cut, second)
