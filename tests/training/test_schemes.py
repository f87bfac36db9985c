"""Layer by layer: the loss of a block reaches that block alone; the network and its measures know nothing of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same_bits, begin, distance, one, take, train

import collapse_jax
from collapse_jax.engine.validate import validate
from collapse_jax.errors import ConfigError
from collapse_jax.experiment.config import Grid, Model, Snapshots, Task, Training
from collapse_jax.models import HEAD
from collapse_jax.training import network_of
from collapse_jax.training.trees import LOCAL_HEADS, own

LAYERWISE = Training(scheme="layerwise")
# model -> the first names of the parameters of each block, in the order of the layers; the last block is the head
BLOCKS = {
    "mlp": (
        Model(hidden=(8, 7, 6), norm="batch"),
        [["hidden_0", "norm_0"], ["hidden_1", "norm_1"], ["hidden_2", "norm_2"]],
    ),
    "cnn": (Model("cnn", width=2), [["conv_0"], ["conv_1"], ["hidden"]]),
}


def losses(recipe, state, data):
    """Return params -> the loss of every layer's head, and of the logits."""
    loss, labels = recipe.loss, data.train_labels[:20]

    def objectives(params):
        variables = {"params": own(params), "batch_stats": state.batch_stats}
        more = {"train": True, "mutable": ["batch_stats"]} if state.batch_stats else {}
        with recipe.scheme.gradients():
            outputs = recipe.model.apply(variables, data.train_inputs[:20], **more)
        logits, layers = outputs[0] if state.batch_stats else outputs
        heads = params[LOCAL_HEADS]
        local = [
            x.reshape(20, -1) @ heads[f"head_{i}"]["kernel"] + heads[f"head_{i}"]["bias"][None]
            for i, x in enumerate(layers)
        ]
        each = jnp.stack([loss.objective(output, labels, None) for output in (*local, logits)])
        return each, recipe.scheme.objective(loss, heads, (logits, layers), labels, None)

    return objectives


@pytest.mark.parametrize("name", BLOCKS)
def test_the_loss_of_a_block_reaches_its_own_parameters_alone(tiny, name):
    model, blocks = BLOCKS[name]
    recipe, h, data = one(tiny(model=model, training=LAYERWISE))
    state = begin(recipe, h, data)
    each, total = jax.jit(losses(recipe, state, data))(state.params)
    np.testing.assert_allclose(total, each.sum(), rtol=1e-6)
    jacobian = jax.jit(jax.jacrev(lambda p: losses(recipe, state, data)(p)[0]))(state.params)
    owners = [[*names, f"{LOCAL_HEADS}/head_{i}"] for i, names in enumerate(blocks)] + [[HEAD]]
    parts = {name: tree for name, tree in jacobian.items() if name != LOCAL_HEADS}
    parts |= {f"{LOCAL_HEADS}/{name}": tree for name, tree in jacobian[LOCAL_HEADS].items()}
    assert {part for owned in owners for part in owned} == {*parts}
    for part, tree in parts.items():
        for i, owned in enumerate(owners):
            largest = max(float(jnp.abs(leaf[i]).max()) for leaf in jax.tree.leaves(tree))
            assert (largest > 0) if part in owned else (largest == 0), (part, i)


def test_a_network_is_trained_layer_by_layer_and_its_loss_falls(tiny):
    model = Model(hidden=(16, 12), norm="batch")
    grid = Grid(weight_decay=(0.1,), learning_rate=(1e-2,), init_scale=(1.0,), seed=(1, 2))
    experiment = tiny(model=model, training=LAYERWISE, grid=grid)
    recipe, h, data = one(experiment)
    states = train(experiment)
    start, end = begin(recipe, h, data), take(states, 0)
    before, after = (jax.jit(losses(recipe, s, data))(s.params)[0] for s in (start, end))
    assert (after < 0.5 * before).all()
    assert_same_bits(states, train(experiment, cuts=(1, 20)))
    assert distance(own(end.params), take(train(tiny(model=model, grid=grid)), 0).params) > 1e-2


def test_both_schemes_begin_with_the_same_network(tiny):
    states = [train(tiny(steps=0, training=Training(scheme=scheme))) for scheme in ("end_to_end", "layerwise")]
    assert_same_bits(states[0].params, own(states[1].params))


def test_local_heads_are_no_part_of_the_network(tiny, tmp_path):
    """The norm is that of the network alone, in-line and later; a head is not scaled with the network."""
    snapshots = Snapshots(content=("parameters",), test_size=50)
    results = collapse_jax.train(
        tiny(training=LAYERWISE, snapshots=snapshots, grid=Grid(init_scale=(2.0,))), tmp_path / "w"
    )
    stored = collapse_jax.open_snapshots(tmp_path / "w")
    params = stored.snapshot(stored.steps[-1]).params
    stored.close()
    assert {*params} == {"hidden_0", "hidden_1", "head"}
    norm = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(params)))
    np.testing.assert_allclose(results.weight_norm.isel(step=-1).item(), norm, rtol=1e-5)
    recipe, h, data = one(tiny(training=LAYERWISE, grid=Grid(init_scale=(2.0,))))
    state = begin(recipe, h, data)
    assert float(jnp.abs(state.params[LOCAL_HEADS]["head_0"]["kernel"]).max()) <= 16**-0.5
    assert LOCAL_HEADS not in network_of(state)


def test_schemes_are_a_static_axis(tiny, tmp_path):
    grid = Grid(scheme=("end_to_end", "layerwise"), weight_decay=(0.1,), init_scale=(1.0,), seed=(1,))
    results = collapse_jax.train(tiny(grid=grid, steps=20), tmp_path / "w")
    assert results.scheme.values.tolist() == ["end_to_end", "layerwise"]
    loss = results.train_loss.isel(step=-1).squeeze().values
    assert np.isfinite(loss).all()
    assert loss[0] != loss[1]


def test_a_model_without_blocks_is_refused(tiny, tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "import dataclasses\nfrom collapse_jax.models import MODELS\n"
        "MODEL = dataclasses.replace(MODELS['mlp'], blocks='')\n"
    )
    experiment = tiny(
        model=Model(f"{tmp_path}/own.py:MODEL", hidden=(8,)), training=LAYERWISE, task=Task(train_size=60)
    )
    with pytest.raises(ConfigError, match=r"training\.scheme='layerwise': the model .* names no `blocks`"):
        validate(experiment)
    with pytest.raises(ConfigError, match=r"training\.scheme='layer_wise': .*did you mean 'layerwise'"):
        validate(tiny(training=Training(scheme="layer_wise")))
