"""Kernels and scales that are drawn in the place of a model's own: distributions, and what stays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import one
from scipy import stats

from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Task
from collapse_jax.models.draws import kaiming_normal
from collapse_jax.training.run import initial_parameters


def test_kernels_are_normal_with_two_over_their_inputs_and_scales_uniform(rng):
    params = {
        "conv": {"kernel": jnp.zeros((3, 3, 8, 40)), "bias": jnp.asarray(rng.normal(size=40))},
        "norm": {"scale": jnp.ones(2000), "bias": jnp.zeros(2000)},
        "head": {"kernel": jnp.zeros((50, 60)), "bias": jnp.zeros(60)},
    }
    drawn = kaiming_normal(params, jax.random.key(int(rng.integers(2**31))))
    for name, inputs in (("conv", 72), ("head", 50)):
        values = np.ravel(drawn[name]["kernel"]) * (inputs / 2) ** 0.5
        assert stats.kstest(values, "norm").pvalue > 1e-5
        np.testing.assert_array_equal(drawn[name]["bias"], params[name]["bias"])
    assert stats.kstest(np.asarray(drawn["norm"]["scale"]), "uniform").pvalue > 1e-5
    assert not np.any(drawn["norm"]["bias"])
    both = np.ravel(drawn["conv"]["kernel"])[:2000], np.ravel(drawn["head"]["kernel"])[:2000]
    assert abs(np.corrcoef(*both)[0, 1]) < 0.13  # independent draws: 0.022 of standard deviation


@pytest.mark.parametrize("name", ["mlp", "conv2", "resnet20"])
def test_networks_of_tickets_begin_so(tiny, name):
    """Every kernel and scale is drawn, by the seed; biases are those of PyTorch's layers; then all is scaled."""
    width = {} if name == "mlp" else {"width": 2}
    grid = Grid(init_scale=(1.0,), seed=(3,), weight_decay=(0.0,))
    start = {}
    for init in ("kaiming_normal", "default"):
        hidden = (12, 6) if name == "mlp" else None
        changes = {
            "grid": grid,
            "model": Model(name, init=init, hidden=hidden, **width),
            "task": Task(train_size=60),
        }
        recipe, h, data = one(tiny(batch_size=20, **changes))
        start[init] = jax.tree.map(np.asarray, jax.jit(lambda r=recipe, h=h, d=data: initial_parameters(r, h, d))())
    leaves = jax.tree_util.tree_leaves_with_path(start["kaiming_normal"])
    for (path, drawn), own in zip(leaves, jax.tree.leaves(start["default"]), strict=True):
        kind = path[-1].key
        if kind == "bias":
            np.testing.assert_array_equal(drawn, own)
        elif kind == "scale":
            assert np.all((drawn > 0) & (drawn < 1))
        else:
            assert not np.any(drawn == own)
            spread = (2 / (drawn.size // drawn.shape[-1])) ** 0.5
            assert drawn.std() == pytest.approx(spread, rel=5 / (2 * drawn.size) ** 0.5)


def test_a_draw_that_there_is_not(tiny):
    message = r"model\.init='kaiming_uniform': unknown init.*kaiming_normal"
    with pytest.raises(ConfigError, match=message):
        validate(tiny(model=Model(hidden=(4,), init="kaiming_uniform")))
