"""Masks from a file: what is trained, whose seed's, the same bits as by hand, and wrong files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same_bits, begin, one, take, train

import collapse_jax
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError, WorkdirError
from collapse_jax.experiment.choices import filled
from collapse_jax.experiment.config import Grid, Training
from collapse_jax.experiment.cuts import AXES, Cut, parts

KEPT = np.random.default_rng(0).integers(0, 2, size=(3, 1, 16))


@pytest.fixture
def masks(tmp_path):
    def write(name="masks.npz", **arrays):
        np.savez(tmp_path / name, **arrays)
        return str(tmp_path / name)

    return write


def masked(tiny, name, **changes):
    return tiny(training=Training(mask=name), **changes)


def test_neurons_without_weights_keep_none_and_every_seed_has_its_own(tiny, masks):
    """Seeds in another order than the grid's; biases, the other layers and the initial numbers are untouched."""
    name = masks(seed=np.array([7, 2, 1]), **{"hidden_0/kernel": KEPT})
    states, free = train(masked(tiny, name)), tiny()
    for run, (_, seed) in enumerate([(d, s) for d in free.grid.weight_decay for s in free.grid.seed]):
        kept = KEPT[{1: 2, 2: 1}[seed], 0].astype(bool)
        params = take(states, run).params
        assert (params["hidden_0"]["kernel"][:, ~kept] == 0).all()
        assert (params["hidden_0"]["kernel"][:, kept] != 0).mean() > 0.9
        assert (params["hidden_0"]["bias"] != 0).all()
        assert (params["hidden_1"]["kernel"] != 0).all()
    recipe, h, data = one(masked(tiny, name))
    plain, _, _ = one(free)
    expected = begin(plain, h, data).params
    expected["hidden_0"]["kernel"] = jnp.where(KEPT[2] == 1, expected["hidden_0"]["kernel"], 0)
    assert_same_bits(jax.tree.map(np.asarray, begin(recipe, h, data).params), jax.tree.map(np.asarray, expected))


def test_every_run_takes_the_row_of_its_own_numbers(tiny, masks):
    """Rows by seed and learning rate, in no order; the fourth is of no run."""
    grid = Grid(weight_decay=(0.1,), learning_rate=(0.003, 0.01), init_scale=(1.0,), seed=(1, 2))
    rows = {"seed": np.array([2, 1, 1, 9, 2]), "learning_rate": np.array([0.01, 0.01, 0.003, 0.01, 0.003])}
    kept = np.random.default_rng(1).integers(0, 2, size=(5, 16, 12))
    name = masks(**rows, **{"hidden_1/kernel": kept})
    states = train(masked(tiny, name, grid=grid))
    for run, row in enumerate((2, 4, 1, 0)):
        kernel = take(states, run).params["hidden_1"]["kernel"]
        np.testing.assert_array_equal(kernel != 0, kept[row] == 1)


def test_a_mask_that_keeps_all_is_none(tiny, masks):
    name = masks(**{"hidden_0/kernel": np.ones((1, 16)), "head/kernel": np.array(True)})
    for leaf, other in zip(*(jax.tree.leaves(train(e).params) for e in (masked(tiny, name), tiny())), strict=True):
        np.testing.assert_allclose(leaf, other, atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds no mask; name one as its kernel"),
        ({"hidden_0/kernel": np.full((784, 16), 0.5)}, "hidden_0/kernel: must hold 0 and 1 alone"),
        (
            {"hidden_0/kernel": np.ones((2, 1, 16)), "seed": np.array([1])},
            "hidden_0/kernel: its first axis must be",
        ),
        ({"hidden_0/kernel": np.ones((1, 1, 16)), "seed": np.array([1])}, "has no mask for the run seed=2"),
        (
            {"hidden_0/kernel": np.ones((2, 1, 16)), "seed": np.array([1, 2]), "learning_rate": np.full(2, 0.02)},
            "has no mask for the run seed=1, learning_rate=0.001",
        ),
        (
            {"hidden_0/kernel": np.ones((2, 1, 16)), "seed": np.array([1, 2]), "l1": np.zeros(2)},
            "has masks by l1, and the grid no such axis",
        ),
    ],
)
def test_wrong_files_are_refused(tiny, masks, arrays, message):
    with pytest.raises(ConfigError, match=message):
        validate(masked(tiny, masks(**arrays)))


def test_what_is_no_archive_is_refused(tiny, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    for name, message in (("text.npz", "must be an .npz file"), ("none.npz", "no such file")):
        with pytest.raises(ConfigError, match=rf"training\.mask='.*{name}': {message}"):
            validate(masked(tiny, str(tmp_path / name)))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"hidden_0/kernel": np.ones((1, 17))}, r"has shape \(1, 17\), its kernel \(784, 16\)"),
        ({"hidden_7/kernel": np.ones((1, 1))}, "hidden_7/kernel: no kernel of the network"),
        ({"hidden_0/bias": np.ones(16)}, "hidden_0/bias: no kernel of the network"),
    ],
)
def test_masks_of_another_network_are_refused(tiny, masks, tmp_path, arrays, message):
    with pytest.raises(ConfigError, match=message):
        collapse_jax.train(masked(tiny, masks(**arrays)), tmp_path / "sweep")


def test_files_are_an_axis(tiny, masks, tmp_path):
    """Each part is the experiment with that file, and "" is none; results are found by the names."""
    name = masks(**{"hidden_0/kernel": np.zeros((1, 16))})
    grid = Grid(weight_decay=(0.1,), seed=(1,), init_scale=(1.0,), mask=("", name))
    experiment = tiny(grid=grid)
    bare, dead = (part.experiment for part in parts(experiment, Cut(AXES)))
    assert (bare.training.mask, dead.training.mask) == ("", name)
    assert dead == filled(tiny(grid=bare.grid, training=Training(mask=name)))
    collapse_jax.train(experiment, tmp_path / "sweep")
    results = collapse_jax.open_results(tmp_path / "sweep")
    alone = collapse_jax.train(dead, tmp_path / "alone")
    np.testing.assert_array_equal(results["train_loss"].sel(mask=name), alone["train_loss"])
    assert (results["train_loss"].sel(mask="") != alone["train_loss"]).any()


def test_a_file_of_the_axis_that_is_none_is_refused(tiny):
    with pytest.raises(ConfigError, match=r"mask='nowhere.npz': no such file \(of the part grid\.mask=now"):
        validate(tiny(grid=Grid(mask=("", "nowhere.npz"))))


def test_the_axis_takes_the_place_of_the_field(tiny, masks):
    name = masks(**{"hidden_0/kernel": np.ones((1, 16))})
    with pytest.raises(ConfigError, match=r"training\.mask=.*has no effect beside grid\.mask"):
        validate(masked(tiny, name, grid=Grid(mask=("",))))


def test_another_file_of_the_same_name_does_not_go_on(tiny, masks, tmp_path):
    grid = Grid(weight_decay=(0.1,), seed=(1,), init_scale=(1.0,))
    experiment = masked(tiny, masks(**{"hidden_0/kernel": np.ones((1, 16))}), grid=grid)
    collapse_jax.train(experiment, tmp_path / "sweep")
    collapse_jax.train(experiment, tmp_path / "sweep")
    masks(**{"hidden_0/kernel": np.zeros((1, 16))})
    with pytest.raises(WorkdirError, match=r"the file of training\.mask has changed"):
        collapse_jax.train(experiment, tmp_path / "sweep")
